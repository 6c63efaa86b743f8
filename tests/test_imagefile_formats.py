"""The table of docs/reference/formats.md, cell by cell: what is read of depth, color, alpha, orientation and profile."""

# ruff: noqa: E501 (a cell, a line)

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from conftest import ROOT
from picture_files import (
    SRGB_FROM_ADOBE,
    adobe_rgb,
    bmp_of_two_bits,
    chunk,
    encode,
    levels,
    needs_avif,
    png,
    saved,
    scene,
    srgb_of_adobe,
    stored_for,
    tiff,
    tiff_of,
    veil,
    wide,
)
from PIL import Image

from bgkit.errors import ImageError
from bgkit.files import CAMERA_RAW, READABLE
from bgkit.imagefile import Picture, header_size, read_picture
from bgkit.imagefile._formats import FORMATS

COLUMNS = ("depth", "color", "alpha", "orientation", "profile")
RGBA = np.dstack([scene(), veil()])
GRAY = scene()[:, :, 0]
PLAIN = np.full((24, 40, 3), (200, 100, 50), np.uint8)  # for colors


def close(picture: Picture, samples: np.ndarray, tolerance: float = 0.01, alpha: np.ndarray | None = None) -> None:
    """See that a picture shows 8-bit samples, and an alpha or none."""
    shown = samples if samples.ndim == 3 else samples[:, :, None]
    assert picture.image.shape[:2] == shown.shape[:2]
    assert np.abs(levels(picture.image) - shown).max() <= tolerance
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.abs(picture.alpha * 255 - alpha).max() <= max(tolerance, 0.01)


