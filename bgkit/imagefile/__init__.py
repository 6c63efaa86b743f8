"""Picture files: the one door through which they come in and go out.

Reading gives sRGB, 0..1, upright, with the file's own alpha apart, or an
:class:`bgkit.errors.ImageError` that says in one line what is wrong; never a picture half read.
What a file is, its first bytes decide, not its name. Writing is whole or not at all: into a
file beside the target that then takes its place.

``_formats`` tells formats apart, ``_source`` gets the bytes, ``_decode`` hands them to the reader of their format and
turns what it gives upright and into sRGB; ``_profile`` and ``_signals`` know colors, ``_gray`` what a mask or a trimap
means, ``_metadata`` what goes along beside the pixels, ``_write`` all outputs, ``_resized`` Pillow's resampling.
Pillow and the other decoders load on first use. ``docs/reference/formats.md`` says what is read,
cell by cell.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.color import from_bytes
from bgkit.errors import ImageError
from bgkit.imagefile._decode import Raw, count_pages, decode, header_size
from bgkit.imagefile._gray import gray_of, mask_of, trimap_of
from bgkit.imagefile._resized import resized
from bgkit.imagefile._rows import Rows
from bgkit.imagefile._source import MAX_PIXELS, Source, read_bytes
from bgkit.imagefile._write import LONGEST, as_pil, write_picture

__all__ = [
    "LONGEST",
    "MAX_PIXELS",
    "Picture",
    "Rows",
    "as_pil",
    "count_pages",
    "header_size",
    "read_bytes",
    "read_gray",
    "read_mask",
    "read_picture",
    "read_strokes",
    "read_trimap",
    "resized",
    "write_picture",
]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as read: pixels, and what the file said of itself."""

    image: NDArray[np.float32]  # (M, N, 3), sRGB-encoded, 0..1, upright
    alpha: NDArray[np.float32] | None  # (M, N), 0..1
    depth: int  # bits per sample that the file brought: 8, or 16 for more
    dpi: tuple[float, float] | None  # across, down
    format: str  # what it really is: "JPEG", "PNG", ...
    path: str | None
    profile: str | None = None  # the color space it was converted from; None where it was sRGB already
    page: int = 1  # which of the file's pictures it is
    pages: int = 1
    notes: tuple[str, ...] = ()  # what was done that the user may not expect; each was also given as a warning
    metadata: Mapping[str, bytes] = field(default_factory=dict)  # exif, xmp and iptc, what holds for another picture

    @property
    def like(self) -> dict[str, Any]:
        """What :func:`write_picture` takes as ``like``, kept in ``Layers.facts["input"]``: plain values, and bytes."""
        return {
            "path": self.path,
            "format": self.format,
            "size": list(self.image.shape[:2]),
            "depth": self.depth,
            "dpi": list(self.dpi) if self.dpi else None,
            "profile": self.profile,
            "page": self.page,
            "pages": self.pages,
            "notes": list(self.notes),
            "metadata": dict(self.metadata),
        }


def read_picture(source: Source, *, max_pixels: int | None = None, page: int | None = None) -> Picture:
    """Read a picture as upright sRGB.

    Parameters
    ----------
    source : path, bytes, binary file or PIL.Image.Image
        Any of the formats of ``docs/reference/formats.md``; a ``file:`` URL is a path.
    max_pixels : int, optional
        Rows times columns above which a picture is refused before it is decoded; by default
        ``BGKIT_MAX_PIXELS``, else 200 million.
    page : int, optional
        Which picture of an animation or a document, from 1; by default the first, with a warning if there are more.

    Returns
    -------
    Picture
        Converted to sRGB from what the file says of its colors: cICP, an ICC profile, nclx, gAMA and cHRM, or EXIF's
        Adobe RGB. CMYK without a profile is taken as plain ink on white. Premultiplied alpha is divided out.

    Warns
    -----
    UserWarning
        Of what may surprise: further pages, high dynamic range, floats that were clipped.

    Raises
    ------
    ImageError
        If it cannot be read whole, or is too large; the message names the file and the reason.
    """
    raw = decode(source, max_pixels, color_managed=True, page=page)
    _warn(raw)
    image = _share(raw.color)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    alpha = None if raw.alpha is None else _share(raw.alpha)
    return Picture(
        np.ascontiguousarray(image),
        alpha,
        raw.depth,
        raw.dpi,
        raw.format,
        raw.path,
        raw.profile,
        raw.page,
        raw.pages,
        raw.notes,
        raw.metadata,
    )


