"""From a file to samples: which format, how large, what depth, which way up, in which colors.

Pillow reads the headers and most pixels. JPEG pixels come from libjpeg-turbo through simplejpeg,
and not for its 30 ms against Pillow's 85 ms (12 MP) alone: it reports damage that Pillow and
OpenCV paint over with gray. Samples of 16 bits, which Pillow halves, come from OpenCV.
"""

from __future__ import annotations

import importlib
import io
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError, ParamError
from bgkit.imagefile import _profile
from bgkit.imagefile._png import SIGNATURE, check_chunks

__all__ = ["MAX_PIXELS", "Raw", "Source", "decode", "dpi_of", "header_size", "why"]

MAX_PIXELS = 200_000_000  # 2.4 GB as float32 RGB; BGKIT_MAX_PIXELS changes it

Array = NDArray[Any]
Source = str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Any


class Raw(NamedTuple):
    """Pixels between the file and :class:`Picture`: samples as stored, upright."""

    color: Array  # (M, N) or (M, N, 3); uint8, uint16, or float32 where a profile was applied
    alpha: Array | None
    depth: int
    dpi: tuple[float, float] | None
    format: str
    path: str | None
    profile: str | None


class _Format(NamedTuple):
    name: str
    module: str  # of Pillow
    factory: str  # its plug-in class; Image.open would also check a limit that is not ours
    fits: Callable[[bytes], bool]  # tells the format by the first bytes


