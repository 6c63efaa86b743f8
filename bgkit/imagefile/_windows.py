"""BMP and ICO: Pillow's decoders, and what Pillow leaves out: color spaces, alpha by masks, the deepest icon.

Headers are those of Microsoft's "Bitmap Header Types": BITMAPINFOHEADER (40 bytes), its forms with masks (52, 56),
BITMAPV4HEADER (108, a color space by numbers) and BITMAPV5HEADER (124, an ICC profile).
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from bgkit.errors import ImageError
from bgkit.imagefile import _png
from bgkit.imagefile._formats import FORMATS, PNG_SIGNATURE, Format
from bgkit.imagefile._pillow import open_header, split
from bgkit.imagefile._signals import Space, of_chunks
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size, choose_page, dpi_of

__all__ = ["read_bmp", "read_ico"]

_AT = 14  # the header, behind that of the file
_V4, _V5 = 108, 124
_BY_MASKS = (3, 6)  # BI_BITFIELDS, BI_ALPHABITFIELDS
_CALIBRATED, _LINKED, _EMBEDDED = 0, 0x4C494E4B, 0x4D424544
_D65 = (0.3127, 0.3290)
UNEQUAL = 1.02  # gammas of channels that differ by more are not one curve


def read_bmp(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a BMP."""
    choose_page(wanted.page, 1)
    info: dict[Any, Any] = {}
    depth = 8
    if _needs_masks(data):
        color, alpha, depth = _by_masks(data, wanted)
    elif _has_two_bits(data):
        color, alpha = _of_two_bits(data, wanted), None
    else:
        picture = open_header(data, form)
        check_size(picture.size, wanted.max_pixels)
        picture.load()
        info = picture.info
        color, alpha = split(picture)
    space, notes = _space(data)
    if alpha is not None and not alpha.any():
        alpha, notes = None, (*notes, "its alpha channel is clear everywhere, and is left out")
    if space is not None and color.ndim == 2:  # a palette of grays, whose entries are RGB as those of any other
        color = np.repeat(color[:, :, None], 3, axis=2)
    return Stored(color, alpha, depth, space=space, dpi=dpi_of(info), notes=notes)


def _space(data: bytes) -> tuple[bytes | Space | None, tuple[str, ...]]:
    """Return what the header says of color: an ICC profile or end points and gamma; and what is to be said of it."""
    size = int.from_bytes(data[_AT : _AT + 4], "little")
    if size < _V4 or len(data) < _AT + _V4:
        return None, ()
    (kind,) = struct.unpack_from("<I", data, _AT + 56)
    if kind == _CALIBRATED:
        return _calibrated(data)
    if size < _V5 or len(data) < _AT + _V5 or kind not in (_LINKED, _EMBEDDED):
        return None, ()
    if kind == _LINKED:
        return None, ("its color profile is in another file, which is not read; its colors are taken as sRGB",)
    offset, length = struct.unpack_from("<II", data, _AT + 112)
    profile = data[_AT + offset : _AT + offset + length]
    if not offset or len(profile) < length or not profile:
        return None, ("its color profile lies beyond its end; its colors are taken as sRGB",)
    return profile, ()


def _calibrated(data: bytes) -> tuple[Space | None, tuple[str, ...]]:
    """Return the color space of end points (2.30 fixed point) and gammas (16.16), and what is to be said of it.

    End points are written as chromaticities x, y, z, which leave white open (D65 is taken), or as the XYZ of the
    primaries, whose sum is white. Gammas are written as exponents of light (2.2) or of the signal (0.45).
    """
    ends = np.array(struct.unpack_from("<9i", data, _AT + 60), np.float64).reshape(3, 3) / 2**30
    gammas = np.array(struct.unpack_from("<3I", data, _AT + 96), np.float64) / 2**16
    chromaticities = None
    sums = ends.sum(1)
    if (sums > 0).all():
        white = ends.sum(0)
        xy = _D65 if np.allclose(sums, 1, atol=0.01) else tuple(white[:2] / white.sum())
        chromaticities = (*xy, *(ends[:, :2] / sums[:, None]).ravel())
    encoding = [min(gamma, 1 / gamma) for gamma in gammas if gamma > 0]
    gamma = float(np.mean(encoding)) if len(encoding) == 3 else None
    notes: tuple[str, ...] = ()
    if len(encoding) == 3 and max(encoding) > UNEQUAL * min(encoding):
        notes = ("its three channels have different gammas; their mean is taken",)
    return of_chunks(gamma, chromaticities, "BMP"), notes


def _masks(data: bytes) -> tuple[int, ...] | None:
    """Return the masks of red, green, blue and alpha, or None where the header has none."""
    if len(data) < _AT + 56:
        return None
    (size,), (bits, compression) = struct.unpack_from("<I", data, _AT), struct.unpack_from("<HI", data, _AT + 14)
    if compression not in _BY_MASKS or bits not in (16, 32) or size not in (40, 52, 56, _V4, _V5):
        return None
    masks = struct.unpack_from("<4I", data, _AT + 40)
    return masks if size >= 56 or (size == 40 and compression == 6) else (*masks[:3], 0)


