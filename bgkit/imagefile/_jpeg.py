"""JPEG: its parts, and its pixels by libjpeg-turbo, whose warnings of missing or broken data are believed.

simplejpeg is used not for its 30 ms against Pillow's 85 ms (12 MP) alone: it reports damage that Pillow and OpenCV
paint over with gray.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bgkit.errors import ImageError
from bgkit.imagefile._formats import Format
from bgkit.imagefile._pillow import open_header, orientation
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size, choose_page, dpi_of

__all__ = ["count", "read"]

_MAX_SCANS = 100  # as libtiff has it; encoders write up to about 20, and each costs a pass over the whole picture
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # begins with one byte, which is found quickly
_START_OF_SCAN, _END, _APP2, _APP13 = 0xDA, 0xD9, 0xE2, 0xED
_PROFILE = b"ICC_PROFILE\0"
_BROKEN_PROFILE = "its color profile is not whole, and is left out"
_ENTRIES = 0xB002  # of the index of pictures (CIPA DC-007, 5.2.3)
_OF_A_GAIN_MAP = (
    b"hdrgm:",
    b"urn:iso:std:iso:ts:21496",
    b"hdrgainmap",
    b"HDRGainMap",
    b"GDepth:",
    b"depthmap",
    b"apple.com/pixeldata",
)
_HEAD = 1 << 16  # bytes of a further picture in which its kind is sought


class Part(NamedTuple):
    """A segment: its marker, where it begins, and where its content begins and ends."""

    marker: int
    at: int
    start: int
    end: int


def parts(data: bytes) -> Iterator[Part]:
    """Yield the segments of the first picture, as far as they can be followed."""
    position = 2
    while match := _MARKER.search(data, position):
        marker = match.group(1)[0]
        if marker == _END:
            return
        start = match.end() + 2
        size = int.from_bytes(data[match.end() : start], "big")
        yield Part(marker, match.end() - 2, start, match.end() + size)
        position = match.end() + max(size, 2)


def read(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a JPEG, or one of several views in it (MPO); a depth map or gain map behind the first is none of them."""
    header, shorter = _opened(data, form)
    broken = (_BROKEN_PROFILE,) if _has_profile(data) and not header.info.get("icc_profile") else ()
    views = _views(header, shorter, form)
    page = choose_page(wanted.page, 1 + len(views))
    if page == 1:
        return _read_one(header, shorter, wanted)._replace(pages=1 + len(views), notes=broken)
    view = views[page - 2]
    stored = _read_one(open_header(view, form), view, wanted)
    return stored._replace(page=page, pages=1 + len(views), space=stored.space or header.info.get("icc_profile"))


def _opened(data: bytes, form: Format) -> tuple[Any, bytes]:
    """Return Pillow's header and the data: without the profile's segments, where they are too short for Pillow."""
    try:
        return open_header(data, form), data
    except SyntaxError as error:  # Pillow's word for what its reader raises
        if not isinstance(error.__cause__, IndexError) or not _has_profile(data):
            raise
        shorter = _without_profile(data, list(parts(data)))
        return open_header(shorter, form), shorter


def count(data: bytes, form: Format) -> int:
    """Return how many views a JPEG holds."""
    header, shorter = _opened(data, form)
    return 1 + len(_views(header, shorter, form))


def _views(header: Any, data: bytes, form: Format) -> list[bytes]:
    """Return the pictures behind the first that its index calls views of the same scene, of a stereo camera's or so.

    Of what the index has no kind for, pictures of the same size and channels are views, unless they are gain maps.
    """
    try:
        entries = (header._getmp() or {}).get(_ENTRIES, [])
        base = header.info["mpoffset"] if entries else 0
    except Exception:  # a broken index costs only itself
        return []
    views = []
    for entry in entries[1:]:
        kind, start = entry["Attribute"]["MPType"], base + entry["DataOffset"]
        view = data[start : start + entry["Size"]]
        if not form.fits(view) or any(mark in view[:_HEAD] for mark in _OF_A_GAIN_MAP):
            continue
        if kind.startswith("Multi-Frame") or (kind == "Undefined" and _is_like(header, view, form)):
            views.append(view)
    return views


def _is_like(header: Any, view: bytes, form: Format) -> bool:
    try:
        other = open_header(view, form)
    except Exception:  # what cannot be read is no view
        return False
    return bool(other.size == header.size and other.mode == header.mode)


def _read_one(header: Any, data: bytes, wanted: Wanted) -> Stored:
    check_size(header.size, wanted.max_pixels)
    found = list(parts(data))
    scans = sum(part.marker == _START_OF_SCAN for part in found)
    if scans > _MAX_SCANS:
        raise ImageError(f"has {scans} scans, of which none is needed beyond {_MAX_SCANS}; save it again")
    info = header.info
    iptc = next((data[part.start : part.end] for part in found if part.marker == _APP13), None)
    return Stored(
        _pixels(header, data, found),
        None,
        8,
        orientation(header),
        info.get("icc_profile") or None,
        dpi_of(info),
        info.get("exif"),
        info.get("xmp"),
        iptc,
    )


def _pixels(header: Any, data: bytes, found: list[Part]) -> Any:
    """Return (M, N) or (M, N, 3) of uint8, or Pillow's picture of CMYK."""
    import simplejpeg
    from PIL import Image

    space = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[header.mode]
    try:
        try:
            pixels: Array = simplejpeg.decode_jpeg(data, space)
        except ValueError as error:
            if "ICC" not in str(error):
                raise
            pixels = simplejpeg.decode_jpeg(_without_profile(data, found), space)  # the profile is broken, not the rest
    except ValueError as error:
        reason = str(error)
        if "remature end" in reason or ("Corrupt" in reason and "extraneous" not in reason):
            raise ImageError(f"is truncated or damaged ({reason})") from None
        header.load()  # bytes too many between the parts, or a layout that only Pillow takes
        return header if space == "CMYK" else np.asarray(header)
    if pixels.shape[1::-1] != header.size:
        raise ImageError("is damaged: its parts disagree about its size")
    if space == "CMYK":
        np.subtract(255, pixels, out=pixels)  # Adobe stores ink inverted, and nobody else writes CMYK
        return Image.frombytes("CMYK", header.size, pixels.tobytes())
    return pixels[:, :, 0] if space == "GRAY" else pixels


def _has_profile(data: bytes) -> bool:
    return any(_is_of_profile(data, part) for part in parts(data))


def _is_of_profile(data: bytes, part: Part) -> bool:
    return part.marker == _APP2 and data[part.start : part.start + len(_PROFILE)] == _PROFILE


def _without_profile(data: bytes, found: list[Part]) -> bytes:
    kept, position = [], 0
    for part in found:
        if _is_of_profile(data, part):
            kept.append(data[position : part.at])
            position = part.end
    return b"".join([*kept, data[position:]])
