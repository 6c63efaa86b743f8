"""Layers: the arrays of one picture, checked once and then never changed.

Every array shares the picture's (M, N) and is held as a read-only, C-contiguous view. A stage
returns one new array; :meth:`Layers.put` makes new layers of it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bgkit._ext.vectors import extremes
from bgkit.color import from_bytes
from bgkit.errors import LayerError, did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["BACKGROUND", "FOREGROUND", "LAYERS", "UNKNOWN", "Layers", "as_layer", "check_layer", "check_previous"]

Array = NDArray[Any]

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255  # the values of a trimap
MARKS = ("strokes", "mask", "trimap", "alpha")  # layers that say where the subject is


class _Kind(NamedTuple):
    dtype: type
    channels: tuple[int, ...]  # empty for a plain (M, N)
    meaning: str


LAYERS: Mapping[str, _Kind] = MappingProxyType(
    {
        "image": _Kind(np.float32, (3,), "sRGB-encoded RGB, 0..1, upright"),
        "plate": _Kind(np.float32, (3,), "the same scene photographed empty, 0..1"),
        "second": _Kind(np.float32, (3,), "the same subject photographed before another ground, 0..1"),
        "next": _Kind(np.float32, (3,), "the next frame of the same film, or the one before, 0..1"),
        "strokes": _Kind(np.uint8, (), "user strokes: 0 background, 255 foreground, 128 elsewhere"),
        "opacity": _Kind(np.float32, (), "the picture's own alpha channel, 0..1; multiplies into every alpha"),
        "mask": _Kind(np.float32, (), "probability of foreground, 0..1"),
        "trimap": _Kind(np.uint8, (), "0 background, 128 unknown, 255 foreground"),
        "alpha": _Kind(np.float32, (), "opacity of the subject, 0..1"),
        "foreground": _Kind(np.float32, (3,), "subject color, sRGB-encoded, not multiplied by alpha, 0..1"),
        "background": _Kind(np.float32, (3, 4), "the picture without its subject, 0..1"),
        "result": _Kind(np.float32, (3, 4), "the finished picture, 0..1; its size may differ"),
    }
)


SHOWN = 480  # px, the long side of what a notebook shows


@dataclass(frozen=True, eq=False, repr=False)
class Layers:
    """The arrays of one picture.

    Shapes and dtypes are checked here; values (range, NaN) are checked by :meth:`of`, where data
    enters. ``facts`` holds what stages report, by stage name (a solver's residual, the network that ran), and under
    ``"input"`` what was read from the file. If the picture is a frame of a film, ``previous`` holds the frame before
    it: its picture and its alpha.
    """

    image: Array
    plate: Array | None = None
    second: Array | None = None
    next: Array | None = None
    strokes: Array | None = None
    opacity: Array | None = None
    mask: Array | None = None
    trimap: Array | None = None
    alpha: Array | None = None
    foreground: Array | None = None
    background: Array | None = None
    result: Array | None = None
    previous: Layers | None = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in LAYERS.items():
            array = getattr(self, name)
            if array is None and name != "image":
                continue
            _check_form(name, array, kind)
            _check_size(name, array, self.image)
            if array.flags.writeable:  # what is read-only stays the same object, by which stages know it again
                array = array.view()
                array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
        if self.previous is not None:
            check_previous(self.previous, self.image)

    @classmethod
    def of(cls, image: ArrayLike, **others: ArrayLike | None) -> Self:
        """Make layers of arrays from outside: any usual dtype, gray or RGB, with or without alpha.

        Parameters
        ----------
        image : array of shape (M, N), (M, N, 1), (M, N, 2), (M, N, 3) or (M, N, 4)
            uint8, uint16, bool, or float in 0..1. A second or fourth channel becomes ``opacity``.
        **others : array, optional
            Further layers by name, in the same dtypes.

        Raises
        ------
        LayerError
            If an array has a wrong shape, holds NaN or leaves its range.
        """
        color, own = _split_alpha(np.asarray(image))
        arrays: dict[str, Any] = {"image": as_layer("image", color)}
        if own is not None:
            arrays["opacity"] = as_layer("opacity", own)
        for name, array in others.items():
            if name not in LAYERS:
                raise LayerError(f"{name}: no such layer (there are: {', '.join(LAYERS)})")
            if array is not None:
                arrays[name] = as_layer(name, array)
        return cls(**arrays)

    def put(self, name: str, array: Array) -> Self:
        """Return new layers in which ``name`` is ``array``."""
        change: dict[str, Any] = {name: array}
        return replace(self, **change)

    def bring(self, name: str, value: ArrayLike) -> Self:
        """Return new layers with a layer that a user brings, in any of the forms of :func:`as_layer`.

        Raises
        ------
        LayerError
            If it does not fit, or has one value everywhere, such as a mask that is all subject or a trimap that is all
            unknown: it says nothing.

        Warns
        -----
        UserWarning
            If only one side is marked. A mask of 0 everywhere is accepted, since it is right for an empty scene.
        """
        if name not in LAYERS:
            raise LayerError(f"{name}: no such layer (there are: {', '.join(LAYERS)})")
        made = self.put(name, as_layer(name, value))
        _check_meaning(name, getattr(made, name))
        return made

    def as_previous(self) -> Self:
        """Return what the next frame needs of this one: the picture and its alpha, without any earlier frame."""
        return type(self)(self.image, alpha=self.alpha)

    def given(self) -> tuple[str, ...]:
        """Return the names of the layers that are there, in the table's order."""
        return tuple(f.name for f in fields(self) if f.name in LAYERS and getattr(self, f.name) is not None)

    def reduced(self, pixels: int) -> Self:
        """Return smaller layers of at most ``pixels`` pixels, aspect kept; the layers themselves if they fit.

        Values are averaged over the area of a new pixel. A stroke stays where its share of that area is larger than
        the other side's, however thin it is; a trimap becomes unknown where both sides meet.
        """
        rows, cols = self.image.shape[:2]
        if rows * cols <= pixels:
            return self
        import cv2

        from bgkit.resizing import reduced

        scale = (pixels / (rows * cols)) ** 0.5
        size = max(1, int(cols * scale)), max(1, int(rows * scale))
        arrays: dict[str, Any] = {}
        for name in self.given():
            if name == "result":
                continue
            array = getattr(self, name)
            if LAYERS[name].dtype is np.uint8:
                sides = [(array == value).astype(np.float32) for value in (BACKGROUND, FOREGROUND)]
                back, fore = (cv2.resize(side, size, interpolation=cv2.INTER_AREA) for side in sides)
                if name == "trimap":
                    back, fore = np.floor(back), np.floor(fore)
                array = np.full(back.shape, UNKNOWN, np.uint8)
                array[back > fore] = BACKGROUND
                array[fore > back] = FOREGROUND
            else:
                array = reduced(array, size[::-1])
            arrays[name] = array
        previous = None if self.previous is None else self.previous.reduced(pixels)
        return type(self)(**arrays, previous=previous, facts=self.facts)

    def enlarged_to(self, whole: Self) -> Self:
        """Return the layers of a larger picture with the mask, the trimap and the facts of these, from its copy."""
        import cv2

        rows, cols = whole.image.shape[:2]
        arrays: dict[str, Any] = {}
        for name, how in (("mask", cv2.INTER_LINEAR), ("trimap", cv2.INTER_NEAREST)):
            array = getattr(self, name)
            arrays[name] = None if array is None else cv2.resize(array, (cols, rows), interpolation=how)
        return replace(whole, **arrays, facts=self.facts)

    def within(self, window: tuple[slice, slice]) -> Self:
        """Return the layers of a part of the picture, given by its rows and columns; a frame before it is left out."""
        arrays: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[window]) for name in self.given()}
        return type(self)(**arrays, facts=self.facts)

    def put_back(self, whole: Self, window: tuple[slice, slice], changed: Iterable[str] = ()) -> Self:
        """Return ``whole`` with the mask, trimap, alpha and facts of these layers, from a window; background around.

        Inputs that were ``changed`` in the window are put into those of ``whole``.
        """
        arrays: dict[str, Any] = {}
        for name in ("mask", "trimap", "alpha", *changed):
            array, around = getattr(self, name), getattr(whole, name)
            if array is not None:
                shape = whole.image.shape[:2]
                arrays[name] = around.copy() if name in changed else np.zeros(shape, LAYERS[name].dtype)
                arrays[name][window] = array
        return replace(whole, **arrays, facts=self.facts)

    def to_bytes(
        self, format: str = "png", layer: str = "result", *, depth: int | None = None, metadata: str = "credit"
    ) -> bytes:
        """Return one layer as the content of a picture file: what :meth:`save` writes.

        Raises
        ------
        LayerError, ImageError
            As :meth:`save`.
        """
        from bgkit.imagefile import write_picture

        content = io.BytesIO()
        like = self.facts.get("input", {})
        write_picture(content, self._made(layer), format=format, depth=depth, like=like, metadata=metadata)
        return content.getvalue()

    def to_pil(self, layer: str = "result") -> Image:
        """Return one layer as a PIL image of 8 bits, gray, RGB or RGBA.

        Raises
        ------
        LayerError
            If the layer was not made.
        """
        from bgkit.imagefile import as_pil

        return as_pil(self._made(layer))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the result, so that ``np.asarray(cut)`` is the finished picture, float32 of shape (M, N, 3 or 4)."""
        return np.array(self._made("result"), dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Layers({_size(self.image)}: {', '.join(self.given())})"

    def _repr_png_(self) -> bytes:
        """Return what a notebook shows: the result, or the last layer before it, at most 480 px long."""
        import cv2

        array = getattr(self, self.given()[-1])
        scale = SHOWN / max(array.shape[:2])
        if scale < 1:
            size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
            array = np.ascontiguousarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA))
        from bgkit.imagefile import write_picture

        content = io.BytesIO()
        write_picture(content, array if array.dtype == np.uint8 else np.clip(array, 0, 1), format="png", depth=8)
        return content.getvalue()

    def _made(self, layer: str) -> Array:
        array: Array | None = getattr(self, layer, None) if layer in LAYERS else None
        if array is None:
            raise LayerError(
                f"{layer}: expected one of the layers that were made: {', '.join(self.given())}"
                f"{did_you_mean(layer, self.given())}"
            )
        return array

    def save(
        self,
        target: str | PathLike[str],
        layer: str = "result",
        *,
        depth: int | None = None,
        metadata: str = "credit",
    ) -> None:
        """Write one layer to a picture file, whole or not at all.

        Parameters
        ----------
        target : path
            Its ending chooses the format: png, webp, tif, or jpg for a result on a background.
        layer : str
            Any layer that is there.
        depth : {8, 16}, optional
            Bits per channel, 16 for png and tif only; by default as the input had.
        metadata : {"credit", "none", "all"}
            Which of the input file's EXIF, XMP and IPTC fields are written. ``credit``: artist, copyright, description
            and time of capture. ``all``: every field that is still true of the result, places (GPS) included.

        Raises
        ------
        LayerError
            If the layer was not made.
        ImageError
            If the format cannot hold it, or the file cannot be written.
        """
        from bgkit.imagefile import write_picture

        like = self.facts.get("input", {})
        write_picture(target, self._made(layer), depth=depth, like=like, metadata=metadata)


def as_layer(name: str, value: ArrayLike) -> Array:
    """Return ``value`` as the layer ``name`` wants it: dtype, shape, order; a copy only where needed.

    Integers are scaled by their type's maximum. For ``trimap`` and ``strokes``, values up to 10 %
    mean background, from 90 % on foreground, and all between unknown, as in PyMatting.

    Raises
    ------
    LayerError
        If the shape, the dtype or a value does not fit, or if integers are labels (0, 1, 2) instead of grays.
    """
    kind = LAYERS[name]
    array = np.asarray(value)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if name in MARKS and array.dtype.kind == "u" and array.size:
        _refuse_labels(name, array)
    if kind.channels and array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if kind.dtype is np.uint8 and array.dtype == np.uint8:
        share, low, high = array, 25.0, 230.0  # 10 % and 90 % of 255
    else:
        share, low, high = _share(name, array), 0.1, 0.9
    if kind.dtype is np.uint8:
        array = np.full(share.shape, UNKNOWN, np.uint8)
        array[share <= low] = BACKGROUND
        array[share >= high] = FOREGROUND
    else:
        array = np.ascontiguousarray(share, np.float32)
    _check_form(name, array, kind)
    return array


def _refuse_labels(name: str, array: Array) -> None:
    """Refuse unsigned integers that number classes, or fill a tenth of their range: all would be background.

    Also where the highest number, as in Pascal VOC, marks what belongs to no class: that alone would be subject.
    """
    seen = np.zeros(np.iinfo(array.dtype).max + 1, bool)
    seen[array.ravel()] = True
    values = np.flatnonzero(seen)
    full = len(seen) - 1
    dark = values[(values > 0) & (values <= full // 10)]
    few = len(values) <= 4 and values[:2].tolist() == [0, 1]
    # Noise of a black ground is 1, 2, 3, ...; classes are single numbers.
    void = values[[0, -1]].tolist() == [0, full] and len(dark) == len(values) - 2 > 0
    void = void and (len(dark) <= 2 or dark[-1] > len(dark))
    if 0 < values[-1] <= full // 10 or few or void:
        some = ", ".join(map(str, values[:6])) + (f", ... {values[-1]}" if len(values) > 6 else "")
        middle = f", {full // 2 + 1} (unknown)" if name in ("trimap", "strokes") else ""
        raise LayerError(
            f"{name}: expected grays from 0 (background){middle} to {full} (subject), got {some}: labels, or another "
            f"depth; scale them to 0..{full}, or give bool or float"
        )


def _check_meaning(name: str, array: Array) -> None:
    """Refuse a layer of one value, and warn where one of subject and background is missing."""
    if name not in MARKS:
        return
    low, high = array.min(), array.max()
    if name in ("mask", "alpha"):
        # A mask that is nowhere rather subject than not (128 of 255 is neither) is one of percent, perhaps, or a trimap
        # without its subject; an alpha may be that of a veil.
        least = 0.51 if name == "mask" else 0.1
        expected, empty, missing = "background (0) and subject (1)", not high, (low > 1 - least, high < least)
        found = f"{low:.3g}..{high:.3g}"
    else:
        expected, empty = "background (0) and foreground (255)", False
        missing = (low > BACKGROUND, high < FOREGROUND)
        found = ", ".join(str(value) for value in (BACKGROUND, UNKNOWN, FOREGROUND) if (array == value).any())
    if low == high and not empty:
        raise LayerError(f"{name}: expected {expected}, got {low:.3g} everywhere")
    for side, lacking in zip(("background", "subject"), missing, strict=True):
        if lacking and name != "strokes":  # those of one kind are right for a correction
            warnings.warn(f"{name}: marks no {side}; expected {expected}, got {found}", UserWarning, stacklevel=4)


def check_layer(name: str, array: Array, image: Array) -> None:
    """Check what a stage gave as the layer ``name`` of a picture: form, size and values.

    Raises
    ------
    LayerError
        If dtype or shape are not those of the layer, a value is not finite or out of range, or a trimap has other
        values than 0, 128 and 255.
    """
    _check_form(name, array, LAYERS[name])
    _check_size(name, array, image)
    if array.dtype == np.uint8:
        if not ((array == BACKGROUND) | (array == UNKNOWN) | (array == FOREGROUND)).all():
            raise LayerError(
                f"{name}: expected the values 0, 128 and 255, got {', '.join(map(str, np.unique(array)[:5]))}"
            )
    else:
        _check_range(name, array, "")


def check_previous(previous: Any, image: Array) -> None:
    """Check that ``previous`` is a frame of the picture's size.

    Raises
    ------
    LayerError
        If it is none.
    """
    if not isinstance(previous, Layers):
        raise LayerError(f"previous: expected the Layers of the last frame, got {type(previous).__name__}")
    _check_size("previous", previous.image, image)


def _share(name: str, array: Array) -> Array:
    """Return float values in 0..1 of any usual dtype."""
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype == np.uint8 and array.size:
        return from_bytes(np.atleast_1d(array))
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise LayerError(f"{name}: expected uint8, uint16, bool or float values, got {array.dtype}")
    if array.size:
        low, high = _check_range(name, array, "; divide by 255, or give uint8")
        if low < 0 or high > 1:
            return np.clip(array, 0, 1)
    return array


def _check_range(name: str, array: Array, remedy: str) -> tuple[float, float]:
    """Return the least and the greatest value, which must lie in 0..1 but for rounding."""
    low, high = _extremes(array)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise LayerError(f"{name}: expected finite values, got NaN or infinity")
    if low < -1e-4 or high > 1 + 1e-4:
        raise LayerError(f"{name}: expected values in 0..1, got {low:g}..{high:g}{remedy}")
    return low, high


def _extremes(array: Array) -> tuple[float, float]:
    """Return the least and the greatest value, NaN where one is."""
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        return float(array.min()), float(array.max())
    found = np.empty(2, np.float32)
    extremes(array.reshape(-1), found)
    return float(found[0]), float(found[1])


def _split_alpha(image: Array) -> tuple[Array, Array | None]:
    if image.ndim == 3 and image.shape[2] in (2, 4):
        color = image[:, :, :-1]
        return (color[:, :, 0] if color.shape[2] == 1 else color), image[:, :, -1]
    return image, None


def _check_form(name: str, array: Any, kind: _Kind) -> None:
    last = " or ".join(map(str, kind.channels))
    form = f"{np.dtype(kind.dtype).name} of shape (M, N{', ' + last if last else ''})"
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):  # of which no value may be seen
        raise LayerError(f"{name}: expected an array, {form}, got {type(array).__name__}")
    fits = array.ndim == (3 if kind.channels else 2) and (not kind.channels or array.shape[2] in kind.channels)
    if not fits or array.dtype != kind.dtype:
        raise LayerError(f"{name}: expected {form}, got {array.dtype} of shape {array.shape}")
    if array.size == 0:
        raise LayerError(f"{name}: expected at least one pixel, got shape {array.shape}")
    if not array.flags.c_contiguous:
        raise LayerError(f"{name}: expected a C-contiguous array; use numpy.ascontiguousarray")


def _check_size(name: str, array: Array, image: Array) -> None:
    if name != "result" and array.shape[:2] != image.shape[:2]:
        raise LayerError(f"{name}: expected the picture's size {_size(image)}, got {_size(array)}; resize it first")


def _size(array: Array) -> str:
    return f"{array.shape[0]} x {array.shape[1]} (rows x columns)"
