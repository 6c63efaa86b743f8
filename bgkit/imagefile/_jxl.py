"""JPEG XL, by libjxl through pillow-jxl-plugin: the extra ``jxl``."""

from __future__ import annotations

from typing import Any

import numpy as np

from bgkit.errors import ImageError
from bgkit.imagefile import _boxes, _jpeg
from bgkit.imagefile._formats import FORMATS, Format
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size, choose_page

__all__ = ["read", "size_of"]


def read(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a JPEG XL; of an animation libjxl's wrapper gives the first picture only."""
    try:
        import pillow_jxl
    except ImportError:
        raise ImageError(
            'is JPEG XL, which needs an optional part: pip install "bgkit[jxl]"; or save it as JPEG or PNG'
        ) from None
    choose_page(wanted.page, 1)
    check_size(size_of(data), wanted.max_pixels)
    try:
        jpeg, info, pixels, profile, found = pillow_jxl.Decoder(num_threads=0)(data)
    except RuntimeError as error:
        raise ImageError("is truncated or damaged (libjxl)") from error
    if jpeg:  # a JPEG that was packed without loss
        return _jpeg.read(bytes(pixels), next(each for each in FORMATS if each.name == "JPEG"), wanted)
    color, alpha, depth = _samples(bytes(pixels), info)
    exif = next((bytes(box.data) for box in found if box.box_type == b"Exif"), None)
    xmp = next((bytes(box.data) for box in found if box.box_type == b"xml "), None)
    return Stored(color, alpha, depth, 1, profile or None, None, _tiff_in(exif) if exif else None, xmp)


def _tiff_in(box: bytes) -> bytes:
    """Return EXIF's TIFF from its box, where 4 bytes say how far off it begins (ISO/IEC 18181-2, 9.6).

    Pillow's plug-in leaves them out.
    """
    start = 0 if box[:4] in (b"II*\0", b"MM\0*") else 4 + int.from_bytes(box[:4])
    return box[start:]


def _samples(pixels: bytes, info: Any) -> tuple[Array, Array | None, int]:
    """Return color and alpha apart, and the depth; libjxl has turned the picture upright."""
    count = info.num_channels + (1 if info.has_alpha_channel and info.num_channels in (1, 3) else 0)
    size = info.width * info.height
    kinds: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16), 4: np.dtype(np.float32)}
    width = next((each for each in kinds if len(pixels) == size * count * each), 0)
    if not width:
        count = info.num_channels
        width = next((each for each in kinds if len(pixels) == size * count * each), 0)
    if not width or info.mode.startswith("F;"):
        raise ImageError(f"has a layout ({info.mode}) that bgkit does not read; save it as PNG")
    samples: Array = np.frombuffer(pixels, kinds[width]).reshape(info.height, info.width, count)
    if width == 4:
        samples = np.clip(samples, 0, 1)
    color = samples[:, :, 0] if count < 3 else samples[:, :, :3]
    return color, samples[:, :, -1] if count in (2, 4) else None, width * 8


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height, upright, by the first bits, before anything is decoded.

    They are SizeHeader and the beginning of ImageMetadata (ISO/IEC 18181-1, D.2 and D.3).
    """
    if data[:2] != b"\xff\x0a":
        start = next((box for box in _boxes.boxes(data, 0, len(data)) if box.kind in (b"jxlc", b"jxlp")), None)
        if start is None:
            raise ImageError("is damaged: it holds no picture")
        data = data[start.start + (4 if start.kind == b"jxlp" else 0) : start.start + 64]
    number, at = int.from_bytes(data[2:32], "little"), 0

    def bits(count: int) -> int:
        nonlocal at
        value = number >> at & ((1 << count) - 1)
        at += count
        return value

    def side(small: int) -> int:
        return (bits(5) + 1) * 8 if small else bits((9, 13, 18, 30)[bits(2)]) + 1

    small = bits(1)
    height = side(small)
    ratio = bits(3)
    if ratio == 0:
        width = side(small)
    else:
        above, below = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        width = height * above // below
    turned = not bits(1) and bits(1) and bits(3) >= 4  # all_default, extra_fields, orientation - 1
    return (height, width) if turned else (width, height)
