"""HEIC, the pictures of phones, by libheif through pillow-heif: the extra ``heic``."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from bgkit.errors import ImageError
from bgkit.imagefile import _boxes
from bgkit.imagefile._formats import Format
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size, choose_page, unmultiplied

__all__ = ["count", "read"]


def read(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a HEIC, or one of several pictures in it; libheif turns it upright."""
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            'is HEIC, which needs an optional part: pip install "bgkit[heic]"; or save it as JPEG or PNG'
        ) from None
    try:
        file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        page = choose_page(wanted.page, len(file), file.primary_index + 1)
        picture: Any = file[page - 1]
        check_size(picture.size, wanted.max_pixels)
        samples = np.asarray(picture)
    except (OSError, ValueError, RuntimeError, SyntaxError, EOFError) as error:
        reason = str(error).replace("\\n", " ").strip()
        raise ImageError(f"is HEIC that libheif cannot read ({reason}); save it as JPEG or PNG") from error
    mode = picture.mode.partition(";")[0].replace("I", "L")  # pillow-heif calls gray of more than 8 bits I;16
    if mode not in ("L", "LA", "La", "RGB", "RGBA", "RGBa") or samples.shape[1::-1] != picture.size:
        raise ImageError(f"is HEIC in a layout ({picture.mode}) that bgkit does not read; save it as JPEG or PNG")
    depth = 16 if samples.dtype == np.uint16 else 8
    if depth == 16:
        samples = _spread(samples, int(picture.info.get("bit_depth", 16)))
    color, alpha = samples, None
    if mode[-1] in "Aa":
        color, alpha = samples[:, :, :-1], samples[:, :, -1]
        color = color[:, :, 0] if color.shape[2] == 1 else color
        color = unmultiplied(color, alpha) if mode.endswith("a") else color
    space: Any = picture.info.get("icc_profile") or _boxes.space_of(data)
    info = picture.info
    return Stored(color, alpha, depth, 1, space, None, info.get("exif"), info.get("xmp"), page=page, pages=len(file))


def count(data: bytes) -> int:
    """Return how many pictures a HEIC holds."""
    import pillow_heif

    return len(pillow_heif.open_heif(io.BytesIO(data)))


def _spread(samples: Array, bits: int) -> Array:
    """Return samples whose lowest bits are empty (10 of 16) spread over 0..65535."""
    top = (2**bits - 1) << (16 - bits)
    return samples if bits >= 16 else np.rint(samples * (65535 / top)).clip(0, 65535).astype(np.uint16)
