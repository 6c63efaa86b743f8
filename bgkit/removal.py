"""``bgkit.remove``: one picture through one pipeline, from whatever form the picture has."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from bgkit.errors import LayerError
from bgkit.layers import Array, Layers
from bgkit.pipeline import OnStep, Pipeline
from bgkit.pipelinefile import load_pipeline

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_layers", "remove"]

BROUGHT = ("plate", "strokes", "mask", "trimap", "alpha")


def remove(
    picture: str | PathLike[str] | bytes | BinaryIO | Image | ArrayLike,
    pipeline: str | PathLike[str] | Pipeline = "auto",
    *,
    values: Mapping[str, Any] | None = None,
    on_step: OnStep | None = None,
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
    on_step : callable(step, layers, seconds), optional
        Called after each step.
    **brought : path or array, optional
        ``plate``, ``mask``, ``trimap``, ``alpha`` or ``strokes`` of your own, as a picture file or an array.

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
    chain = chain.with_values(values or {})
    layers = read_layers(picture, **brought)
    return chain.run(layers, on_step=on_step)


def read_layers(picture: Any, **brought: Any) -> Layers:
    """Read a picture, and layers brought with it, from files or arrays."""
    layers = _from_file_or_array(picture)
    for name, value in brought.items():
        if name not in BROUGHT:
            raise LayerError(f"{name}: no layer that can be brought (there are: {', '.join(BROUGHT)})")
        if value is not None:
            array = value if _is_array(value) else _read_layer(name, value)
            layers = layers.bring(name, array)
    return layers


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | list | tuple) or (
        hasattr(value, "__array__") and not hasattr(value, "getbands")
    )


def _from_file_or_array(picture: Any) -> Layers:
    if isinstance(picture, Layers):
        return picture
    if _is_array(picture):
        return Layers.of(picture)
    from bgkit.imagefile import read_picture

    read = read_picture(picture)
    return Layers(read.image, opacity=read.alpha, facts={"input": read.like})


def _read_layer(name: str, source: Any) -> Array:
    from bgkit import imagefile

    if name == "plate":
        picture = imagefile.read_picture(source)
        if picture.alpha is not None and picture.alpha.min() < 1:
            raise LayerError(
                f"plate: expected an opaque picture, got one with clear parts: {picture.path or 'picture'}"
            )
        return picture.image
    readers = {"strokes": imagefile.read_strokes, "trimap": imagefile.read_trimap}
    return readers.get(name, imagefile.read_mask)(source)