def turned(form: str, turn: int, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved(stored_for(scene(), turn), form, exif=exif, **options)


def uncalibrated(form: str, **options) -> bytes:
    return saved(PLAIN, form, exif=adobe_exif(), **options)


def adobe_exif() -> bytes:
    """EXIF that says Adobe RGB: an uncalibrated color space, interoperability R03."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}
    return exif.tobytes()


def is_adobe(picture: Picture, tolerance: float = 1.5) -> None:
    close(picture, np.broadcast_to(srgb_of_adobe(PLAIN[:1, :1] / 255) * 255, PLAIN.shape), tolerance)
    assert picture.profile


def heic(samples: np.ndarray, mode: str = "", *, info: dict | None = None, **options) -> bytes:
    """A HEIC; of ``info``'s EXIF pillow-heif writes the orientation as the format's own boxes, too."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    memory = io.BytesIO()
    mode = mode or {2: "L", 3: "RGB", 4: "RGBA"}[samples.ndim if samples.ndim == 2 else samples.shape[2]]
    file = pillow_heif.from_bytes(mode, samples.shape[1::-1], samples.tobytes())
    file[0].info.update(info or {})
    file.save(memory, quality=-1, chroma=444, **options)
    return memory.getvalue()


def jxl(samples: np.ndarray, **options) -> bytes:
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    return saved(samples, "JXL", lossless=True, **options)


def code_points(data: bytes, primaries: int, transfer: int) -> bytes:
    """The file with other code points in its box nclx."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def jp2_with_profile(profile: bytes) -> bytes:
    """A JP2 whose box of color says an ICC profile."""
    data = saved(PLAIN, "JPEG2000")
    at = data.index(b"colr") - 4
    (size,) = struct.unpack_from(">I", data, at)
    box = struct.pack(">I", 11 + len(profile)) + b"colr\2\0\0" + profile
    head = data.index(b"jp2h") - 4
    (outer,) = struct.unpack_from(">I", data, head)
    grown = struct.pack(">I", outer + len(box) - size)
    return data[:head] + grown + data[head + 4 : at] + box + data[at + size :]


def psd(samples: np.ndarray, mode: int, *, layers: int = 0, resources: bytes = b"") -> bytes:
    """A PSD of one flat picture, not packed; ``layers`` as the count in its layer section."""
    planes = np.moveaxis(samples.reshape(*samples.shape[:2], -1), -1, 0)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", len(planes), *samples.shape[:2], 8, mode)
    info = struct.pack(">Ih", 2, layers) if layers else b""
    section = struct.pack(">I", len(info)) + info
    return head + bytes(4) + struct.pack(">I", len(resources)) + resources + section + b"\0\0" + planes.tobytes()


def resource(number: int, body: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + bytes(len(body) % 2)


def bayer_dng(turn: int = 1) -> bytes:
    """A camera raw file drawn by hand: gray light behind an RGGB filter, and a thumbnail that lies."""
    pytest.importorskip("rawpy", reason="the extra raw is not installed")
    import tifffile

    rational = [value for number in (1, 0, 0, 0, 1, 0, 0, 0, 1) for value in (number, 1)]
    mosaic = np.full((64, 96), 16383, np.uint16)
    mosaic[:, 48:] = 4096
    memory = io.BytesIO()
    with tifffile.TiffWriter(memory, byteorder="<") as writer:
        tags = [
            (50706, 1, 4, b"\1\4\0\0", True),
            (50708, 2, 6, "drawn", True),
            (50721, 10, 9, tuple(rational), True),
            (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
            (274, 3, 1, turn, True),
        ]
        writer.write(np.zeros((8, 12, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1, metadata=None,
                     extratags=tags)  # fmt: skip
        filters = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, b"\0\1\1\2", True), (50717, 4, 1, 16383, True)]
        writer.write(mosaic, photometric=32803, metadata=None, extratags=filters)
    return memory.getvalue()


def check_developed(picture: Picture, shape: tuple[int, int]) -> None:
    assert picture.image.shape[:2] == shape
    assert (picture.depth, picture.alpha) == (16, None)


CELLS = {
    ("JPEG", "depth"): ("8", lambda: close(read_picture(saved(scene(), "JPEG", quality=97, subsampling=0)), scene(), 4)),
    ("JPEG", "color"): (
        "gray, RGB, CMYK",
        lambda: [
            close(read_picture(saved(GRAY, "JPEG", quality=97)), GRAY, 3),
            close(read_picture(saved(Image.new("CMYK", (16, 16), (0, 255, 0, 0)), "JPEG")), np.full((16, 16, 3), (255, 0, 255)), 3),
        ],
    ),
    ("JPEG", "orientation"): ("EXIF", lambda: close(read_picture(turned("JPEG", 6, quality=97, subsampling=0)), scene(), 4)),
    ("JPEG", "profile"): (
        "ICC, else EXIF",
        lambda: [
            is_adobe(read_picture(saved(PLAIN, "JPEG", quality=100, subsampling=0, icc_profile=adobe_rgb())), 3),
            is_adobe(read_picture(uncalibrated("JPEG", quality=100, subsampling=0)), 3),
        ],
    ),
    ("PNG", "depth"): (
        "1, 2, 4, 8, 16",
        lambda: [
            close(read_picture(png_of_bits(np.arange(2**bits)[None], bits)), (np.arange(2**bits)[None] * 255 / (2**bits - 1)))
            for bits in (1, 2, 4)
        ]
        + [close(read_picture(png(scene(), 2, depth=8)), scene()), close(read_picture(png(wide(3), 2)), wide(3) / 257)],
    ),
    ("PNG", "color"): (
        "gray, RGB, palette",
        lambda: [
            close(read_picture(saved(GRAY, "PNG")), GRAY),
            close(read_picture(saved(Image.fromarray(PLAIN).quantize(4), "PNG")), PLAIN),
        ],
    ),
    ("PNG", "alpha"): (
        "channel, clear color or gray of any depth",
        lambda: [
            close(read_picture(saved(RGBA, "PNG")), scene(), alpha=veil()),
            *(
                close(
                    read_picture(png_of_bits(np.arange(2**bits)[None], bits, chunk(b"tRNS", b"\0\1"))),
                    np.arange(2**bits)[None] * 255 / (2**bits - 1),
                    alpha=np.where(np.arange(2**bits)[None] == 1, 0, 255),
                )
                for bits in (1, 2, 4)
            ),
        ],
    ),
    ("PNG", "orientation"): ("EXIF", lambda: close(read_picture(turned("PNG", 8)), scene())),
    ("PNG", "profile"): (
        "cICP, else ICC, else sRGB, else gAMA and cHRM, else EXIF",
        lambda: [
            # each outranks what stands behind it: linear light by cICP, Adobe RGB by ICC, sRGB, gamma 1
            close(read_picture(png(PLAIN, 2, cicp(1, 8), iccp(), srgb(), gama(0.5), depth=8)), linear(PLAIN), 0.6),
            is_adobe(read_picture(png(PLAIN, 2, iccp(), gama(1.0), depth=8))),
            close(read_picture(png(PLAIN, 2, srgb(), gama(1.0), depth=8)), PLAIN),
            close(read_picture(png(PLAIN, 2, gama(1.0), depth=8)), linear(PLAIN), 0.6),
            close(read_picture(png(PLAIN, 2, ADOBE_CHRM, depth=8)), ADOBE_PRIMARIES, 0.6),
            is_adobe(read_picture(uncalibrated("PNG"))),
        ],
    ),
    ("WEBP", "depth"): ("8", lambda: close(read_picture(saved(scene(), "WEBP", lossless=True)), scene())),
    ("WEBP", "color"): ("RGB", lambda: close(read_picture(saved(GRAY, "WEBP", lossless=True)), GRAY)),
    ("WEBP", "alpha"): ("channel", lambda: close(read_picture(saved(RGBA, "WEBP", lossless=True, exact=True)), scene(), alpha=veil())),
    ("WEBP", "orientation"): ("EXIF", lambda: close(read_picture(turned("WEBP", 5, lossless=True)), scene())),
    ("WEBP", "profile"): (
        "ICC, else EXIF",
        lambda: [
            is_adobe(read_picture(saved(PLAIN, "WEBP", lossless=True, icc_profile=adobe_rgb()))),
            is_adobe(read_picture(uncalibrated("WEBP", lossless=True))),
        ],
    ),
    ("TIFF", "depth"): (
        "1 to 16, floats of 16, 32 and 64 (0..1)",
        lambda: [
            *(check_bits(bits, photometric) for bits in range(1, 17) for photometric in (0, 1, 2)),
            close(read_picture(tiff((GRAY > 128), photometric="minisblack")), np.where(GRAY > 128, 255, 0)),
            close(read_picture(tiff(wide(3), photometric="rgb")), wide(3) / 257),
            *(close(read_picture(tiff((scene() / 255).astype(kind), photometric="rgb")), scene(), 0.2) for kind in "efd"),
        ],
    ),
    ("TIFF", "color"): (
        "gray, RGB, palette, CMYK, YCbCr, CIELAB",
        lambda: [
            close(read_picture(saved(Image.fromarray(PLAIN).quantize(4), "TIFF")), PLAIN),
            close(read_picture(saved(Image.new("CMYK", (4, 4), (0, 255, 0, 0)), "TIFF")), np.full((4, 4, 3), (255, 0, 255)), 1.01),
            close(read_picture(saved(Image.fromarray(PLAIN).convert("YCbCr"), "TIFF")), PLAIN, 3),
            close(read_picture(tiff(np.full((4, 4, 3), (128, 0, 0), np.uint8), photometric="cielab")), np.full((4, 4, 3), 119), 1),
        ],
    ),
    ("TIFF", "alpha"): (
        "channel, divided out where it was multiplied",
        lambda: [
            close(read_picture(saved(RGBA, "TIFF")), scene(), alpha=veil()),
            close(
                read_picture(tiff(np.full((4, 4, 4), (100, 50, 25, 128), np.uint8), photometric="rgb", extrasamples=["assocalpha"])),
                np.full((4, 4, 3), (199, 100, 50)),
                1,
                alpha=np.full((4, 4), 128),
            ),
        ],
    ),
    ("TIFF", "orientation"): ("its own", lambda: close(read_picture(tiff(stored_for(scene(), 7), photometric="rgb", extratags=[(274, 3, 1, 7, True)])), scene())),
    ("TIFF", "profile"): ("ICC", lambda: is_adobe(read_picture(tiff(PLAIN, photometric="rgb", iccprofile=adobe_rgb())))),
    ("BMP", "depth"): (
        "8, masks of up to 16",
        lambda: [
            close(read_picture(saved(scene(), "BMP")), scene()),
            # 25 of 31, 24 of 63, 6 of 31 (Pillow rounds down); 800, 400 and 200 of 1023
            close(read_picture(bmp(np.full((4, 6), 25 << 11 | 24 << 5 | 6, "<u2"), masks=(0xF800, 0x7E0, 0x1F, 0))), np.full((4, 6, 3), (205.6, 97.1, 49.4)), 1),
            close(read_picture(bmp(np.full((4, 6), 800 << 20 | 400 << 10 | 200, "<u4"), masks=(0x3FF00000, 0xFFC00, 0x3FF, 0))), np.full((4, 6, 3), np.array([800, 400, 200]) * 255 / 1023)),
        ],
    ),
    ("BMP", "color"): (
        "gray, RGB, palette",
        lambda: [close(read_picture(saved(GRAY, "BMP")), GRAY), close(read_picture(saved(Image.fromarray(PLAIN).quantize(4), "BMP")), PLAIN)],
    ),
    ("BMP", "alpha"): (
        "channel, where a mask declares it",
        lambda: [
            close(read_picture(bmp(packed_32(RGBA), masks=MASKS)), scene(), alpha=veil()),
            close(read_picture(bmp(packed_32(RGBA), masks=MASKS, header=108)), scene(), alpha=veil()),
            close(read_picture(bmp(packed_32(RGBA), masks=(*MASKS[:3], 0))), scene()),
            close(read_picture(bmp(np.array([[0xFFFF, 0x7FFF]] * 4, "<u2"), masks=(0x7C00, 0x3E0, 0x1F, 0x8000))), np.full((4, 2, 3), 255), alpha=np.array([[255, 0]] * 4)),
            close(read_picture(bmp(np.full((4, 6), 0x8C63, "<u2"), masks=(0xF00, 0xF0, 0xF, 0xF000))), np.full((4, 6, 3), (204, 102, 51)), alpha=np.full((4, 6), 136)),
        ],
    ),
    ("BMP", "profile"): (
        "ICC, else end points and gamma",
        lambda: [
            is_adobe(read_picture(bmp(packed_32(PLAIN), profile=adobe_rgb()))),
            is_adobe(read_picture(bmp(packed_32(PLAIN), masks=(*MASKS[:3], 0), profile=adobe_rgb()))),
            close(read_picture(bmp(packed_32(PLAIN), ends=ADOBE_ENDS, gamma=2.2)), ADOBE_BY_GAMMA, 0.6),
            close(read_picture(bmp(packed_32(PLAIN), ends=ADOBE_ENDS, gamma=1 / 2.2, header=108)), ADOBE_BY_GAMMA, 0.6),
            close(read_picture(bmp(packed_32(PLAIN), ends=SRGB_TRISTIMULUS, gamma=1)), linear(PLAIN), 0.6),
        ],
    ),
    ("GIF", "depth"): ("8", lambda: close(read_picture(saved(GRAY, "GIF")), GRAY)),
    ("GIF", "color"): ("palette", lambda: close(read_picture(saved(Image.fromarray(PLAIN).quantize(4), "GIF")), PLAIN)),
    ("GIF", "alpha"): ("clear color", lambda: check_gif()),
    ("GIF", "profile"): (
        "ICC",
        lambda: [
            is_adobe(read_picture(gif_with_profile(Image.fromarray(PLAIN).quantize(4)))),
            close(read_picture(gif_with_profile(Image.new("L", (40, 24), 50))), srgb_of_adobe(np.full((24, 40, 3), 50 / 255)) * 255, 1.5),
        ],
    ),
    ("AVIF", "depth"): (
        "8, more as 8",
        lambda: [close(read_picture(avif(scene())), scene(), 4), *(close(read_picture(deep_avif(bits)), PLAIN, 1.5) for bits in (10, 12))],
    ),
    ("AVIF", "color"): ("gray, RGB", lambda: close(read_picture(avif(GRAY)), GRAY, 4)),
    ("AVIF", "alpha"): ("channel", lambda: close(read_picture(avif(np.dstack([PLAIN, veil()]))), PLAIN, 4, alpha=veil())),
    ("AVIF", "orientation"): ("its own", lambda: close(read_picture(turned("AVIF", 6, quality=100, subsampling="4:4:4")), scene(), 5)),
    ("AVIF", "profile"): (
        "ICC, else nclx, else EXIF",
        lambda: [
            is_adobe(read_picture(avif(PLAIN, icc_profile=adobe_rgb())), 3),
            close(read_picture(code_points(avif(PLAIN), 1, 8)), linear(PLAIN), 3),
            close(read_picture(code_points(avif(PLAIN), 12, 13)), P3_PLAIN, 3),
            is_adobe(read_picture(code_points(uncalibrated("AVIF", quality=100, subsampling="4:4:4"), 2, 2)), 3),
        ],
    ),
    ("HEIC", "depth"): (
        "8, 10 and 12 as 16",
        lambda: [
            close(read_picture(heic(scene())), scene(), 6),
            close(read_picture(heic((scene().astype(np.uint16) * 257), "RGB;16")), scene(), 6),
            *(check_deep_heic(bits) for bits in (10, 12)),
        ],
    ),
    ("HEIC", "color"): (
        "gray, RGB",
        lambda: [
            close(read_picture(heic(GRAY)), GRAY, 6),
            close(read_picture(heic(GRAY.astype(np.uint16) * 257, "I;16")), GRAY, 0.25),  # a step of ten bits
        ],
    ),
    ("HEIC", "alpha"): ("channel", lambda: close(read_picture(heic(np.dstack([PLAIN, veil()]))), PLAIN, 6, alpha=veil())),
    ("HEIC", "orientation"): ("its own; EXIF's is ignored", lambda: [check_heic_turn(), *(close(read_picture(heic(stored_for(scene(), turn), info={"exif": turned_exif(turn)})), scene(), 6) for turn in range(1, 9))]),
    ("HEIC", "profile"): (
        "ICC, else nclx, else EXIF",
        lambda: [
            is_adobe(read_picture(heic(PLAIN, info={"icc_profile": adobe_rgb(), "icc_profile_type": "prof"})), 3),
            is_adobe(read_picture(heic(PLAIN.astype(np.uint16) * 257, "RGB;16", info={"icc_profile": adobe_rgb(), "icc_profile_type": "prof"})), 3),
            close(read_picture(code_points(heic(PLAIN), 1, 8)), linear(PLAIN), 6),
            close(read_picture(code_points(heic(PLAIN), 12, 13)), P3_PLAIN, 3),
            is_adobe(read_picture(code_points(heic(PLAIN, info={"exif": adobe_exif()}), 2, 2)), 3),
        ],
    ),
    ("JPEG XL", "depth"): (
        "8, 10 and 12 as 8, 16",
        lambda: [
            close(read_picture(jxl(scene())), scene()),
            *(close(read_picture(jxl_of(PLAIN, bits=bits)), PLAIN * (255 / (2**bits - 1)), 0.51) for bits in (10, 12)),
            close(read_picture(jxl(wide(1)[:, :, 0])), encode(wide(1)[:, :, 0] / 65535) * 255, 0.05),
        ],
    ),
    ("JPEG XL", "color"): ("gray, RGB", lambda: close(read_picture(jxl(GRAY)), GRAY)),
    ("JPEG XL", "alpha"): ("channel", lambda: close(read_picture(jxl(np.dstack([PLAIN, veil()]))), PLAIN, alpha=veil())),
    ("JPEG XL", "orientation"): (
        "its own; EXIF's is ignored",
        lambda: [*(close(read_picture(jxl_of(stored_for(scene(), turn), turn=turn)), scene()) for turn in range(1, 9)), close(read_picture(jxl(scene(), exif=turned_exif(6))), scene())],
    ),
    ("JPEG XL", "profile"): (
        "its own: cicp, else ICC",
        lambda: [
            close(read_picture(jxl(PLAIN)), PLAIN),
            close(read_picture(jxl_of(PLAIN, primaries=11, transfer=13)), P3_PLAIN, 0.6),
            close(read_picture(jxl_of(PLAIN, primaries=1, transfer=8)), linear(PLAIN), 0.6),
            close(read_picture(jxl_of(PLAIN, primaries=1, transfer=1)), PLAIN),
            close(read_picture(jxl_of(PLAIN, primaries=1, gamma=1 / 1.8)), encode((PLAIN / 255) ** 1.8) * 255, 1.5),
        ],
    ),
    ("JPEG 2000", "depth"): (
        "8, 16",
        lambda: [close(read_picture(saved(scene(), "JPEG2000")), scene()), close(read_picture(saved(wide(1)[:, :, 0], "JPEG2000")), wide(1)[:, :, 0] / 257)],
    ),
    ("JPEG 2000", "color"): ("gray, RGB", lambda: close(read_picture(saved(GRAY, "JPEG2000")), GRAY)),
    ("JPEG 2000", "alpha"): ("channel", lambda: close(read_picture(saved(RGBA, "JPEG2000")), scene(), alpha=veil())),
    ("JPEG 2000", "profile"): ("ICC", lambda: is_adobe(read_picture(jp2_with_profile(adobe_rgb())))),
    ("PSD", "depth"): ("8", lambda: close(read_picture(psd(scene(), 3)), scene())),
    ("PSD", "color"): (
        "gray, RGB, CMYK",
        lambda: [
            close(read_picture(psd(GRAY, 1)), GRAY),
            close(read_picture(psd(np.full((4, 4, 4), (255, 0, 255, 255), np.uint8), 4)), np.full((4, 4, 3), (255, 0, 255)), 1.01),
        ],
    ),
    ("PSD", "alpha"): (
        "of the whole, its white taken out; a saved selection is none",
        lambda: [
            close(read_picture(psd(np.full((4, 4, 4), (227, 177, 152, 128), np.uint8), 3, layers=-1)), np.full((4, 4, 3), (199, 100, 50)), 1, alpha=np.full((4, 4), 128)),
            close(read_picture(psd(RGBA, 3, layers=1)), scene()),
        ],
    ),
    ("PSD", "profile"): ("ICC", lambda: is_adobe(read_picture(psd(PLAIN, 3, resources=resource(1039, adobe_rgb()))))),
    ("PNM", "depth"): (
        "1, 8, 16, floats (0..1)",
        lambda: [
            close(read_picture(b"P4 8 1\n\xa5"), np.array([[0, 255, 0, 255, 255, 0, 255, 0]])),
            close(read_picture(b"P6 13 11 65535\n" + wide(3).astype(">u2").tobytes()), wide(3) / 257),
            close(read_picture(b"P5 13 11 1023\n" + (wide(1) >> 6).astype(">u2").tobytes()), (wide(1) >> 6) / 1023 * 255, 0.01),
            close(read_picture(b"Pf 4 1 -1.0\n" + np.array([0, 0.2, 0.5, 1], "<f4").tobytes()), np.array([[0, 51, 127.5, 255]])),
        ],
    ),
    ("PNM", "color"): (
        "gray, RGB",
        lambda: [
            close(read_picture(b"P6 40 24 255\n" + scene().tobytes()), scene()),
            *(
                close(read_picture(b"PF\n40 24\n%s\n" % scale + (scene()[::-1] / 255).astype(kind).tobytes()), scene())
                for scale, kind in ((b"-1.0", "<f4"), (b"1", ">f4"))
            ),
        ],
    ),
    ("QOI", "depth"): ("8", lambda: close(read_picture(saved(scene(), "QOI")), scene())),
    ("QOI", "color"): ("RGB", lambda: close(read_picture(saved(PLAIN, "QOI")), PLAIN)),
    ("QOI", "alpha"): ("channel", lambda: close(read_picture(saved(RGBA, "QOI")), scene(), alpha=veil())),
    ("ICO", "depth"): (
        "8, 16 of PNG within it",
        lambda: [close(read_picture(ico(png(wide(3), 2))), wide(3) / 257), close(read_picture(saved(PLAIN[:24, :24], "ICO", sizes=[(16, 16), (24, 24)])), PLAIN[:24, :24])],
    ),
    ("ICO", "color"): ("RGB", lambda: close(read_picture(saved(PLAIN[:16, :16], "ICO", sizes=[(16, 16)])), PLAIN[:16, :16])),
    ("ICO", "alpha"): ("channel", lambda: close(read_picture(saved(RGBA[:16, :16], "ICO", sizes=[(16, 16)])), scene()[:16, :16], alpha=veil()[:16, :16])),
    ("ICO", "profile"): (
        "of PNG within it",
        lambda: [
            is_adobe(read_picture(ico(saved(PLAIN, "PNG", icc_profile=adobe_rgb())))),
            close(read_picture(ico(png(PLAIN, 2, gama(1.0), depth=8))), linear(PLAIN), 0.6),
        ],
    ),
    ("TGA", "depth"): ("8", lambda: close(read_picture(saved(scene(), "TGA")), scene())),
    ("TGA", "color"): (
        "gray, RGB, palette",
        lambda: [close(read_picture(saved(GRAY, "TGA")), GRAY), close(read_picture(saved(Image.fromarray(PLAIN).quantize(4), "TGA")), PLAIN)],
    ),
    ("TGA", "alpha"): ("channel, where it is declared", lambda: check_tga()),
    ("TGA", "orientation"): ("its own", lambda: close(read_picture(saved(scene(), "TGA", orientation=1)), scene())),
    ("camera raw", "depth"): ("16", lambda: check_developed(read_picture(bayer_dng()), (64, 96))),
    ("camera raw", "color"): ("developed to sRGB", lambda: check_gray_light(read_picture(bayer_dng()))),
    ("camera raw", "orientation"): ("its own", lambda: check_developed(read_picture(bayer_dng(6)), (96, 64))),
}  # fmt: skip
NONE = "–"


def plain_file(form: str) -> bytes:
    """A file of the format with nothing but its pixels."""
    makers = {
        "JPEG": lambda: saved(PLAIN, "JPEG", quality=100, subsampling=0),
        "JPEG XL": lambda: jxl(PLAIN),
        "JPEG 2000": lambda: saved(PLAIN, "JPEG2000"),
        "PSD": lambda: psd(PLAIN, 3),
        "PNM": lambda: b"P6 40 24 255\n" + PLAIN.tobytes(),
        "GIF": lambda: saved(Image.fromarray(PLAIN).quantize(4), "GIF"),
        "ICO": lambda: saved(PLAIN[:24, :24], "ICO", sizes=[(24, 24)]),
        "camera raw": bayer_dng,
    }
    return makers.get(form, lambda: saved(PLAIN, form))()


def decode(share: np.ndarray) -> np.ndarray:
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


# Linear Display P3 to linear sRGB, both D65 (brucelindbloom.com, "RGB/XYZ matrices", multiplied out).
SRGB_FROM_P3 = np.array([[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0983]])
# Exactly what the numbers of PNG and BMP say: Adobe RGB's primaries, under sRGB's curve where none is given.
ADOBE_PRIMARIES = encode(decode(PLAIN / 255) @ SRGB_FROM_ADOBE.T) * 255
ADOBE_BY_GAMMA = encode((PLAIN / 255) ** 2.2 @ SRGB_FROM_ADOBE.T) * 255
ADOBE_CHRM = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
ADOBE_ENDS = (0.64, 0.33, 0.03, 0.21, 0.71, 0.08, 0.15, 0.06, 0.79)  # x, y, z of red, green and blue
SRGB_TRISTIMULUS = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)  # IEC 61966-2-1
P3_PLAIN = encode(decode(PLAIN / 255) @ SRGB_FROM_P3.T) * 255
MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def packed_32(samples: np.ndarray) -> np.ndarray:
    """Samples of RGB or RGBA as the numbers that MASKS pick them out of."""
    wide = samples.astype("<u4")
    alpha = wide[:, :, 3] << 24 if samples.shape[2] == 4 else 0
    return wide[:, :, 0] << 16 | wide[:, :, 1] << 8 | wide[:, :, 2] | alpha


def bmp(values: np.ndarray, *, masks=None, header=124, ends=None, gamma=0.0, profile=b"", linked=False) -> bytes:
    """A BMP with a header of version 4 or 5, of numbers of 16 or 32 bits, the last row first."""
    rows = np.zeros((len(values), -(-values.shape[1] * values.itemsize // 4) * 4), np.uint8)
    rows[:, : values.shape[1] * values.itemsize] = (
        np.ascontiguousarray(values[::-1]).view(np.uint8).reshape(len(values), -1)
    )
    body = rows.tobytes()
    kind = b"KNIL" if linked else b"DEBM" if profile else bytes(4) if ends else b"BGRs"
    head = struct.pack(
        "<IiiHHIIiiII",
        header,
        values.shape[1],
        len(values),
        1,
        values.itemsize * 8,
        3 if masks else 0,
        len(body),
        0,
        0,
        0,
        0,
    )
    head += struct.pack("<4I", *(masks or (0, 0, 0, 0))) + kind
    head += struct.pack("<9i", *(round(value * 2**30) for value in ends or [0] * 9)) + struct.pack(
        "<3I", *[round(gamma * 65536)] * 3
    )
    head += struct.pack("<4I", 4, header + len(body) if profile else 0, len(profile), 0)[: header - 108]
    return b"BM" + struct.pack("<IHHI", 14 + len(head + body + profile), 0, 0, 14 + header) + head + body + profile


def gif_with_profile(picture: Image.Image) -> bytes:
    """A GIF with an ICC profile in an application extension behind its palette."""
    data, profile = saved(picture, "GIF"), adobe_rgb()
    at = 13 + (3 << (data[10] & 7) + 1)
    parts = b"".join(bytes([len(profile[k : k + 255])]) + profile[k : k + 255] for k in range(0, len(profile), 255))
    return data[:at] + b"\x21\xff\x0bICCRGBG1012" + parts + b"\0" + data[at:]


def ico(*pictures: bytes, sides: tuple[tuple[int, int], ...] = ((40, 24),)) -> bytes:
    """An icon of the given contents; (side, bits per pixel) of each."""
    head, at = struct.pack("<3H", 0, 1, len(pictures)), 6 + 16 * len(pictures)
    for content, (side, bits) in zip(pictures, sides, strict=True):
        head += struct.pack("<4BHHII", side, side, 0, 0, 1, bits, len(content), at)
        at += len(content)
    return head + b"".join(pictures)


def dib(samples: np.ndarray, mask: np.ndarray, bits: int) -> bytes:
    """The picture of an icon: rows of 24 or 32 bits, the last first, and a mask that is set where it is clear."""
    side = len(samples)
    head = struct.pack("<IiiHHIIiiII", 40, side, 2 * side, 1, bits, 0, 0, 0, 0, 0, 0)
    order = [2, 1, 0, 3][: bits // 8]
    rows = np.pad(np.packbits(mask, axis=1), [(0, 0), (0, 4 - side // 8)])[::-1]
    return head + np.ascontiguousarray(samples[::-1, :, order]).tobytes() + rows.tobytes()


def deep_avif(bits: int) -> bytes:
    """PLAIN in an AVIF of more than 8 bits, which OpenCV writes."""
    import cv2

    samples = np.rint(PLAIN[:, :, ::-1] * ((2**bits - 1) / 255)).astype(np.uint16)
    try:
        done, data = cv2.imencode(".avif", samples, [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100])
    except cv2.error:
        done = False
    if not done:
        pytest.skip("this OpenCV writes no AVIF")
    return data.tobytes()


def turned_exif(turn: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif.tobytes()


def check_deep_heic(bits: int) -> None:
    """More than eight bits arrive: of a ramp in the lowest steps, each step is another level."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    ramp = np.tile((np.arange(40, dtype=np.uint16) + 2 ** (bits - 1))[None, :, None] << (16 - bits), (24, 1, 3))
    before = pillow_heif.options.SAVE_HDR_TO_12_BIT
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        picture = read_picture(heic(np.ascontiguousarray(ramp), "RGB;16"))
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = before
    assert picture.depth == 16
    step = 255 / (2**bits - 1)
    close(picture, (np.arange(40) + 2 ** (bits - 1))[None, :, None] * np.full((24, 1, 3), step), 2.1 * step)


def jxl_of(
    samples: np.ndarray, *, turn: int = 1, primaries: int = 1, transfer: int = 13, gamma: float = 0.0, bits: int = 8
) -> bytes:
    """A JPEG XL whose header says other things than the encoder's (ISO/IEC 18181-1, D.2 and D.3, E.2)."""
    plain, (rows, cols) = jxl(samples), samples.shape[:2]

    def enum(value: int) -> list[tuple[int, int]]:
        return [(value, 2)] if value < 2 else [(2, 2), (value - 2, 4)] if value < 18 else [(3, 2), (value - 18, 6)]

    fields = [(1, 1), (rows // 8 - 1, 5), (0, 3), (cols // 8 - 1, 5), (0, 1)]  # SizeHeader, not all by default
    fields += [(1, 1), (turn - 1, 3), (0, 3)] if turn > 1 else [(0, 1)]
    fields += [
        (0, 1),
        *([(0, 2)] if bits == 8 else [(3, 2), (bits - 1, 6)]),
        (1, 1),
        (0, 2),
        (0, 1),
    ]  # depth, no alpha, no XYB
    fields += [(0, 2), *enum(0), *enum(1), *enum(primaries)]  # no ICC profile; RGB, D65
    fields += [(1, 1), (round(gamma * 1e7), 24)] if gamma else [(0, 1), *enum(transfer)]
    fields += [*enum(1), *([(1, 1)] if turn > 1 else []), (0, 2), (1, 1)]  # intent, tone mapping, extensions, transform
    text = "".join(f"{value:0{count}b}"[::-1] for value, count in fields)
    text += "0" * (-len(text) % 8)
    head = bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))
    return plain[:2] + head + plain[6:]  # the encoder's own header takes 27 bits


def check_bits(bits: int, photometric: int) -> None:
    """Samples of any number of bits, gray with black or white as 0, and RGB."""
    shape = (2, 9, 3) if photometric == 2 else (2, 9)
    values = np.arange(np.prod(shape)).reshape(shape) * 37 % 2**bits
    expected = values * (255 / (2**bits - 1))
    expected = 255 - expected if photometric == 0 else expected
    close(read_picture(tiff_of_bits(values, bits, photometric)), expected, 0.51 if bits < 8 else 0.01)


def tiff_of_bits(values: np.ndarray, bits: int, photometric: int, tile: int = 0, apart: bool = False) -> bytes:
    """A TIFF of samples bit by bit, each row of a strip or a tile from a byte on; ``apart``: channel by channel."""
    rows, cols = values.shape[:2]
    values = values.reshape(rows, cols, -1)
    channels = values.shape[2]
    parts = [values[:, :, [k]] for k in range(channels)] if apart else [values]
    pieces = []
    for part in parts:
        for col in range(0, cols, tile or cols):
            block = part[:, col : col + (tile or cols)]
            block = np.pad(block, [(0, 16 - rows), (0, tile - block.shape[1]), (0, 0)]) if tile else block
            pieces.append(b"".join(bits_of(line.ravel(), bits) for line in block))
    sizes = tuple(map(len, pieces))
    offsets = tuple(np.cumsum([0, *sizes])[:-1].tolist())
    tags = {
        256: cols,
        257: rows,
        258: (bits,) * channels,
        259: 1,
        262: photometric,
        277: channels,
        284: 2 if apart else 1,
    }
    tags |= {322: tile, 323: 16, 324: offsets, 325: sizes} if tile else {273: offsets, 278: rows, 279: sizes}
    return tiff_of(b"".join(pieces), tags)


def bits_of(values: np.ndarray, bits: int) -> bytes:
    if bits in (8, 16):
        return values.astype(f"<u{bits // 8}").tobytes()
    text = "".join(f"{value:0{bits}b}" for value in values)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def gama(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100000)))


