"""What every decoder gives: samples as they are stored, and all that the file says of them.

The readers of the formats (``_jpeg``, ``_png``, ``_tiff``, ``_heic``, ``_jxl``, ``_raw``, ``_pillow``) make a
:class:`Stored` of a file's bytes; ``_decode`` turns it upright and into sRGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError
from bgkit.imagefile._signals import Space

__all__ = ["Array", "Stored", "Wanted", "check_size", "checked_floats", "choose_page", "dpi_of", "unmultiplied"]

Array = NDArray[Any]


class Wanted(NamedTuple):
    """What is asked of a decoder: at most so many pixels, and which of several pictures, from 1."""

    max_pixels: int
    page: int | None = None


class Stored(NamedTuple):
    """One picture of a file."""

    color: Any  # (M, N) or (M, N, 3) of uint8, uint16 or float32; or a Pillow picture of mode CMYK
    alpha: Array | None
    depth: int = 8  # bits per sample in the file: 8, 16 or 32
    turn: int = 1  # EXIF's orientation, still to be undone
    space: bytes | Space | None = None  # an ICC profile, or a color space given in another way; None: nothing is said
    dpi: tuple[float, float] | None = None
    exif: Any = None  # Pillow's reading of it, or its bytes
    xmp: bytes | None = None
    iptc: bytes | None = None  # its records, or the JPEG segment around them
    tags: Any = None  # of EXIF, where the reader took them from the file itself
    page: int = 1
    pages: int = 1
    notes: tuple[str, ...] = ()


def check_size(size: tuple[int, int], limit: int) -> None:
    """Refuse a picture of no pixels, or of more than the limit.

    Raises
    ------
    ImageError
        If it is one.
    """
    width, height = size
    if width * height > limit:
        raise ImageError(
            f"{width} x {height} pixels are more than the limit of {limit / 1e6:g} million; "
            "raise BGKIT_MAX_PIXELS if you trust it"
        )
    if width < 1 or height < 1:
        raise ImageError("has no pixels")


def choose_page(wanted: int | None, count: int, first: int = 1) -> int:
    """Return which of ``count`` pictures is meant, from 1.

    Raises
    ------
    ImageError
        If there are fewer.
    """
    if wanted is not None and not 1 <= wanted <= count:
        raise ImageError(f"has no page {wanted}: it holds {count} picture{'s' * (count > 1)}")
    return wanted or first


def unmultiplied(color: Array, alpha: Array) -> Array:
    """Divide color of any dtype that was multiplied by its alpha by it again, to the nearest level."""
    top = 1 if color.dtype.kind == "f" else np.iinfo(color.dtype).max
    part = alpha if color.ndim == 2 else alpha[:, :, None]
    share = np.divide(color, part, out=np.zeros(color.shape, np.float32), where=part > 0, dtype=np.float32)
    np.minimum(share, 1, out=share)
    return share if top == 1 else np.rint(share * np.float32(top)).astype(color.dtype)


def checked_floats(samples: Array, has_profile: bool) -> tuple[Array, tuple[str, ...]]:
    """Return floats as float32 in 0..1; what is beyond is clipped where a profile says what 1 means, else refused.

    Raises
    ------
    ImageError
        If they are NaN or infinite, or nothing says what is white.
    """
    low, high = float(samples.min()), float(samples.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError("has floating-point samples that are NaN or infinite; expected 0..1")
    share = samples.astype(np.float32)
    if low >= 0 and high <= 1:
        return share, ()
    if not has_profile and not (low >= -0.1 and high <= 1.1):
        raise ImageError(
            f"has floating-point samples of {low:g}..{high:g} and no profile, so nothing says what is white; "
            "expected 0..1: divide by its white, or save it with 8 or 16 bits"
        )
    return np.clip(share, 0, 1), (f"floating-point samples of {low:g}..{high:g} are clipped to 0..1",)


def dpi_of(info: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return dots per inch, across and down, or None where they are absent or absurd."""
    try:
        across, down = (round(float(value), 2) for value in info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 1 <= across <= 1e5 and 1 <= down <= 1e5 else None
