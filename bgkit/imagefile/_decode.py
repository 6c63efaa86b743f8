"""From a file to samples: which format, how large, what depth, which way up, in which colors.

Each format has its reader, which gives a :class:`bgkit.imagefile._stored.Stored`; here it is turned upright and into
sRGB, and what there is to say of it is gathered.
"""

from __future__ import annotations

import io
import mmap
import os
import stat
import struct
from collections.abc import Callable
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bgkit.errors import ImageError
from bgkit.files import local_path
from bgkit.imagefile import (
    _gif,
    _heic,
    _jpeg,
    _jxl,
    _metadata,
    _pillow,
    _png,
    _profile,
    _raw,
    _signals,
    _tiff,
    _windows,
)
from bgkit.imagefile._formats import HEAD, Format, format_of, load_plugin
from bgkit.imagefile._source import Source, pixel_limit, take
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size

__all__ = ["Raw", "count_pages", "decode", "header_size"]

_READERS: dict[str, Callable[[bytes, Format, Wanted], Stored]] = {
    "JPEG": _jpeg.read,
    "PNG": _png.read,
    "TIFF": _tiff.read,
    "BMP": _windows.read_bmp,
    "GIF": _gif.read,
    "HEIC": _heic.read,
    "JPEG XL": _jxl.read,
    "ICO": _windows.read_ico,
    "camera raw": _raw.read,
}  # all other formats are Pillow's


class Raw(NamedTuple):
    """Pixels between the file and :class:`bgkit.imagefile.Picture`: samples as stored, upright."""

    color: Array  # (M, N) or (M, N, 3); uint8, uint16, or float32 where a profile was applied
    alpha: Array | None
    depth: int
    dpi: tuple[float, float] | None
    format: str
    path: str | None
    profile: str | None
    page: int
    pages: int
    notes: tuple[str, ...]
    metadata: dict[str, bytes]  # exif, xmp and iptc, where colors count


_LARGE = 1 << 28  # bytes of a file that is judged by its header before it is read whole
_SOFTWARE = 0x0131
_KINDS = {"RGB": "RGB", "L": "gray", "CMYK": "CMYK"}
_WRONG_PROFILE = "its color profile is for {} pictures, and it is {}; its colors are taken as they stand"


def decode(source: Source, max_pixels: int | None, *, color_managed: bool, page: int | None = None) -> Raw:
    """Return the samples of a picture, or raise an ImageError that begins with its name."""
    wanted = Wanted(pixel_limit(max_pixels), page)
    _judge_large(source, wanted.max_pixels)
    data, path = take(source, wanted.max_pixels)
    place = path or "picture"
    try:
        with _pillow.apart(wanted.max_pixels):
            if data is None:
                return _finished(
                    _pillow.read_memory(source, wanted),
                    getattr(source, "format", None) or "memory",
                    path,
                    color_managed,
                    True,
                )
            form = format_of(data[:HEAD], path)
            stored = _READERS.get(form.name, _pillow.read)(data, form, wanted)
            return _finished(stored, form.name, path, color_managed, page is not None)
    except ImageError as error:
        raise error.at(place) from error.__cause__
    except MemoryError as error:
        raise ImageError(f"{place}: needs more memory than there is") from error
    except Exception as error:
        # Hostile files make the decoders raise nearly anything: struct.error, KeyError, SyntaxError, ...
        if {type(error), type(error.__cause__)} & {struct.error, IndexError, KeyError}:  # read beyond what there is
            raise ImageError(f"{place}: is truncated or damaged") from error
        reason = str(error).strip().splitlines()
        raise ImageError(f"{place}: cannot be read: {reason[0] if reason else type(error).__name__}") from error


def _judge_large(source: Source, limit: int) -> None:
    """Refuse a large file by its header, before gigabytes are read for no picture or for one that is too large."""
    if not isinstance(source, str | PathLike):
        return
    try:
        path = local_path(os.fspath(source))
        found = Path(path).stat()
        size = header_size(path) if stat.S_ISREG(found.st_mode) and found.st_size > _LARGE else None
    except (OSError, ValueError):  # which reading it will report
        return
    if size is not None:
        try:
            check_size(size[::-1], limit)
        except ImageError as error:
            raise error.at(path) from None