def cicp(primaries: int, transfer: int, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, full]))


def iccp() -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(adobe_rgb()))


def srgb() -> bytes:
    return chunk(b"sRGB", b"\0")


def linear(samples: np.ndarray) -> np.ndarray:
    return encode(samples / 255) * 255


def avif(samples: np.ndarray, **options) -> bytes:
    return saved(samples, "AVIF", quality=100, subsampling="4:4:4", **options)


def png_of_bits(values: np.ndarray, bits: int, *extra: bytes) -> bytes:
    """A gray PNG of one row of 1, 2 or 4 bits."""
    text = "".join(f"{value:0{bits}b}" for value in values[0])
    text += "0" * (-len(text) % 8)
    row = b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    header = struct.pack(">IIBBBBB", values.shape[1], 1, bits, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(row)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def check_gif() -> None:
    indices = np.arange(20, dtype=np.uint8).reshape(4, 5)
    palette = Image.fromarray(indices)
    palette.putpalette([value for index in range(20) for value in (index * 12, 255 - index, 7)])
    np.testing.assert_array_equal(read_picture(saved(palette, "GIF", transparency=3)).alpha, indices != 3)


def check_heic_turn() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    pillow_heif.register_heif_opener()
    picture = read_picture(turned("HEIF", 6, quality=-1, chroma=444))
    close(picture, stored_for(scene(), 6), 6)  # a HEIC's own boxes turn it, which libheif obeys; EXIF has no say


def check_tga() -> None:
    data = bytearray(saved(RGBA, "TGA"))
    close(read_picture(bytes(data)), scene(), alpha=veil())
    data[17] &= 0xF0  # says that no bits are alpha
    with pytest.warns(UserWarning, match="not declared as alpha"):
        close(read_picture(bytes(data)), scene())


def check_gray_light(picture: Picture) -> None:
    """White is white, a quarter of its light is what sRGB's curve makes of it; gray stays gray."""
    image = levels(picture.image)
    assert np.abs(image[32, 20] - 255).max() <= 3
    assert np.ptp(image[32, 80]) <= 3
    assert np.abs(image[32, 80].mean() - encode(0.25) * 255) <= 4


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("form", [form.name for form in FORMATS])
def test_cell(form, column):
    """What the cell says is so; a dash says that the file has no such thing and is read without."""
    if form == "AVIF":
        needs_avif.args[0] and pytest.skip("this Pillow has no AVIF")
    if (form, column) in CELLS:
        CELLS[form, column][1]()
        return
    picture = read_picture(plain_file(form))
    if column == "alpha":
        assert picture.alpha is None
    elif column == "profile":
        assert picture.profile is None
    else:
        assert picture.image.shape[1] > picture.image.shape[0] or form == "ICO"


def test_table_in_the_docs():
    """The table of docs/reference/formats.md has these cells."""
    page = (ROOT / "docs" / "reference" / "formats.md").read_text()
    rows = [line.strip("| \n").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    table = {row[0]: row[1:] for row in rows if len(row) == 6 and row[0] in {form.name for form in FORMATS}}
    expected = {form.name: [CELLS.get((form.name, column), (NONE, None))[0] for column in COLUMNS] for form in FORMATS}
    assert table == expected


def test_endings():
    """The endings of the formats are those that folders are searched for."""
    endings = [ending for form in FORMATS for ending in form.endings]
    assert sorted(endings) == sorted(READABLE)
    assert set(CAMERA_RAW) == set(next(form.endings for form in FORMATS if form.name == "camera raw"))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"PF\n2 2\n-1.0\n" + bytes(47), "ends before its last row"),
        (b"PF\n2 2\n0\n" + bytes(48), "header that is damaged"),
        (b"PF\n2 x\n-1\n" + bytes(48), "header that is damaged"),
        (b"PF\n2 0\n-1\n", "0 pixels|no pixels"),
        (b"PF\n99999999 99999999\n-1\n", "more than the limit"),
    ],
)
def test_damaged_float_map(data, message):
    """A portable float map that is not whole is refused in one sentence."""
    with pytest.raises(ImageError, match=message):
        read_picture(data)