def _warn(raw: Raw, level: int = 3) -> None:
    for note in raw.notes:
        warnings.warn(f"{raw.path}: {note}" if raw.path else note, UserWarning, stacklevel=level)


def read_gray(source: Source, *, max_pixels: int | None = None) -> NDArray[np.float32]:
    """Read a picture that is numbers, so no profile is applied, without regard to an alpha channel.

    Returns
    -------
    ndarray of shape (M, N), float32
        0..1: gray, or the luma of RGB (Rec. 601) that is nearly gray.

    Raises
    ------
    ImageError
        As :func:`read_picture`, or if it is colored.
    """
    return _share(_numbers(source, max_pixels, lambda color, alpha: gray_of(color)))


def read_mask(source: Source, *, max_pixels: int | None = None) -> Array:
    """Read a mask or an alpha that a user brings.

    Returns
    -------
    ndarray of shape (M, N), uint8, uint16 or float32
        The samples: gray, or the alpha channel where the file is a cutout (:func:`bgkit.imagefile._gray.mask_of`).

    Raises
    ------
    ImageError
        As :func:`read_picture`, or if it is colored and no cutout.
    """
    return _numbers(source, max_pixels, mask_of)


def read_trimap(source: Source, *, max_pixels: int | None = None) -> Array:
    """Read a trimap that a user brings.

    Returns
    -------
    ndarray of shape (M, N), uint8, uint16 or float32
        The samples: gray, and half of their range where the file is clear.

    Raises
    ------
    ImageError
        As :func:`read_picture`, or if it is colored.
    """
    return _numbers(source, max_pixels, trimap_of)


def _numbers(source: Source, max_pixels: int | None, meaning: Callable[[Array, Array | None], Array]) -> Array:
    raw = decode(source, max_pixels, color_managed=False)
    _warn(raw, 4)
    try:
        return np.ascontiguousarray(meaning(raw.color, raw.alpha))
    except ImageError as error:
        raise error.at(raw.path or "picture") from None


def read_strokes(source: Source, *, max_pixels: int | None = None) -> NDArray[np.uint8]:
    """Read strokes that a user drew: white is foreground, black is background.

    Returns
    -------
    ndarray of shape (M, N), uint8
        255 where every channel is at least 90 %, 0 where every channel is at most 10 %, 128 elsewhere: on
        grays, on colors (so strokes may be drawn over a photograph's dimmed copy) and where alpha is below one half.

    Raises
    ------
    ImageError
        As :func:`read_picture`, or if it is dark throughout but not black: such numbers are labels.
    """
    raw = decode(source, max_pixels, color_managed=False)
    _warn(raw)
    color = _share(raw.color)
    if raw.alpha is None and 0 < color.max() <= 0.1:
        some = ", ".join(f"{value:g}" for value in np.unique(raw.color)[:6])
        raise ImageError(
            f"{raw.path or 'picture'}: expected strokes, white on the subject and black on the background, got {some}: "
            "labels, or another depth"
        )
    color = color[:, :, None] if color.ndim == 2 else color
    strokes = np.full(color.shape[:2], 128, np.uint8)
    strokes[color.max(2) <= 0.1] = 0
    strokes[color.min(2) >= 0.9] = 255
    if raw.alpha is not None:
        strokes[_share(raw.alpha) < 0.5] = 128
    return strokes


def _share(samples: Array) -> NDArray[np.float32]:
    """Return 0..1, correctly rounded: dividing takes no longer than multiplying and gives 255 / 255 = 1."""
    if samples.dtype == np.float32:
        return np.ascontiguousarray(samples)
    if samples.dtype == np.uint8:
        return from_bytes(samples)
    return np.divide(samples, np.float32(np.iinfo(samples.dtype).max), dtype=np.float32, order="C")