def header_size(source: str | PathLike[str] | bytes) -> tuple[int, int] | None:
    """Return rows and columns, upright, as a file's header tells them, unchecked; None where it tells nothing."""
    path = None if isinstance(source, bytes) else os.fspath(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file, _pillow.apart(0):
            form = format_of(file.read(HEAD), path)
            file.seek(0)
            _pillow.check_head(file.read(_pillow.HEAD_OF_PNM), form)
            file.seek(0)
            if form.name in ("TIFF", "JPEG XL"):
                with nullcontext(source) if isinstance(source, bytes) else _mapped(file) as data:
                    return _tiff.size_of(data) if form.name == "TIFF" else _jxl.size_of(data)[::-1]
            if not form.module:
                return None
            picture = load_plugin(form)(file)
            width, height = picture.size
            turned = _pillow.orientation(picture) >= 5
    except Exception:  # hostile files: see decode()
        return None
    return (width, height) if turned else (height, width)


def _mapped(file: Any) -> Any:
    """Map a file, of which only the directories are looked at, however large it is."""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def count_pages(path: str | PathLike[str]) -> int:
    """Return how many pictures a file holds, by its header; 1 where it cannot be read, which reading it will report."""
    try:
        data, name = take(os.fspath(path), pixel_limit())
        with _pillow.apart(0):
            assert data is not None
            form = format_of(data[:HEAD], name)
            if form.name == "TIFF":
                _, pages, raw = _tiff.full_pictures(data)
                return 1 if raw else len(pages)
            if form.name == "HEIC":
                return _heic.count(data)
            if form.name == "JPEG":
                return _jpeg.count(data, form)
            if form.name in ("GIF", "WEBP", "PNG", "AVIF"):
                return int(getattr(_pillow.open_header(data, form), "n_frames", 1))
    except Exception:  # hostile files: see decode()
        pass
    return 1


def _finished(stored: Stored, form: str, path: str | None, managed: bool, chosen: bool) -> Raw:
    """Return what was decoded upright, in sRGB where colors count, with what the user should know of it."""
    notes = list(stored.notes)
    color, profile = _to_srgb(stored, managed, notes)
    if stored.pages > 1 and not chosen:
        others = stored.pages - 1
        notes.insert(
            0,
            f"holds {stored.pages} pictures; the {'main' if stored.page > 1 else 'first'} one is taken, {others} "
            f"{'is' if others == 1 else 'are'} left out (choose with page, or --page N or all)",
        )
    alpha = None if stored.alpha is None else _upright(stored.alpha, stored.turn)
    dpi = stored.dpi
    if stored.turn >= 5 and dpi:
        dpi = dpi[1], dpi[0]
    return Raw(
        _upright(color, stored.turn),
        alpha,
        16 if stored.depth > 8 else 8,
        dpi,
        form,
        path,
        profile,
        stored.page,
        stored.pages,
        tuple(notes),
        _metadata.gather(stored) if managed else {},
    )


def _to_srgb(stored: Stored, managed: bool, notes: list[str]) -> tuple[Array, str | None]:
    """Return color as an array of sRGB, and the name of the color space it was converted from."""
    from PIL import Image, ImageCms

    color, space = stored.color, stored.space
    array = color if isinstance(color, np.ndarray) else None
    mode = color.mode if array is None else ("L" if array.ndim == 2 else "RGB")
    if mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        return np.asarray(_profile.through_lcms(color, lab)), "CIELAB"
    if space is None and managed:
        space = _by_exif(stored.exif)
    name: str | None = None
    points = _profile.code_points(space) if managed and isinstance(space, bytes) and mode == "RGB" else None
    if points:
        space = _signals.of_code_points(*points, depth=16 if color.dtype == np.uint16 else 8) or space
    if managed and isinstance(space, _signals.Space):
        if space.note:
            notes.append(space.note)
        if space.curves is None or array is None:
            name = None if space.name == "sRGB" else space.name
            return (np.asarray(color.convert("RGB")) if array is None else array), name
        return space.curves.to_srgb(_as_integers(array)), space.name
    profile = space if managed and isinstance(space, bytes) else None
    if profile:
        try:
            kind = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20])
            if kind != mode:
                if kind != "RGB" or mode != "L" or not _profile.is_srgb(profile):
                    notes.append(_WRONG_PROFILE.format(_KINDS.get(kind or "", "other"), _KINDS[mode]))
                return (np.asarray(color.convert("RGB")) if array is None else array), None
            name = _profile.describe(profile)
            if mode == "RGB" and _profile.is_srgb(profile):
                return color, None
            if array is not None and array.dtype != np.uint8:
                curves = _profile.curves_of_profile(profile)
                if curves is not None:
                    return curves.to_srgb(_as_integers(array)), name
                array = (_as_integers(array) >> 8).astype(np.uint8)
            picture = color if array is None else Image.fromarray(np.ascontiguousarray(array))
            return np.asarray(_profile.through_lcms(picture, profile)), name
        except (ImageCms.PyCMSError, OSError, ValueError, ArithmeticError, IndexError, struct.error) as error:
            name = f"unreadable, taken as sRGB: {error}".splitlines()[0][:100]
            notes.append("its color profile cannot be read; its colors are taken as sRGB")
            array = color if isinstance(color, np.ndarray) else None
    return (np.asarray(color.convert("RGB")) if array is None else array), name


def _as_integers(array: Array) -> Array:
    """Return floats of 0..1 as uint16, which curves are tabled for."""
    return np.rint(array * np.float32(65535)).astype(np.uint16) if array.dtype.kind == "f" else array


def _by_exif(exif: Any) -> _signals.Space | None:
    """Return Adobe RGB where EXIF names it: an uncalibrated color space, and interoperability R03 (DCF 2.0, 3.1.3).

    An uncalibrated space without that name is a guess, and said. Programs, which name themselves, write it for pictures
    without a profile, so there it is sRGB; else it is Adobe RGB, the one space that cameras have no number for.
    """
    from PIL import Image

    try:
        if isinstance(exif, bytes):
            read = Image.Exif()
            read.load(exif)
            exif = read
        if exif is None or not len(exif):
            return None
        block = exif.get_ifd(0x8769)
        index = exif.get_ifd(0xA005).get(1) if 0xA005 in block else None
    except Exception:  # a broken block says nothing
        return None
    name = (index.decode("ascii", "replace") if isinstance(index, bytes) else str(index or ""))[:3]
    space = block.get(0xA001)
    if space == 2 or (space == 65535 and name == "R03"):
        return _signals.adobe_rgb()
    if space == 65535 and not name:
        guess = _signals.SRGB if exif.get(_SOFTWARE) else _signals.adobe_rgb()
        taken = "sRGB" if exif.get(_SOFTWARE) else "Adobe RGB"
        note = f"its EXIF says that its colors are not sRGB, and not what they are; they are taken as {taken}"
        return guess._replace(note=note)
    return None


def _upright(array: Array, turn: int) -> Array:
    """Undo an orientation (EXIF 2.32, 4.6.4 A: where row 0 and column 0 of the stored picture are seen)."""
    if turn >= 5:
        array = array.swapaxes(0, 1)
    rows, cols = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[turn]
    return array[::rows, ::cols]