def test_cut_raw(capfd):
    """A raw file that is cut off is refused in one sentence, and LibRaw writes none of its own past it."""
    with pytest.raises(ImageError, match=r"LibRaw cannot read|is damaged"):
        read_picture(bayer_dng()[:-3000])
    assert capfd.readouterr() == ("", "")


def test_psd_without_a_flat_picture():
    """A PSD that was saved without one is refused; its layers are not guessed at."""
    missing = resource(1057, struct.pack(">IB", 1, 0) + bytes(8))
    with pytest.raises(ImageError, match="has no flat picture"):
        read_picture(psd(PLAIN, 3, resources=missing))


def test_bmp_with_a_linked_profile():
    """A profile in another file is not read, and that is said."""
    data = bmp(packed_32(PLAIN), profile=b"c:\\adobe.icc\0", linked=True)
    with pytest.warns(UserWarning, match="profile is in another file"):
        close(read_picture(data), PLAIN)


def test_bmp_with_a_cut_profile():
    """A profile that lies beyond the end costs only itself, and that is said."""
    with pytest.warns(UserWarning, match="profile lies beyond its end"):
        close(read_picture(bmp(packed_32(PLAIN), profile=adobe_rgb())[:-9]), PLAIN)


def test_bmp_with_unequal_gammas():
    """Three curves are not one: the mean is taken, and said."""
    data = bytearray(bmp(packed_32(PLAIN), ends=ADOBE_ENDS, gamma=2.2))
    struct.pack_into("<I", data, 14 + 96, round(1.8 * 65536))
    with pytest.warns(UserWarning, match="different gammas"):
        read_picture(bytes(data))