def _needs_masks(data: bytes) -> bool:
    """Tell pictures that Pillow refuses, or whose alpha it loses: all but 565, 555, and whole bytes."""
    masks = _masks(data)
    if masks is None or not any(masks):
        return False
    whole = all(mask in (0, 0xFF, 0xFF00, 0xFF0000, 0xFF000000) for mask in masks)
    bits = int.from_bytes(data[_AT + 14 : _AT + 16], "little")
    usual = bits == 16 and masks in ((0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0))
    return not usual and not (bits == 32 and whole and not masks[3])


def _has_two_bits(data: bytes) -> bool:
    """Tell pictures of four colors, which Windows CE writes and Pillow does not know."""
    if len(data) < _AT + 40:
        return False
    (size,), (bits, compression) = struct.unpack_from("<I", data, _AT), struct.unpack_from("<HI", data, _AT + 14)
    return bool(size >= 40 and bits == 2 and compression == 0)


def _of_two_bits(data: bytes, wanted: Wanted) -> Array:
    """Return the colors of four pixels in each byte, the leftmost in its highest bits."""
    (start,), (size, width, height) = struct.unpack_from("<I", data, 10), struct.unpack_from("<Iii", data, _AT)
    (count,) = struct.unpack_from("<I", data, _AT + 32)
    rows, stride = abs(height), (width * 2 + 31) // 32 * 4
    check_size((width, rows), wanted.max_pixels)
    if start + rows * stride > len(data):
        raise ImageError("is truncated: some of its rows are missing")
    packed = np.frombuffer(data, np.uint8, rows * stride, start).reshape(rows, stride, 1)
    which = (packed >> np.array([6, 4, 2, 0], np.uint8) & 3).reshape(rows, -1)[:: 1 if height < 0 else -1, :width]
    entries = min(count or 4, 4, max(0, (start - _AT - size) // 4))
    colors = np.frombuffer(data, np.uint8, entries * 4, _AT + size).reshape(-1, 4)[:, 2::-1]
    if which.max() >= len(colors):
        raise ImageError(f"is damaged: it uses color {which.max()} of a palette of {len(colors)}")
    return colors[which]


def _by_masks(data: bytes, wanted: Wanted) -> tuple[Array, Array | None, int]:
    """Return color, alpha and depth of samples that masks pick out of 16 or 32 bits."""
    width, height = struct.unpack_from("<ii", data, _AT + 4)
    (start,) = struct.unpack_from("<I", data, 10)
    (bits,) = struct.unpack_from("<H", data, _AT + 14)
    masks = _masks(data)
    assert masks is not None
    check_size((width, abs(height)), wanted.max_pixels)
    rows, stride = abs(height), (width * bits + 31) // 32 * 4
    if start + rows * stride > len(data):
        raise ImageError("is truncated: some of its rows are missing")
    packed = np.frombuffer(data, np.uint8, rows * stride, start).reshape(rows, stride)[:, : width * bits // 8]
    values = np.ascontiguousarray(packed).view(f"<u{bits // 8}")[:: 1 if height < 0 else -1]
    depth = 16 if max(mask.bit_count() for mask in masks) > 8 else 8
    color = np.stack([_channel(values, mask, depth) for mask in masks[:3]], -1)
    return color, _channel(values, masks[3], depth) if masks[3] else None, depth


def _channel(values: Array, mask: int, depth: int) -> Array:
    """Return one channel, spread over 8 or 16 bits."""
    low = (mask & -mask).bit_length() - 1
    top = mask >> low if mask else 0
    if not mask or top & (top + 1):
        raise ImageError(f"has a mask of color ({mask:#x}) whose bits are not side by side; save it with 24 or 32 bits")
    samples = ((values & values.dtype.type(mask)) >> values.dtype.type(low)) * ((2**depth - 1) / top)
    return np.rint(samples).astype(np.uint16 if depth == 16 else np.uint8)


def read_ico(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode the largest picture of an icon, of several such the deepest; PNG within it as any other PNG."""
    from PIL.IcoImagePlugin import IcoFile

    choose_page(wanted.page, 1)
    icons: Any = IcoFile(io.BytesIO(data))
    if not icons.entry:
        raise ImageError("is damaged: it holds no picture")
    best = max(range(len(icons.entry)), key=lambda index: (icons.entry[index].square, icons.entry[index].color_depth))
    start, length = icons.entry[best].offset, icons.entry[best].size
    inner = data[start : start + length]
    if inner.startswith(PNG_SIGNATURE):
        png = next(each for each in FORMATS if each.name == "PNG")
        return _png.read(inner, png, wanted._replace(page=None))._replace(page=1, pages=1)
    frame = icons.frame(best)
    check_size(frame.size, wanted.max_pixels)
    color, alpha = split(frame)
    if alpha is not None and not alpha.any():  # icons of 32 bits made before alpha was known: the mask behind them
        alpha = _mask_of_icon(inner, frame.size)
    return Stored(color, alpha)


def _mask_of_icon(inner: bytes, size: tuple[int, int]) -> Array:
    """Return alpha by the mask that ends an icon: a bit for each pixel, set where it is clear, the last row first."""
    stride = (size[0] + 31) // 32 * 4
    if len(inner) < stride * size[1]:
        raise ImageError("is truncated: its mask is missing")
    packed = np.frombuffer(inner[-stride * size[1] :], np.uint8).reshape(size[1], stride)
    return (1 - np.unpackbits(packed, axis=1)[::-1, : size[0]]) * np.uint8(255)
