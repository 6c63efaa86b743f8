"""Which formats there are, how each is recognized by its first bytes, and who reads it.

A name says nothing, with one exception: a Targa file of version 1 has no signature, so it is taken for
one only where its name says so too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from bgkit.errors import ImageError
from bgkit.files import CAMERA_RAW

__all__ = [
    "FORMATS",
    "HEAD",
    "PNG_SIGNATURE",
    "Format",
    "brands",
    "format_of",
    "load_plugin",
]

HEAD = 64  # bytes that tell the format
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, in both byte orders
_RAW = {  # camera raw files that their first bytes show; those that look like TIFF are recognized by their content
    b"FUJIFILMCCD-RAW": "RAF",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"IIU\0": "RW2",
    b"FOVb": "X3F",
    b"\0MRM": "MRW",
}


class Format(NamedTuple):
    """A format: its name, its usual endings, the test of its first bytes, and Pillow's plug-in where it has one."""

    name: str
    endings: tuple[str, ...]
    fits: Callable[[bytes], bool]
    module: str = ""
    factory: str = ""  # the plug-in's class; Image.open would also check a limit that is not ours
    extra: str = ""  # what brings its decoder, where bgkit itself does not


def brands(head: bytes) -> frozenset[bytes]:
    """Return the brands that an ISO media file names as its own (ISO/IEC 14496-12, 4.3)."""
    size = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp":
        return frozenset()
    return frozenset(head[at : at + 4] for at in (8, *range(16, min(size, len(head)), 4)))


def _is_heic(head: bytes) -> bool:
    return bool(brands(head) & {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


def _is_targa(head: bytes) -> bool:
    """Tell what may be a Targa header (TGA 2.0, field 1 to 5): types, palette and depths that go together."""
    if len(head) < 18:
        return False
    palette, kind, first, count, bits = head[1], head[2], head[3:5], head[5:7], head[7]
    depth = head[16]
    if kind in (1, 9):
        colors = palette == 1 and bits in (15, 16, 24, 32) and depth in (8, 16) and any(count)
    elif kind in (2, 10):
        colors = palette in (0, 1) and depth in (15, 16, 24, 32)
    elif kind in (3, 11):
        colors = palette == 0 and depth in (8, 16)
    else:
        return False
    plain = palette or not (any(first) or any(count) or bits)
    return bool(colors and plain and any(head[12:14]) and any(head[14:16]) and not head[17] & 0xC0)


FORMATS = (
    Format(
        "JPEG",
        (".jpg", ".jpeg", ".jfif"),
        lambda head: head.startswith(b"\xff\xd8\xff"),
        "JpegImagePlugin",
        "JpegImageFile",
    ),
    Format("PNG", (".png", ".apng"), lambda head: head.startswith(PNG_SIGNATURE), "PngImagePlugin", "PngImageFile"),
    Format(
        "WEBP",
        (".webp",),
        lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        "WebPImagePlugin",
        "WebPImageFile",
    ),
    Format("TIFF", (".tif", ".tiff"), lambda head: head[:4] in _TIFF, "TiffImagePlugin", "TiffImageFile"),
    Format("BMP", (".bmp",), lambda head: head.startswith(b"BM"), "BmpImagePlugin", "BmpImageFile"),
    Format("GIF", (".gif",), lambda head: head[:6] in (b"GIF87a", b"GIF89a"), "GifImagePlugin", "GifImageFile"),
    Format(
        "AVIF", (".avif",), lambda head: bool(brands(head) & {b"avif", b"avis"}), "AvifImagePlugin", "AvifImageFile"
    ),
    Format("HEIC", (".heic", ".heif", ".hif"), _is_heic, extra="heic"),
    Format(
        "JPEG XL",
        (".jxl",),
        lambda head: head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),
        extra="jxl",
    ),
    Format(
        "JPEG 2000",
        (".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
        lambda head: head.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
        "Jpeg2KImagePlugin",
        "Jpeg2KImageFile",
    ),
    Format("PSD", (".psd",), lambda head: head.startswith(b"8BPS"), "PsdImagePlugin", "PsdImageFile"),
    Format(
        "PNM",
        (".pnm", ".ppm", ".pgm", ".pbm", ".pfm"),
        lambda head: head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3].isspace(),
        "PpmImagePlugin",
        "PpmImageFile",
    ),
    Format("QOI", (".qoi",), lambda head: head.startswith(b"qoif"), "QoiImagePlugin", "QoiImageFile"),
    Format("ICO", (".ico",), lambda head: head.startswith(b"\0\0\1\0"), "IcoImagePlugin", "IcoImageFile"),
    Format(
        "camera raw",
        CAMERA_RAW,
        lambda head: head.startswith(tuple(_RAW)) or bool(brands(head) & {b"crx "}),
        extra="raw",
    ),
    Format("TGA", (".tga", ".vda", ".icb", ".vst"), _is_targa, "TgaImagePlugin", "TgaImageFile"),
)


def format_of(head: bytes, path: str | None) -> Format:
    """Return the format that a file's first bytes tell.

    Raises
    ------
    ImageError
        If it is none that bgkit reads.
    """
    if not head:
        raise ImageError("is empty (0 bytes)")
    for form in FORMATS:
        if form.fits(head) and (form.name != "TGA" or path is None or path.lower().endswith(form.endings)):
            return form
    raise ImageError(f"is not a picture that bgkit reads ({', '.join(form.name for form in FORMATS)})")


def load_plugin(form: Format) -> Any:
    """Return Pillow's plug-in for a format: a callable that takes a binary file and reads its header."""
    plugin = importlib.import_module(f"PIL.{form.module}")
    if not getattr(plugin, "SUPPORTED", True):
        raise ImageError(f"is {form.name}, which this Pillow was built without; save it as JPEG or PNG")
    return getattr(plugin, form.factory)