def test_jp2_of_another_enumerated_space():
    """Colors that no one turns into sRGB are refused, with the number of their space."""
    data = saved(PLAIN, "JPEG2000")
    at = data.index(b"colr") + 7
    with pytest.raises(ImageError, match="enumerated space 21"):
        read_picture(data[:at] + struct.pack(">I", 21) + data[at + 4 :])


def test_bmp_with_gray_palette_and_profile():
    """A palette of grays is RGB like any other, so its profile holds."""
    gray = saved(Image.new("L", (40, 24), 50), "BMP")
    start, profile = struct.unpack_from("<I", gray, 10)[0], adobe_rgb()
    body = gray[54:start] + gray[start:]  # palette, rows
    head = struct.pack("<I", 124) + gray[18:54] + bytes(16) + b"DEBM" + bytes(48)
    head += struct.pack("<4I", 4, 124 + len(body), len(profile), 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, start + 84) + head + body + profile
    close(read_picture(data), srgb_of_adobe(np.full((24, 40, 3), 50 / 255)) * 255, 1.5)


@pytest.mark.parametrize("top_down", [False, True])
def test_bmp_of_two_bits(top_down):
    """Four colors, four pixels in a byte, the leftmost in its highest bits."""
    colors = np.array([[10, 20, 30], [200, 40, 60], [0, 255, 0], [255, 255, 255]], np.uint8)
    which = np.random.default_rng(1).integers(0, 4, (5, 19))
    picture = read_picture(bmp_of_two_bits(which, colors, top_down=top_down))
    np.testing.assert_array_equal(picture.image, colors[which] / np.float32(255))


