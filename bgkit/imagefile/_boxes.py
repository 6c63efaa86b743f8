"""Boxes of ISO media files (HEIC, AVIF, JPEG 2000): what they say of color (ISO/IEC 14496-12, 12.1.5).

An ICC profile goes before code points (nclx), as in browsers: where a file has both, the code points are there
for the way from luma and chroma to RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bgkit.errors import ImageError
from bgkit.imagefile._signals import SRGB, Space, of_code_points

__all__ = ["Box", "boxes", "space_of"]

_MOST = 10_000  # boxes looked at: a file of nothing but headers ends somewhere


class Box(NamedTuple):
    """A box: its kind, and where its content begins and ends."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes that lie side by side between two offsets."""
    for _ in range(_MOST):
        if start + 8 > end:
            return
        size, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield Box(kind, start + head, start + size)
        start += size


def space_of(data: bytes) -> bytes | Space | None:
    """Return the color space of a file's main picture: an ICC profile, what its code points mean, or None.

    Raises
    ------
    ImageError
        If a JPEG 2000 names a space that is none of those which decoders turn into sRGB.
    """
    for box in boxes(data, 0, len(data)):
        if box.kind == b"meta":
            return _of_meta(data, box)
        if box.kind == b"jp2h":
            said = [inner for inner in boxes(data, box.start, box.end) if inner.kind == b"colr"]
            best = _best([_of_colr(data, inner) for inner in said])
            numbers = [int.from_bytes(data[inner.start + 3 : inner.start + 7], "big") for inner in said]
            if best is None and numbers and all(data[inner.start] == 1 for inner in said):
                raise ImageError(
                    f"has colors in the enumerated space {numbers[0]} of JPEG 2000; expected 16 (sRGB), 17 (gray) or "
                    "18 (sYCC), or an ICC profile: save it in sRGB"
                )
            return best
    return None


def _of_meta(data: bytes, meta: Box) -> bytes | Space | None:
    inner = {box.kind: box for box in boxes(data, meta.start + 4, meta.end)}
    if b"iprp" not in inner or b"pitm" not in inner:
        return None
    pitm = inner[b"pitm"]
    width = 2 if data[pitm.start] == 0 else 4
    main = int.from_bytes(data[pitm.start + 4 : pitm.start + 4 + width], "big")
    properties = {box.kind: box for box in boxes(data, inner[b"iprp"].start, inner[b"iprp"].end)}
    if b"ipco" not in properties or b"ipma" not in properties:
        return None
    kept = list(boxes(data, properties[b"ipco"].start, properties[b"ipco"].end))
    of_main = _associated(data, properties[b"ipma"], main)
    mine = [kept[index - 1] for index in of_main if 0 < index <= len(kept)]
    return _best([_of_colr(data, box) for box in mine if box.kind == b"colr"])


def _associated(data: bytes, ipma: Box, item: int) -> list[int]:
    """Return the numbers of an item's properties, from 1 (ISO/IEC 23008-12, 9.3.1)."""
    version, flags = data[ipma.start], data[ipma.start + 3]
    width, step = (2 if version == 0 else 4), (2 if flags & 1 else 1)
    at = ipma.start + 8
    for _ in range(min(int.from_bytes(data[ipma.start + 4 : at], "big"), _MOST)):
        if at + width + 1 > ipma.end:
            return []
        found, count = int.from_bytes(data[at : at + width], "big"), data[at + width]
        at += width + 1
        if found == item:
            mask = 0x7FFF if step == 2 else 0x7F  # the highest bit says that a reader must know the property
            return [int.from_bytes(data[at + step * k : at + step * (k + 1)], "big") & mask for k in range(count)]
        at += step * count
    return []


def _of_colr(data: bytes, box: Box) -> bytes | Space | None:
    kind, body = data[box.start : box.start + 4], data[box.start : box.end]
    if kind in (b"prof", b"rICC"):
        return body[4:] or None
    if kind in (b"nclx", b"nclc") and len(body) >= 10:
        # The range counts for luma and chroma, from which the decoder has made RGB already.
        return of_code_points(int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big"))
    if body[:1] == b"\2":  # JPEG 2000: a restricted ICC profile (ISO/IEC 15444-1, I.5.3.3)
        return body[3:] or None
    if body[:1] == b"\1" and int.from_bytes(body[3:7], "big") in (16, 17, 18):
        return SRGB
    return None


def _best(found: list[bytes | Space | None]) -> bytes | Space | None:
    profiles = [each for each in found if isinstance(each, bytes)]
    return next((each for each in [*profiles, *found] if each is not None), None)
