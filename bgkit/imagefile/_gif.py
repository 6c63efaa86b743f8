"""GIF: Pillow's decoder, and the ICC profile that it leaves out."""

from __future__ import annotations

import numpy as np

from bgkit.imagefile import _pillow
from bgkit.imagefile._formats import Format
from bgkit.imagefile._stored import Stored, Wanted

__all__ = ["read"]

_EXTENSION, _APPLICATION = 0x21, 0xFF


def read(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a GIF, or one picture of an animated one."""
    stored = _pillow.read(data, form, wanted)
    profile = _profile(data)
    if profile is None:
        return stored
    color = stored.color  # Pillow makes gray of a palette of grays, whose entries are RGB as those of any other
    return stored._replace(space=profile, color=np.repeat(color[:, :, None], 3, axis=2) if color.ndim == 2 else color)


def _profile(data: bytes) -> bytes | None:
    """Return the profile in the application extension ICCRGBG1 012 (ICC.1:2022, B.5) before the first picture."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)  # behind the global color table (GIF89a, 18 and 19)
    while data[at : at + 1] == bytes([_EXTENSION]):
        label, start = data[at + 1], at + 2
        parts, at = _blocks(data, start)
        if label == _APPLICATION and parts[:1] == [b"ICCRGBG1012"]:
            return b"".join(parts[1:]) or None
    return None


def _blocks(data: bytes, at: int) -> tuple[list[bytes], int]:
    """Return data sub-blocks, and where they end (GIF89a, 15 and 16)."""
    parts = []
    while at < len(data) and data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return parts, at + 1