def test_bmp_of_two_bits_with_too_few_colors():
    """A pixel of a color that the palette lacks is damage."""
    with pytest.raises(ImageError, match="uses color 3 of a palette of 3"):
        read_picture(bmp_of_two_bits(np.array([[0, 3]]), np.zeros((3, 3), np.uint8)))


def test_bmp_whose_alpha_is_clear_everywhere():
    """An alpha that would leave nothing of the picture is left out, with a word."""
    clear = np.dstack([PLAIN, np.zeros((24, 40), np.uint8)])
    with pytest.warns(UserWarning, match="clear everywhere"):
        close(read_picture(bmp(packed_32(clear), masks=MASKS)), PLAIN)


def test_bmp_with_masks_cut_off():
    """Rows that are missing are an error; so are masks whose bits do not lie side by side."""
    values = np.full((4, 6), 0x8C63, "<u2")
    with pytest.raises(ImageError, match="is truncated"):
        read_picture(bmp(values, masks=(0xF00, 0xF0, 0xF, 0xF000))[:-5])
    with pytest.raises(ImageError, match="not side by side"):
        read_picture(bmp(values, masks=(0xF0, 0xA00, 0xF, 0xF000)))


def test_icon_of_the_greatest_depth():
    """Of several pictures of one size the deepest is read, whatever their order."""
    poor, rich = PLAIN[:16, :16] // 2, PLAIN[:16, :16]
    none = np.zeros((16, 16), bool)
    small = dib(poor, none, 24)
    large = dib(np.dstack([rich, np.full((16, 16), 255, np.uint8)]), none, 32)
    for contents, sides in (((small, large), ((16, 24), (16, 32))), ((large, small), ((16, 32), (16, 24)))):
        close(read_picture(ico(*contents, sides=sides)), rich, alpha=np.full((16, 16), 255))


