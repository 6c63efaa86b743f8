"""bgkit removes image backgrounds.

The public names load on first use: :func:`remove`, :func:`remove_many`, :func:`load_pipeline`, :class:`Layers`, and the
modules :mod:`bgkit.stages` and :mod:`bgkit.errors`. ``import bgkit`` itself loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bgkit import errors, stages
    from bgkit.batch.removal import remove_many
    from bgkit.errors import BgkitError
    from bgkit.layers import Layers
    from bgkit.pipeline import Pipeline
    from bgkit.pipelinefile import load_pipeline
    from bgkit.removal import remove
    from bgkit.threads import set_threads
    from bgkit.video.removal import remove_video

__version__ = "0.1.0"

__all__ = [
    "BgkitError",
    "Layers",
    "Pipeline",
    "errors",
    "load_pipeline",
    "remove",
    "remove_many",
    "remove_video",
    "set_threads",
    "stages",
]

_module_of = {
    "BgkitError": "bgkit.errors",
    "Layers": "bgkit.layers",
    "Pipeline": "bgkit.pipeline",
    "load_pipeline": "bgkit.pipelinefile",
    "remove": "bgkit.removal",
    "remove_many": "bgkit.batch.removal",
    "remove_video": "bgkit.video.removal",
    "set_threads": "bgkit.threads",
}


def __getattr__(name: str) -> Any:
    if name in ("errors", "stages"):
        return importlib.import_module(f"bgkit.{name}")
    if name not in _module_of:
        from bgkit.errors import did_you_mean

        raise AttributeError(f"module 'bgkit' has no attribute {name!r}{did_you_mean(name, __all__)}")
    value = getattr(importlib.import_module(_module_of[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
