"""The stages, each a function, loaded on first use.

``bgkit.stages.dense_crf`` is the function; the file it stands in is in the table below. No file
bears the name of a stage it defines, or importing it would put the module in the function's place.
"""

from __future__ import annotations

import importlib
from typing import Any

from bgkit.errors import PipelineError, did_you_mean
from bgkit.stage import Stage, plugin, plugin_names

# file -> its stages; a test compares this with what the files define.
FILES: dict[str, tuple[str, ...]] = {
    "light": ("flat_field", "white_balance"),
    "color_key": ("luv_threshold", "chroma_key"),
    "clean_plate_key": ("clean_plate",),
    "classical": ("grabcut", "saliency"),
    "network": ("cnn_mask", "cascade_refine"),
    "crf": ("dense_crf",),
    "morphology": ("opening", "closing"),
    "components": ("fill_holes", "remove_small", "keep_largest"),
    "upsampling": ("guided_upsample",),
    "trimaps": ("make_trimap", "threshold_trimap", "strokes"),
    "closed_form": ("closed_form_matting", "plate_matting"),
    "other_matting": (
        "knn_matting",
        "learning_matting",
        "random_walk_matting",
        "large_kernel_matting",
        "shared_matting",
    ),
    "faintness": ("levels",),
    "foregrounds": ("estimate_foreground",),
    "compositing": ("composite",),
    "framing": ("frame", "place", "region"),
    "network_matting": ("cnn_matting",),
    "spill": ("despill",),
}

_file_of = {name: file for file, names in FILES.items() for name in names}

__all__ = ["find", "names", *_file_of]  # noqa: PLE0604


def names() -> list[str]:
    """Return the names of all stages: bgkit's in the order of a chain, then those of other packages."""
    return [*_file_of, *(name for name in plugin_names() if name not in _file_of)]


def find(name: str) -> Stage:
    """Return the stage ``name``.

    Raises
    ------
    PipelineError
        If there is none; the message names the nearest.
    """
    if name in _file_of:
        return getattr(importlib.import_module(f"{__name__}.{_file_of[name]}"), name).stage  # type: ignore[no-any-return]
    found = plugin(name)
    if found is None:
        raise PipelineError(f"no stage named {name!r}{did_you_mean(name, names())} (bgkit stages lists them)")
    return found


def __getattr__(name: str) -> Any:
    if name not in _file_of:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{did_you_mean(name, _file_of)}")
    function = getattr(importlib.import_module(f"{__name__}.{_file_of[name]}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted(__all__)