def test_icon_whose_alpha_is_clear_everywhere():
    """Its mask counts then, as in Windows."""
    clear = np.zeros((16, 16), bool)
    clear[:5, :3] = True
    data = ico(dib(np.dstack([PLAIN[:16, :16], np.zeros((16, 16), np.uint8)]), clear, 32), sides=((16, 32),))
    close(read_picture(data), PLAIN[:16, :16], alpha=np.where(clear, 0, 255))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_jxl_of_high_dynamic_range(transfer, name):
    """Its reference white is white, and that is said, as for every other format."""
    share = 0.58069 if transfer == 16 else 0.75
    with pytest.warns(UserWarning, match=rf"high dynamic range \({name}\)"):
        close(
            read_picture(jxl_of(np.full((24, 40, 3), round(share * 255), np.uint8), primaries=9, transfer=transfer)),
            np.full((24, 40, 3), 255),
            4,
        )


@pytest.mark.parametrize("turn", [1, 6])
def test_header_of_jxl(turn):
    """The header gives the size upright."""
    assert header_size(jxl_of(stored_for(scene(), turn), turn=turn)) == (24, 40)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("bits", [3, 10, 12])
def test_bits_in_tiles(bits, apart):
    """Tiles pad their rows each; channels may lie one after the other."""
    values = np.arange(11 * 37 * 3).reshape(11, 37, 3) * 37 % 2**bits
    close(
        read_picture(tiff_of_bits(values, bits, 2, tile=16, apart=apart)),
        values * (255 / (2**bits - 1)),
        0.51 if bits < 8 else 0.01,
    )


