"""``bgkit.remove``: one picture through one pipeline, from whatever form the picture has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from bgkit.deadline import limited
from bgkit.errors import LayerError, ParamError, brief, did_you_mean
from bgkit.layers import Array, Layers
from bgkit.pipeline import OnStep, Pipeline
from bgkit.pipelinefile import load_pipeline

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BROUGHT", "read_layers", "remove", "with_background"]

BROUGHT = ("plate", "second", "next", "strokes", "mask", "trimap", "alpha")

# Keywords of rembg.remove, and what they are here.
REMBG = {
    "alpha_matting": "a pipeline says so by its stages: 'auto' has matting, 'fast' has none",
    "alpha_matting_foreground_threshold": 'here it is values={"make_trimap.width": ...}: the unknown band has a width',
    "alpha_matting_background_threshold": 'here it is values={"make_trimap.width": ...}: the unknown band has a width',
    "alpha_matting_erode_size": 'here it is values={"make_trimap.width": ...}, in per mille of the diagonal',
    "bgcolor": "here it is background=(r, g, b), or a color's name",
    "data": "here the picture is the first argument",
    "force_return_bytes": 'here it is the method to_bytes("png") of what is returned',
    "model_name": 'here it is values={"cnn_mask.model": NAME}; bgkit models list shows the networks',
    "only_mask": "here it is .alpha of what is returned, or .mask before matting",
    "post_process_mask": "here it is the stages opening, fill_holes and remove_small of a pipeline",
    "put_alpha": "here it is background='none'",
    "session": 'here it is values={"cnn_mask.model": NAME}; a network stays loaded by itself',
}


def remove(
    picture: str | PathLike[str] | bytes | BinaryIO | Image | ArrayLike,
    pipeline: str | PathLike[str] | Pipeline = "auto",
    *,
    values: Mapping[str, Any] | None = None,
    background: str | PathLike[str] | Sequence[int] | None = None,
    on_step: OnStep | None = None,
    page: int | None = None,
    timeout: float | None = None,
    **brought: Any,
) -> Layers:
    """Remove the background of one picture.

    Parameters
    ----------
    picture : path, bytes, binary file, PIL image, or array
        See :func:`bgkit.imagefile.read_picture` for files and :meth:`Layers.of` for arrays.
    pipeline : str, path or Pipeline
        A shipped pipeline's name, a YAML file, or one that is loaded already.
    values : mapping, optional
        Parameters to change, as values or as text: ``{"composite.background": "#eee", "make_trimap.width": 8}``.
    background : str, path, or three whole numbers 0..255, optional
        A color, a picture's path, ``blur``, or ``none``: sets ``composite.background``.
    on_step : callable(step, layers, seconds), optional
        Called after each step.
    page : int, optional
        Which picture to take of a file that holds several, from 1; by default the first, with a warning.
    timeout : float, optional
        Time limit in seconds. When it is over, a DeadlineError names the step that was running. A network is
        interrupted; any other stage is finished first. ``bgkit.remove_many`` interrupts every stage.
    **brought : path or array, optional
        ``plate``, ``second``, ``next``, ``mask``, ``trimap``, ``alpha`` or ``strokes`` of your own: a picture file or
        an array.

    Returns
    -------
    Layers
        ``cut.alpha`` is float32 of shape (M, N); ``cut.save("photo.png")`` writes the result.

    Examples
    --------
    >>> import numpy as np
    >>> picture = np.full((48, 48, 3), 255, np.uint8)
    >>> picture[12:36, 16:32] = (200, 30, 40)
    >>> cut = remove(picture, "classical")
    >>> float(cut.alpha[24, 24]), float(cut.alpha[2, 2])
    (1.0, 0.0)
    """
    chain = pipeline if isinstance(pipeline, Pipeline) else load_pipeline(pipeline)
    chain = with_background(chain.with_values(values or {}), background)
    with limited(timeout):
        return chain.run(read_layers(picture, page=page, **brought), on_step=on_step)


def with_background(pipeline: Pipeline, background: str | PathLike[str] | Sequence[int] | None) -> Pipeline:
    """Return the pipeline with another background in its last ``composite``; None changes nothing.

    Raises
    ------
    ParamError
        If the pipeline has no such stage, or the background is none.
    """
    if background is None:
        return pipeline
    background = os.fspath(background) if isinstance(background, PathLike) else background
    if not isinstance(background, str):
        background = _hexadecimal(background)
    count = sum(step.name == "composite" for step in pipeline.steps)
    if not count:
        raise ParamError(f"background: the pipeline {pipeline.name!r} has no stage composite")
    return pipeline.with_values({f"composite#{count}.background": background})


def _hexadecimal(color: Any) -> str:
    """Return three whole numbers as ``#rrggbb``; fractions are refused, for 1.0 may mean white or nearly black."""
    parts = list(color) if isinstance(color, list | tuple | np.ndarray) else []
    whole = all(isinstance(part, Integral) and not isinstance(part, bool) for part in parts)
    if len(parts) != 3 or not whole or not all(0 <= part <= 255 for part in parts):
        raise ParamError(f"background: expected a text or three whole numbers 0..255, got {brief(color)}")
    return "#" + "".join(f"{int(part):02x}" for part in parts)


def read_layers(picture: Any, *, page: int | None = None, **brought: Any) -> Layers:
    """Read a picture, and layers brought with it, from files or arrays."""
    layers = _from_file_or_array(picture, page)
    for name, value in brought.items():
        if name not in BROUGHT:
            known = ("pipeline", "values", "background", "on_step", "page", *BROUGHT)
            hint = f"; {REMBG[name]}" if name in REMBG else did_you_mean(name, known)
            raise LayerError(f"{name}: no such keyword{hint} (layers that can be brought: {', '.join(BROUGHT)})")
        if value is not None:
            array = _array(name, value) if _is_array(value) else _read_layer(name, value)
            layers = layers.bring(name, array)
    return layers


def _array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError:  # lists of unequal length
        raise LayerError(f"{name}: expected an array, got lists of unequal length") from None


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | list | tuple) or (
        hasattr(value, "__array__") and not hasattr(value, "getbands")
    )


def _from_file_or_array(picture: Any, page: int | None) -> Layers:
    if isinstance(picture, Layers):
        return picture
    if _is_array(picture):
        return Layers.of(_array("image", picture))
    from bgkit.imagefile import read_picture

    read = read_picture(picture, page=page)
    return Layers(read.image, opacity=read.alpha, facts={"input": read.like})


def _read_layer(name: str, source: Any) -> Array:
    from bgkit import imagefile

    if name in ("plate", "second", "next"):
        picture = imagefile.read_picture(source)
        if picture.alpha is not None and picture.alpha.min() < 1:
            raise LayerError(
                f"{name}: expected an opaque picture, got one with clear parts: {picture.path or 'picture'}"
            )
        return picture.image
    readers = {"strokes": imagefile.read_strokes, "trimap": imagefile.read_trimap}
    return readers.get(name, imagefile.read_mask)(source)