_FORMATS = (
    _Format("JPEG", "JpegImagePlugin", "JpegImageFile", lambda head: head.startswith(b"\xff\xd8\xff")),
    _Format("PNG", "PngImagePlugin", "PngImageFile", lambda head: head.startswith(SIGNATURE)),
    _Format("WebP", "WebPImagePlugin", "WebPImageFile", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    _Format(
        "TIFF", "TiffImagePlugin", "TiffImageFile", lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    ),
    _Format("BMP", "BmpImagePlugin", "BmpImageFile", lambda head: head.startswith(b"BM")),
    _Format("GIF", "GifImagePlugin", "GifImageFile", lambda head: head[:6] in (b"GIF87a", b"GIF89a")),
    _Format("AVIF", "AvifImagePlugin", "AvifImageFile", lambda head: _brand(head, b"avif", b"avis")),
)
_GRAY_16 = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16 bits, all of them gray
_HEAD = 64  # bytes that tell the format


def decode(source: Source, max_pixels: int | None, *, color_managed: bool) -> Raw:
    """Return the samples of a picture, or raise an ImageError that begins with its name."""
    limit = _limit(max_pixels)
    data, path = _bytes_of(source)
    place = path or "picture"
    try:
        with _pillow_apart(limit):
            if data is None:
                return _samples(source, None, path, limit, color_managed)
            return _samples(_open(data), data, path, limit, color_managed)
    except ImageError as error:
        raise error.at(place) from error.__cause__
    except MemoryError as error:
        raise ImageError(f"{place}: needs more memory than there is") from error
    except Exception as error:
        # Hostile files make the decoders raise nearly anything: struct.error, KeyError, SyntaxError, ...
        reason = str(error).strip().splitlines()
        raise ImageError(f"{place}: cannot be read: {reason[0] if reason else type(error).__name__}") from error


def header_size(source: str | PathLike[str] | bytes) -> tuple[int, int] | None:
    """Return rows and columns, upright, as a file's header tells them, unchecked; None where it tells nothing."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file, _pillow_apart(0):
            form = _format_of(file.read(_HEAD))
            file.seek(0)
            picture = getattr(importlib.import_module(f"PIL.{form.module}"), form.factory)(file)
            width, height = picture.size
            turned = _orientation(picture) >= 5
    except Exception:  # hostile files: see decode()
        return None
    return (width, height) if turned else (height, width)


def _limit(max_pixels: int | None) -> int:
    if max_pixels is not None:
        return max_pixels
    wish = os.environ.get("BGKIT_MAX_PIXELS", "")
    if not wish:
        return MAX_PIXELS
    if not wish.isdecimal() or int(wish) < 1:
        raise ParamError(f"BGKIT_MAX_PIXELS: expected a whole number from 1 up, got {wish!r}")
    return int(wish)


def _bytes_of(source: Source) -> tuple[bytes | None, str | None]:
    """Return the file's content and its name; no content for a Pillow picture."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), None
    if isinstance(source, (str, PathLike)):
        path = os.fspath(source)
        try:
            with Path(path).open("rb") as file:
                head = file.read(_HEAD)
                _format_of(head)  # before gigabytes of something else are read
                return head + file.read(), path
        except ImageError as error:
            raise error.at(path) from None
        except (OSError, ValueError, MemoryError) as error:
            raise ImageError(f"{path}: {why(error)}") from error
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        path = name if isinstance(name, str) else None
        try:
            data: object = source.read()
        except (OSError, ValueError) as error:
            raise ImageError(f"{path or 'picture'}: {why(error)}") from error
        if not isinstance(data, bytes):
            raise ImageError(f"{path or 'picture'}: expected a file opened as binary, got text")
        return data, path
    from PIL import Image

    if isinstance(source, Image.Image):
        return None, getattr(source, "filename", None) or None
    raise ImageError(f"expected a path, bytes, a binary file or a PIL image, got {type(source).__name__}")


def why(error: BaseException) -> str:
    """Return what the operating system says, in the words of the other messages."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, expected a picture file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _format_of(head: bytes) -> _Format:
    if not head:
        raise ImageError("is empty (0 bytes)")
    for form in _FORMATS:
        if form.fits(head):
            return form
    if _brand(head, b"heic", b"heix", b"hevc", b"mif1"):
        raise ImageError("is HEIC, which bgkit does not read; save it as JPEG or PNG")
    raise ImageError(f"is not a picture that bgkit reads ({', '.join(form.name for form in _FORMATS)})")


def _brand(head: bytes, *brands: bytes) -> bool:
    """Tell whether an ISO media file names one of ``brands`` among its own (ISO/IEC 14496-12, 4.3)."""
    size = int.from_bytes(head[:4], "big")
    return head[4:8] == b"ftyp" and any(head[at : at + 4] in brands for at in range(8, min(size, len(head)), 4))


def _open(data: bytes) -> Any:
    """Return Pillow's picture of which only the header has been read."""
    form = _format_of(data[:_HEAD])
    plugin = importlib.import_module(f"PIL.{form.module}")
    if form.name == "AVIF" and not plugin.SUPPORTED:
        raise ImageError("is AVIF, which this Pillow was built without; save it as JPEG or PNG")
    try:
        return getattr(plugin, form.factory)(io.BytesIO(data))
    except SyntaxError as error:
        if "unknown pixel mode" in str(error):
            raise ImageError("has a layout that bgkit does not read; save it with 8 or 16 bits per channel") from error
        raise


def _samples(picture: Any, data: bytes | None, path: str | None, limit: int, color_managed: bool) -> Raw:
    width, height = picture.size
    if width * height > limit:
        raise ImageError(
            f"{width} x {height} pixels are more than the limit of {limit / 1e6:g} million; "
            "raise BGKIT_MAX_PIXELS if you trust it"
        )
    if width * height == 0:
        raise ImageError("has no pixels")
    depth = _depth(picture, data)
    form = picture.format or "memory"
    color: Any  # an array, or Pillow's picture of what only Pillow converts
    alpha: Array | None = None
    if form == "JPEG" and data is not None:
        color = _jpeg(picture, data)
    else:
        picture.load()
        if depth == 16 and data is not None and picture.mode not in _GRAY_16:
            color, alpha = _wide(picture, data)
        else:
            color, alpha = _split(picture)
    turn = _orientation(picture)  # after loading: Pillow turns a TIFF by itself and drops the entry
    color, profile = _to_srgb(color, picture.info, managed=color_managed)
    dpi = dpi_of(picture.info)
    if turn >= 5 and dpi:
        dpi = dpi[1], dpi[0]
    alpha = None if alpha is None else _upright(alpha, turn)
    return Raw(_upright(color, turn), alpha, depth, dpi, form, path, profile)


def _depth(picture: Any, data: bytes | None) -> int:
    """Return 8 or 16, after the checks that only this format allows."""
    if picture.mode in ("F", "I"):
        kind = "floating-point" if picture.mode == "F" else "32-bit"
        raise ImageError(f"has {kind} samples; save it with 8 or 16 bits per channel")
    if data is not None and picture.format == "PNG":
        try:
            return 16 if check_chunks(data) == 16 else 8
        except ValueError as error:
            raise ImageError(str(error)) from None
    if picture.format == "TIFF" and data is not None:
        bits = picture.tag_v2.get(258, (8,))
        bits = bits if isinstance(bits, tuple) else (bits,)
        return 16 if max(bits) == 16 and picture.mode in (*_GRAY_16, "RGB", "RGBA", "RGBX") else 8
    return 16 if picture.mode in _GRAY_16 else 8


def _jpeg(header: Any, data: bytes) -> Any:
    """Decode with libjpeg-turbo, and take its warnings of missing or broken data for what they are."""
    import simplejpeg
    from PIL import Image

    space = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[header.mode]
    try:
        pixels: Array = simplejpeg.decode_jpeg(data, space)
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


def _wide(picture: Any, data: bytes) -> tuple[Array, Array | None]:
    """Return 16-bit color and alpha; Pillow has decoded the same file to 8 bits, so it is whole."""
    tags: Mapping[int, Any] = picture.tag_v2 if picture.format == "TIFF" else {}
    if tags.get(284) == 2:  # channels one after the other, which OpenCV mixes up
        import tifffile

        samples = np.moveaxis(tifffile.imread(io.BytesIO(data), key=0), 0, -1)
    else:
        samples = _opencv(data)
        if samples is not None and samples.ndim == 3:
            samples = samples[:, :, [2, 1, 0, 3][: samples.shape[2]]]
    width, height = picture.size
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3 or samples.shape[2] < 3:
        raise ImageError("has 16-bit samples in a layout that bgkit does not read; save it with 8 bits, or as PNG")
    color: Array = samples[:, :, :3]
    alpha: Array | None = None
    if samples.shape[2] == 4 and (picture.mode in ("LA", "RGBA") or "transparency" in picture.info):
        alpha = samples[:, :, 3]
    if tags:
        turn = tags.get(274, 1)
        color = _upright(color, turn)
        if alpha is not None:
            alpha = _upright(alpha, turn)
            if tags.get(338, (2,))[0] == 1:  # multiplied by alpha
                share = color / np.maximum(alpha, 1)[:, :, None]
                color = np.rint(np.minimum(share, 1) * 65535).astype(np.uint16)
    if color.shape[:2] != (height, width):
        raise ImageError("is damaged: its parts disagree about its size")
    return color, alpha


def _opencv(data: bytes) -> Any:
    """Decode as stored, without OpenCV's lines on stderr about every private tag of a TIFF."""
    import cv2

    with _wide_lock:  # the log level is one for the process
        before = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(before)


def _split(picture: Any) -> tuple[Any, Array | None]:
    """Return color and alpha apart: color as an array, or still Pillow's picture where it is CMYK or CIELAB."""
    key = picture.info.get("transparency")
    if picture.mode in _GRAY_16:
        samples = np.asarray(picture).astype(np.uint16)
        if picture.format == "TIFF" and picture.tag_v2.get(262) == 0:  # 0 is white, which Pillow overlooks here
            samples = 65535 - samples
        return samples, None if key is None else np.where(samples == key, 0, 65535).astype(np.uint16)
    if picture.mode in ("CMYK", "LAB"):
        return picture, None
    if picture.mode in ("P", "PA"):
        clear = key is not None or picture.mode == "PA" or picture.palette.mode == "RGBA"
        picture = picture.convert("RGBA" if clear else "RGB")
    elif picture.mode in ("RGBa", "La"):
        picture = picture.convert(picture.mode.upper())
    elif key is not None and picture.mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode not in ("L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    pixels = np.asarray(picture)
    if picture.mode == "LA":
        return pixels[:, :, 0], pixels[:, :, 1]
    if picture.mode == "RGBA":
        return pixels[:, :, :3], pixels[:, :, 3]
    return pixels, None


def _to_srgb(color: Any, info: Mapping[str, Any], *, managed: bool) -> tuple[Array, str | None]:
    """Return color as an array of sRGB, and the name of the profile it was converted from."""
    from PIL import Image, ImageCms

    array = color if isinstance(color, np.ndarray) else None
    mode = color.mode if array is None else ("L" if array.ndim == 2 else "RGB")
    if mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        return np.asarray(_profile.through_lcms(color, lab)), "CIELAB"
    name: str | None = None
    profile = info.get("icc_profile") if managed else None
    if profile and {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20]) == mode:
        try:
            name = _profile.describe(profile)
            if mode == "RGB" and _profile.is_srgb(profile):
                return color, None
            if array is not None and array.dtype == np.uint16:
                curves = _profile.curves_of_profile(profile)
                if curves is not None:
                    return curves.to_srgb(array), name
                array = (array >> 8).astype(np.uint8)
            picture = color if array is None else Image.fromarray(np.ascontiguousarray(array))
            return np.asarray(_profile.through_lcms(picture, profile)), name
        except (ImageCms.PyCMSError, OSError, ValueError, ArithmeticError, IndexError, struct.error) as error:
            name = f"unreadable, taken as sRGB: {error}".splitlines()[0][:100]
    elif managed and not profile and array is not None and "gamma" in info and "srgb" not in info:
        chunks = _profile.curves_of_chunks(info["gamma"], info.get("chromaticity") if mode == "RGB" else None)
        if chunks is not None:
            return chunks.to_srgb(array), f"PNG gamma {info['gamma']:g}"
    return (np.asarray(color.convert("RGB")) if array is None else color), name


def _orientation(picture: Any) -> int:
    """Return EXIF's orientation, 1..8; a broken entry counts as upright, as in viewers."""
    try:
        turn = picture.getexif().get(0x0112, 1)
    except Exception:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _upright(array: Array, turn: int) -> Array:
    """Undo an orientation (EXIF 2.32, 4.6.4 A: where row 0 and column 0 of the stored picture are seen)."""
    if turn >= 5:
        array = array.swapaxes(0, 1)
    rows, cols = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[turn]
    return array[::rows, ::cols]


def dpi_of(info: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return dots per inch, across and down, or None where they are absent or absurd."""
    try:
        across, down = (round(float(value), 2) for value in info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return (across, down) if 1 <= across <= 1e5 and 1 <= down <= 1e5 else None


_wide_lock = threading.Lock()
_apart = threading.Lock()
_inside = 0
_undo: list[Any] = []


@contextmanager
def _pillow_apart(limit: int) -> Iterator[None]:
    """Keep Pillow's warnings and its own size limit out while any thread reads.

    Both are global: the first thread in sets them, the last one out puts them back. Pillow's limit
    is only ever raised (its error stands at twice the number), so no other user of Pillow in this
    process is refused anything on our account.
    """
    global _inside
    from PIL import Image

    with _apart:
        if _inside == 0:
            quiet = warnings.catch_warnings()
            quiet.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
            _undo[:] = [quiet, Image.MAX_IMAGE_PIXELS]
        if Image.MAX_IMAGE_PIXELS is not None:
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, (limit + 1) // 2)
        _inside += 1
    try:
        yield
    finally:
        with _apart:
            _inside -= 1
            if _inside == 0:
                quiet, Image.MAX_IMAGE_PIXELS = _undo
                quiet.__exit__(None, None, None)