@pytest.mark.parametrize("scale", [1, 257])
def test_palette_of_eight_or_sixteen_bits(scale):
    """A palette counts to 65535; one that ends at 255 is from an old writer, and taken as libtiff does."""
    colors = scene().reshape(-1, 3)[:256]
    indices = np.arange(256, dtype=np.uint8).reshape(8, 32)
    tags = {256: 32, 257: 8, 258: 8, 259: 1, 262: 3, 277: 1, 278: 8, 279: 256, 273: 0}
    tags[320] = tuple((colors.T.astype(int) * scale).ravel().tolist())
    close(read_picture(tiff_of(indices.tobytes(), tags)), colors[indices])


def test_alpha_behind_another_sample():
    """Of two further samples the second may be alpha."""
    data = tiff(np.dstack([scene(), GRAY, veil()]), photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    close(read_picture(data), scene(), alpha=veil())


def test_alpha_beside_gray_whose_white_is_zero():
    """Alpha is not turned over with the gray."""
    samples = np.dstack([255 - GRAY, veil()])
    options = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    close(read_picture(tiff(samples, photometric="miniswhite", **options)), GRAY, alpha=veil())


def test_targa_needs_its_name(tmp_path):
    """Targa has no signature, so under another name it is no picture."""
    (tmp_path / "a.tga").write_bytes(saved(scene(), "TGA"))
    (tmp_path / "a.png").write_bytes(saved(scene(), "TGA"))
    close(read_picture(tmp_path / "a.tga"), scene())
    with pytest.raises(ImageError, match="is not a picture"):
        read_picture(tmp_path / "a.png")


def short_directory(following: int = 0, **tags: int) -> bytes:
    """A directory of a little-endian TIFF with values of one number; names are T and the tag."""
    entries = [struct.pack("<HHII", int(name[1:]), 4, 1, value) for name, value in tags.items()]
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


REDUCED = {254: 1, 256: 4, 257: 2, 258: 8, 259: 1, 262: 1, 277: 1, 278: 2, 279: 8}


@pytest.mark.parametrize("middle", [{"following": 8}, {"T330": 8}], ids=["behind", "below"])
def test_raw_far_below(middle):
    """A mosaic behind or below a directory that is itself below the first makes a raw file, and no thumbnail counts."""
    mosaic = short_directory(T254=0, T256=96, T257=64, T262=32803)
    inner = short_directory(T254=1, T256=4, T257=2, T262=1, **middle)
    at = 8 + len(mosaic)
    body = mosaic + inner + bytes(8)
    with pytest.raises(ImageError, match="is a camera raw file"):
        read_picture(tiff_of(body, REDUCED | {273: len(mosaic + inner), 330: at}))


def test_raw_of_phase_one():
    """Its first directory is a thumbnail like any TIFF's; the mark behind the header says what it is."""
    with pytest.raises(ImageError, match="is a camera raw file"):
        read_picture(tiff_of(b"IIII" + bytes(8), REDUCED | {254: 0, 273: 4}))


def test_thumbnail_whose_picture_is_cut_off():
    """A reduced picture does not stand in for a full one that lies beyond the file's end."""
    with pytest.raises(ImageError, match="it holds reduced pictures, and no full one"):
        read_picture(tiff_of(bytes(8), REDUCED | {273: 0, 330: 1 << 20}))


def test_largest_of_reduced_pictures():
    """Where all pictures are called reduced, the largest counts."""
    import tifffile

    small = np.zeros((4, 6), np.uint8)
    memory = io.BytesIO()
    with tifffile.TiffWriter(memory) as writer:
        for samples in (small, GRAY, small):
            writer.write(samples, photometric="minisblack", subfiletype=1, metadata=None)
    close(read_picture(memory.getvalue()), np.dstack([GRAY] * 3))


def test_raw_without_known_filters():
    """A raw file whose color filters are not known is refused: no mosaic and no thumbnail is cut out in its place."""
    pytest.importorskip("rawpy", reason="the extra raw is not installed")
    import tifffile

    memory = io.BytesIO()
    with tifffile.TiffWriter(memory) as writer:
        writer.write(np.zeros((8, 12, 3), np.uint8), photometric="rgb", subifds=1, metadata=None,
                     extratags=[(50706, 1, 4, b"\1\4\0\0", True)])  # fmt: skip
        writer.write(np.full((64, 96), 3840, np.uint16), photometric=32803, metadata=None)
    with pytest.raises(ImageError, match="camera raw file"):
        read_picture(memory.getvalue())


@pytest.mark.parametrize(
    ("module", "make"), [("rawpy", bayer_dng), ("pillow_heif", lambda: heic(PLAIN)), ("pillow_jxl", lambda: jxl(PLAIN))]
)
def test_extra_that_is_not_installed(monkeypatch, module, make):
    """Without its extra a format is refused by its name, with what to install."""
    data = make()
    monkeypatch.setitem(__import__("sys").modules, module, None)
    extra = {"rawpy": "raw", "pillow_heif": "heic", "pillow_jxl": "jxl"}[module]
    with pytest.raises(ImageError, match=rf'pip install "bgkit\[{extra}\]"'):
        read_picture(data)


def test_a_psd_of_16_bits_is_refused_with_what_to_do():
    """Not with the key of a decoder's table."""
    deep = psd(PLAIN, 3).replace(struct.pack(">HH", 8, 3), struct.pack(">HH", 16, 3), 1) + PLAIN.tobytes()
    with pytest.raises(ImageError, match="has a layout that bgkit does not read; save it as PNG or TIFF"):
        read_picture(deep)
