"""The stages, each a function, loaded on first use.

``bgkit.stages.dense_crf`` is the function; the file it stands in is in the table below. No file
has the name of a stage it defines, or importing it would put the module in the function's place.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

from bgkit import stage
from bgkit.errors import PipelineError, did_you_mean
from bgkit.layers import Array
from bgkit.stage import Stage

if TYPE_CHECKING:  # for editors and mypy; a test compares it with the table
    from bgkit.stages.classical import grabcut as grabcut
    from bgkit.stages.classical import saliency as saliency
    from bgkit.stages.clean_plate_key import backdrop_key as backdrop_key
    from bgkit.stages.clean_plate_key import clean_plate as clean_plate
    from bgkit.stages.closed_form import closed_form_matting as closed_form_matting
    from bgkit.stages.closed_form import plate_matting as plate_matting
    from bgkit.stages.color_key import chroma_key as chroma_key
    from bgkit.stages.color_key import luv_threshold as luv_threshold
    from bgkit.stages.components import fill_holes as fill_holes
    from bgkit.stages.components import keep_largest as keep_largest
    from bgkit.stages.components import remove_small as remove_small
    from bgkit.stages.compositing import composite as composite
    from bgkit.stages.crf import dense_crf as dense_crf
    from bgkit.stages.dropping import drop_subject as drop_subject
    from bgkit.stages.faintness import levels as levels
    from bgkit.stages.foregrounds import estimate_foreground as estimate_foreground
    from bgkit.stages.framing import frame as frame
    from bgkit.stages.framing import place as place
    from bgkit.stages.framing import region as region
    from bgkit.stages.light import flat_field as flat_field
    from bgkit.stages.light import white_balance as white_balance
    from bgkit.stages.morphology import closing as closing
    from bgkit.stages.morphology import opening as opening
    from bgkit.stages.network import cascade_refine as cascade_refine
    from bgkit.stages.network import cnn_mask as cnn_mask
    from bgkit.stages.network_matting import cnn_matting as cnn_matting
    from bgkit.stages.other_matting import knn_matting as knn_matting
    from bgkit.stages.other_matting import large_kernel_matting as large_kernel_matting
    from bgkit.stages.other_matting import learning_matting as learning_matting
    from bgkit.stages.other_matting import random_walk_matting as random_walk_matting
    from bgkit.stages.other_matting import shared_matting as shared_matting
    from bgkit.stages.regional import region_saliency as region_saliency
    from bgkit.stages.retouching import retouch as retouch
    from bgkit.stages.spill import despill as despill
    from bgkit.stages.steadying import steady as steady
    from bgkit.stages.trimaps import make_trimap as make_trimap
    from bgkit.stages.trimaps import strokes as strokes
    from bgkit.stages.trimaps import threshold_trimap as threshold_trimap
    from bgkit.stages.two_shots import two_grounds as two_grounds
    from bgkit.stages.upsampling import guided_upsample as guided_upsample

P = ParamSpec("P")

# file -> its stages; a test compares this with what the files define.
FILES: dict[str, tuple[str, ...]] = {
    "light": ("flat_field", "white_balance"),
    "color_key": ("luv_threshold", "chroma_key"),
    "clean_plate_key": ("backdrop_key", "clean_plate"),
    "classical": ("grabcut", "saliency"),
    "network": ("cnn_mask", "cascade_refine"),
    "regional": ("region_saliency",),
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
    "retouching": ("retouch",),
    "steadying": ("steady",),
    "foregrounds": ("estimate_foreground",),
    "two_shots": ("two_grounds",),
    "compositing": ("composite",),
    "dropping": ("drop_subject",),
    "framing": ("frame", "place", "region"),
    "network_matting": ("cnn_matting",),
    "spill": ("despill",),
}

_file_of = {name: file for file, names in FILES.items() for name in names}

__all__ = ["find", "names", "register", "shipped", *_file_of]  # noqa: PLE0604


def shipped() -> list[str]:
    """Return the names of bgkit's own stages, in the order of a chain."""
    return [*_file_of]


def names() -> list[str]:
    """Return the names of all stages: bgkit's in the order of a chain, then those of other packages."""
    return [*_file_of, *(name for name in stage.plugin_names() if name not in _file_of)]


def find(name: str) -> Stage:
    """Return what is known of the stage ``name``.

    Raises
    ------
    PipelineError
        If there is none; the message names the nearest.
    """
    return _function(name).stage


def register(function: Callable[P, Array]) -> Callable[P, Array]:
    """Make a stage known by its name in this process, as in a notebook: pipelines and ``bgkit.stages.NAME`` find it.

    It serves as a decorator, above ``@stage``. For a stage that workers and commands find, too, see CONTRIBUTING.

    Raises
    ------
    PipelineError
        If a stage of bgkit has that name.
    """
    name = getattr(function, "__name__", "")
    if name in _file_of:
        raise PipelineError(f"register: {name!r} is a stage of bgkit; choose another name")
    return stage.register(function)


def _function(name: str) -> Any:
    if name in _file_of:
        return getattr(importlib.import_module(f"{__name__}.{_file_of[name]}"), name)
    function = stage.plugin(name)
    if function is None:
        raise PipelineError(f"no stage named {name!r}{did_you_mean(name, names())} (bgkit stages lists them)")
    return function


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name.startswith("_") or (name not in _file_of and name not in stage.plugin_names()):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{did_you_mean(name, names())}")
        return _function(name)


def __dir__() -> list[str]:
    return sorted([*__all__, *stage.plugin_names()])
