"""Picture files: every kind is read as it is meant, nothing is read by halves, nothing is written by halves.

All files are drawn here. Where a value is expected, it comes from the drawn array or from a formula
written out in the test, not from what Pillow says of the same file.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from bgkit.errors import ImageError, LayerError, ParamError
from bgkit.imagefile import read_gray, read_mask, read_picture, read_strokes, read_trimap, write_picture
from bgkit.layers import enter

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


# --- what is drawn -----------------------------------------------------------------------------


def scene(rows: int = 24, cols: int = 40) -> np.ndarray:
    """A smooth uint8 RGB picture that looks different in each of the eight orientations."""
    row, col = np.mgrid[0:rows, 0:cols]
    red = 30 + 200 * row / rows
    green = 220 - 180 * col / cols
    blue = 40 + 80 * row / rows + 90 * (col / cols) ** 2
    return np.stack([red, green, blue], -1).round().astype(np.uint8)


def veil(rows: int = 24, cols: int = 40) -> np.ndarray:
    """A uint8 alpha from clear to opaque."""
    return np.broadcast_to(np.linspace(0, 255, cols).round().astype(np.uint8), (rows, cols)).copy()


def wide(channels: int, rows: int = 11, cols: int = 13) -> np.ndarray:
    """Random uint16 samples, so that a lost low byte shows."""
    return np.random.default_rng(7).integers(0, 65536, (rows, cols, channels), dtype=np.uint16)


def saved(array: np.ndarray | Image.Image, form: str, **options) -> bytes:
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    memory = io.BytesIO()
    picture.save(memory, form, **options)
    return memory.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: np.ndarray, color_type: int, *extra: bytes, depth: int = 16) -> bytes:
    """A PNG written out by hand, rows unfiltered."""
    rows = samples.reshape(len(samples), -1).astype(">u2" if depth == 16 else "u1")
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, color_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def tiff(samples: np.ndarray, **options) -> bytes:
    import tifffile

    memory = io.BytesIO()
    tifffile.imwrite(memory, samples, metadata=None, **options)
    return memory.getvalue()


def icc(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 2 with the given tags (ICC.1:2001-04)."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)  # D50
    text = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"drawn\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, **tags}
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def xyz_tag(values) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


# Adobe RGB (1998), section 4.3.5.3 and the D50 colorants that its profile carries.
ADOBE_GAMMA = 563 / 256
ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
# Linear Adobe RGB to linear sRGB, both D65 (brucelindbloom.com, "RGB/XYZ matrices", multiplied out).
SRGB_FROM_ADOBE = np.array([[1.3983, -0.3983, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])


def adobe_rgb() -> bytes:
    tags = {name: xyz_tag(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_COLORANTS, strict=True)}
    return icc(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_curve(ADOBE_GAMMA)))


def encode(linear) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_of_adobe(share: np.ndarray) -> np.ndarray:
    return encode(share**ADOBE_GAMMA @ SRGB_FROM_ADOBE.T)


def cmyk_profile() -> bytes:
    """A press that prints white paper, black for black, and for pure cyan a neutral gray of L* = 50."""
    lab = np.zeros((2, 2, 2, 2, 3), np.uint8)
    lab[...] = (0, 128, 128)
    lab[0, 0, 0, 0] = (255, 128, 128)
    lab[1, 0, 0, 0] = (128, 128, 128)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + lab.tobytes() + ramp * 3
    return icc(b"CMYK", {b"A2B0": table}, connection=b"Lab ", kind=b"prtr")


@functools.cache
def samples_of_formats() -> dict[str, bytes]:
    """One sound file of each kind, small, for breaking."""
    rgba = np.dstack([scene(), veil()])
    noise = np.random.default_rng(3).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    files = {
        "jpeg": saved(noise, "JPEG", quality=80),
        "jpeg-progressive": saved(noise, "JPEG", quality=80, progressive=True),
        "jpeg-cmyk": saved(Image.fromarray(noise).convert("CMYK"), "JPEG"),
        "jpeg-gray": saved(noise[:, :, 0], "JPEG"),
        "png": saved(rgba, "PNG"),
        "png-palette": saved(Image.fromarray(scene()).quantize(64), "PNG"),
        "png-16": png(wide(3), 2),
        "webp": saved(rgba, "WEBP", quality=80),
        "webp-lossless": saved(rgba, "WEBP", lossless=True),
        "tiff": saved(rgba, "TIFF"),
        "tiff-lzw": saved(rgba, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": saved(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-16": tiff(wide(3), photometric="rgb"),
        "bmp": saved(noise, "BMP"),
        "gif": saved(Image.fromarray(scene()).quantize(64), "GIF"),
    }
    if features.check("avif"):
        files["avif"] = saved(noise, "AVIF")
    return files


KINDS = list(samples_of_formats())


def levels(image: np.ndarray) -> np.ndarray:
    """Float 0..1 as 0..255, unrounded."""
    return image.astype(np.float64) * 255


# --- formats and modes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("TIFF", {"compression": "packbits"}, 0),
        ("BMP", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 8),
        ("JPEG", {"quality": 95}, 6),
        ("JPEG", {"quality": 95, "progressive": True}, 6),
        ("JPEG", {"quality": 95, "keep_rgb": True}, 6),
        pytest.param("AVIF", {"quality": 95}, 8, marks=needs_avif),
    ],
)
def test_formats(form, options, tolerance):
    """Each format gives back what was drawn, with its name, 8 bits and no alpha."""
    picture = read_picture(saved(scene(), form, **options))
    assert np.abs(levels(picture.image) - scene()).max() <= tolerance + 1e-4
    assert (picture.format, picture.depth, picture.alpha) == (form, 8, None)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_own_alpha(form):
    """The file's alpha comes apart from its color, which is not multiplied by it."""
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    picture = read_picture(saved(np.dstack([scene(), veil()]), form, **options))
    np.testing.assert_array_equal(picture.alpha, veil() / np.float32(255))
    np.testing.assert_array_equal(picture.image, scene() / np.float32(255))


def test_arrays_are_ready_for_layers():
    """Image and alpha are float32 and C-contiguous, whatever the file's orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_picture(saved(np.dstack([scene(), veil()]), "PNG", exif=exif))
    for array in (picture.image, picture.alpha):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous


def test_gray():
    """Gray is three equal channels."""
    gray = scene()[:, :, 0]
    for form in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read_picture(saved(gray, form)).image, np.dstack([gray] * 3) / np.float32(255))


def test_gray_jpeg():
    """A JPEG of one channel is gray."""
    gray = scene()[:, :, 0]
    assert np.abs(levels(read_picture(saved(gray, "JPEG", quality=95)).image) - gray[:, :, None]).max() < 4


def test_gray_with_alpha():
    """Gray with alpha gives both."""
    picture = read_picture(saved(np.dstack([scene()[:, :, 0], veil()]), "PNG"))
    np.testing.assert_array_equal(picture.alpha, veil() / np.float32(255))
    np.testing.assert_array_equal(picture.image[:, :, 1], scene()[:, :, 0] / np.float32(255))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_one_bit(form):
    """One bit per pixel is black and white."""
    bits = scene()[:, :, 0] > 128
    np.testing.assert_array_equal(read_picture(saved(bits, form)).image[:, :, 2], bits.astype(np.float32))


def test_one_bit_white_is_zero():
    """A TIFF of a fax, in which 0 is white, comes out the right way around."""
    bits = scene()[:, :, 0] > 128
    data = tiff(~bits, photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(data).image[:, :, 0], bits.astype(np.float32))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(form):
    """A palette's colors come out, not its indices."""
    palette = Image.fromarray(scene()).quantize(64)
    np.testing.assert_array_equal(
        read_picture(saved(palette, form)).image, np.asarray(palette.convert("RGB")) / np.float32(255)
    )


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_palette_with_one_clear_color(form):
    """A palette entry marked clear makes alpha 0 there and 1 elsewhere."""
    indices = np.arange(20, dtype=np.uint8).reshape(4, 5)
    palette = Image.fromarray(indices)
    palette.putpalette([value for index in range(20) for value in (index * 12, 255 - index, 7)])
    picture = read_picture(saved(palette, form, transparency=3))
    np.testing.assert_array_equal(picture.alpha, (indices != 3).astype(np.float32))


def test_palette_with_many_alphas():
    """A PNG palette may carry an alpha per entry."""
    indices = np.arange(20, dtype=np.uint8).reshape(4, 5)
    colors = b"".join(bytes([index * 12, 255 - index, 7]) for index in range(20))
    data = png(indices, 3, chunk(b"PLTE", colors), chunk(b"tRNS", bytes(range(0, 200, 10))), depth=8)
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.alpha, indices * np.float32(10) / np.float32(255))
    np.testing.assert_array_equal(picture.image[1, 2], np.array([84, 248, 7], np.float32) / np.float32(255))


@pytest.mark.parametrize(("mode", "key"), [("L", 40), ("RGB", (10, 20, 30)), ("1", 0)])
def test_png_key_color(mode, key):
    """A PNG may name one color that is clear."""
    picture = Image.new(mode, (6, 4), 255 if mode != "RGB" else (9, 9, 9))
    picture.putpixel((2, 1), key)
    alpha = read_picture(saved(picture, "PNG", transparency=key)).alpha
    expected = np.ones((4, 6), np.float32)
    expected[1, 2] = 0
    np.testing.assert_array_equal(alpha, expected)


# Ink on white paper, without a profile: (1 - ink)(1 - black).
INKS = np.array([[[0, 0, 0, 0], [255, 0, 0, 0]], [[0, 0, 0, 255], [0, 128, 0, 0]]], np.uint8)
PRINTED = [[[255, 255, 255], [0, 255, 255]], [[0, 0, 0], [255, 127, 255]]]


def test_cmyk_tiff():
    """CMYK without a profile is plain ink on white."""
    data = saved(Image.fromarray(INKS, "CMYK"), "TIFF")
    assert np.abs(levels(read_picture(data).image) - PRINTED).max() <= 1


def test_cmyk_jpeg_is_inverted_as_adobe_does():
    """A CMYK JPEG stores 255 for no ink."""
    inks = INKS.repeat(8, 0).repeat(8, 1)
    data = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=100)
    assert np.abs(levels(read_picture(data).image)[::8, ::8] - PRINTED).max() <= 3


def test_ycck_jpeg():
    """An Adobe JPEG of transform 2 (YCCK) gives the same inks: its header is changed, the pixels are gray of ink."""
    # Neutral ink of 100 is stored inverted as 155, and that is 255 - Y (libjpeg, jdcolor.c, ycck_cmyk_convert).
    stored = np.dstack([np.full((8, 8), value) for value in (100, 128, 128, 255)])
    data = saved(Image.fromarray((255 - stored).astype(np.uint8), "CMYK"), "JPEG", quality=100)
    at = data.index(b"Adobe\0")
    data = data[: at + 11] + b"\2" + data[at + 12 :]
    assert np.abs(levels(read_picture(data).image) - 155).max() <= 2


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk_with_profile(form):
    """With a profile the press decides: here pure cyan is a gray of L* = 50, sRGB 119."""
    inks = INKS.repeat(8, 0).repeat(8, 1)
    options = {"quality": 100} if form == "JPEG" else {}
    data = saved(Image.fromarray(inks, "CMYK"), form, icc_profile=cmyk_profile(), **options)
    picture = read_picture(data)
    assert np.abs(levels(picture.image)[0, 8] - 119).max() <= 3
    assert np.abs(levels(picture.image)[0, 0] - 255).max() <= 3
    assert picture.profile == "drawn"


def test_ycbcr_tiff():
    """A TIFF of luma and two color differences is RGB."""
    data = saved(Image.fromarray(scene()).convert("YCbCr"), "TIFF")
    assert np.abs(levels(read_picture(data).image) - scene()).max() <= 3


def test_lab_tiff():
    """CIELAB of L* = 50 without color is sRGB 119; with a* > 0 it is reddish."""
    lab = Image.merge("LAB", [Image.new("L", (4, 3), value) for value in (128, 128, 128)])
    picture = read_picture(saved(lab, "TIFF"))
    assert np.abs(levels(picture.image) - 119).max() <= 2
    red = read_picture(saved(Image.merge("LAB", [Image.new("L", (4, 3), v) for v in (128, 188, 128)]), "TIFF")).image
    assert red[0, 0, 0] > red[0, 0, 1] + 0.2


# --- sixteen bits ------------------------------------------------------------------------------


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_png_16(color_type, channels):
    """All sixteen bits of a PNG arrive, with and without alpha."""
    samples = wide(channels)
    picture = read_picture(png(samples, color_type))
    share = samples / np.float32(65535)
    color = share[:, :, : channels - (channels % 2 == 0)]
    np.testing.assert_array_equal(picture.image, np.broadcast_to(color, picture.image.shape))
    assert picture.depth == 16
    if channels % 2 == 0:
        np.testing.assert_array_equal(picture.alpha, share[:, :, -1])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3)])
def test_png_16_key_color(color_type, channels):
    """The clear color of a 16-bit PNG is compared in all sixteen bits."""
    samples = wide(channels)
    samples[0, 1] = samples[0, 0] ^ 1
    alpha = read_picture(png(samples, color_type, chunk(b"tRNS", samples[0, 0].astype(">u2").tobytes()))).alpha
    assert (alpha[0, 0], alpha[0, 1]) == (0, 1)


@pytest.mark.parametrize(
    "options", [{}, {"byteorder": ">"}, {"compression": "zlib", "predictor": True}, {"rowsperstrip": 3}]
)
def test_tiff_16(options):
    """All sixteen bits of a TIFF arrive, in either byte order, plain and deflated."""
    samples = wide(3)
    picture = read_picture(tiff(samples, photometric="rgb", **options))
    np.testing.assert_array_equal(picture.image, samples / np.float32(65535))
    assert picture.depth == 16


def test_tiff_16_planes():
    """A TIFF may store its channels one after the other."""
    samples = wide(3)
    data = tiff(np.moveaxis(samples, -1, 0).copy(), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_picture(data).image, samples / np.float32(65535))


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_16_gray(byteorder):
    """Sixteen bits of gray."""
    samples = wide(1)[:, :, 0]
    picture = read_picture(tiff(samples, photometric="minisblack", byteorder=byteorder))
    np.testing.assert_array_equal(picture.image[:, :, 0], samples / np.float32(65535))
    assert picture.depth == 16


def test_tiff_16_white_is_zero():
    """Gray of sixteen bits in which 0 is white."""
    samples = wide(1)[:, :, 0]
    picture = read_picture(tiff(samples, photometric="miniswhite"))
    np.testing.assert_array_equal(picture.image[:, :, 1], (65535 - samples) / np.float32(65535))


def test_tiff_16_alpha():
    """A separate alpha of sixteen bits."""
    samples = wide(4)
    picture = read_picture(tiff(samples, photometric="rgb", extrasamples=["unassalpha"]))
    np.testing.assert_array_equal(picture.image, samples[:, :, :3] / np.float32(65535))
    np.testing.assert_array_equal(picture.alpha, samples[:, :, 3] / np.float32(65535))


def test_tiff_16_fourth_channel_is_not_always_alpha():
    """A fourth channel that the TIFF does not call alpha is none."""
    picture = read_picture(tiff(wide(4), photometric="rgb", extrasamples=["unspecified"]))
    assert picture.alpha is None


def test_private_tags_are_nobodys_business(capfd):
    """A 16-bit TIFF with tags of its maker's is read without a word on stderr."""
    tags = [(65000, 2, 5, "abcd", True), (65001, 7, 4, b"abcd", True), (50706, 1, 4, b"\1\4\0\0", True)]
    picture = read_picture(tiff(wide(3), photometric="rgb", extratags=tags))
    np.testing.assert_array_equal(picture.image, wide(3) / np.float32(65535))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_premultiplied(dtype):
    """Color that was multiplied by alpha is divided by it again."""
    top = np.iinfo(dtype).max
    color, alpha = np.array([0.8, 0.4, 0.2]), 0.5
    pixel = np.round(np.array([*(color * alpha), alpha]) * top).astype(dtype)
    data = tiff(np.broadcast_to(pixel, (4, 5, 4)).copy(), photometric="rgb", extrasamples=["assocalpha"])
    picture = read_picture(data)
    np.testing.assert_allclose(picture.image[1, 1], color, atol=2.1 / top)
    np.testing.assert_allclose(picture.alpha, alpha, atol=1 / top)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32])
def test_other_samples_are_refused(dtype):
    """Floating-point and 32-bit samples have no agreed white; the error says what to save instead."""
    for data in (
        tiff(np.ones((4, 5), dtype), photometric="minisblack"),
        tiff(np.ones((4, 5, 3), dtype), photometric="rgb"),
    ):
        with pytest.raises(ImageError, match="save it with 8 or 16 bits per channel"):
            read_picture(data)


# --- orientation -------------------------------------------------------------------------------


def stored_for(upright: np.ndarray, turn: int) -> np.ndarray:
    """What a camera stores so that a viewer obeying ``turn`` shows ``upright`` (EXIF 2.32, figure 5)."""
    return {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),  # shown after a quarter turn clockwise
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[turn](upright).copy()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", pytest.param("AVIF", marks=needs_avif)])
def test_orientation(form, turn):
    """All eight orientations give the same upright picture."""
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"JPEG": {"subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"subsampling": "4:4:4"}}.get(form, {})
    picture = read_picture(saved(stored_for(scene(), turn), form, exif=exif, quality=100, **options))
    assert picture.image.shape == (24, 40, 3)
    assert np.abs(levels(picture.image) - scene()).max() <= (5 if form in ("JPEG", "AVIF") else 1e-3)


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_of_alpha(turn):
    """Alpha turns with the color."""
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(stored_for(np.dstack([scene(), veil()]), turn), "PNG", exif=exif)
    np.testing.assert_array_equal(read_picture(data).alpha, veil() / np.float32(255))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_orientation_of_tiff_16(channels, turn):
    """A 16-bit TIFF turns too, though another decoder reads it."""
    samples = wide(channels)
    stored = stored_for(samples, turn)
    data = tiff(
        stored if channels > 1 else stored[:, :, 0],
        photometric="rgb" if channels > 1 else "minisblack",
        extrasamples=["unassalpha"] if channels == 4 else None,
        extratags=[(274, 3, 1, turn, True)],
    )
    picture = read_picture(data)
    color = np.broadcast_to(samples[:, :, :3], (11, 13, 3))
    np.testing.assert_array_equal(picture.image, color / np.float32(65535))
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, samples[:, :, 3] / np.float32(65535))


def test_broken_exif_is_upright():
    """EXIF that cannot be read does not cost the picture."""
    data = saved(scene(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20), quality=95)
    assert read_picture(data).image.shape == (24, 40, 3)


# --- color profiles ----------------------------------------------------------------------------

SWATCHES = np.array(
    [[[200, 100, 50], [128, 128, 128], [60, 140, 90]], [[0, 0, 0], [255, 255, 255], [90, 80, 160]]], np.uint8
)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_wide_gamut_8(form):
    """Adobe RGB of eight bits becomes the sRGB that the formulas give, to a level and a half."""
    big = SWATCHES.repeat(16, 0).repeat(16, 1)
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(form, {})
    picture = read_picture(saved(big, form, icc_profile=adobe_rgb(), **options))
    expected = srgb_of_adobe(SWATCHES / 255)
    tolerance = 3 if form == "JPEG" else 1.5
    assert np.abs(levels(picture.image)[8::16, 8::16] - expected * 255).max() <= tolerance
    assert picture.profile == "drawn"


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_wide_gamut_16(form):
    """Adobe RGB of sixteen bits becomes sRGB without passing through eight."""
    samples = wide(3) // 2 + 10000  # within sRGB's reach mostly
    profile = adobe_rgb()
    if form == "PNG":
        data = png(samples, 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)))
    else:
        data = tiff(samples, photometric="rgb", iccprofile=profile)
    picture = read_picture(data)
    np.testing.assert_allclose(picture.image, srgb_of_adobe(samples / 65535), atol=6e-4)
    assert len(np.unique(picture.image)) > 256


def test_srgb_profile_changes_nothing():
    """sRGB under any name leaves every sample as it is, and is not reported as a conversion."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read_picture(saved(scene(), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(picture.image, scene() / np.float32(255))
    assert picture.profile is None


def test_profile_leaves_alpha():
    """A profile is about color; alpha stays."""
    picture = read_picture(saved(np.dstack([scene(), veil()]), "PNG", icc_profile=adobe_rgb()))
    np.testing.assert_array_equal(picture.alpha, veil() / np.float32(255))


@pytest.mark.parametrize("depth", [8, 16])
def test_gray_profile(depth):
    """Gray of gamma 1.8 is lightened to sRGB's curve."""
    profile = icc(b"GRAY", {b"kTRC": gamma_curve(1.8)})
    gray = np.linspace(0, 2**depth - 1, 30).round().astype(f"u{depth // 8}")[None]
    data = png(gray, 0, chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)), depth=depth)
    share = gray[0] / (2**depth - 1)
    expected = encode(share ** (round(1.8 * 256) / 256))
    np.testing.assert_allclose(read_picture(data).image[0, :, 1], expected, atol=1.01 / 255 if depth == 8 else 1e-3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((2.2,), lambda x: x**2.2),
        ((2.0, 1.25, -0.25), lambda x: np.where(x >= 0.2, np.maximum(1.25 * x - 0.25, 0) ** 2, 0)),
        ((2.0, 0.8, -0.16, 0.1), lambda x: np.where(x >= 0.2, np.maximum(0.8 * x - 0.16, 0) ** 2 + 0.1, 0.1)),
        ((2.0, 0.8, 0.2, 0.5, 0.3), lambda x: np.where(x >= 0.3, (0.8 * x + 0.2) ** 2, 0.5 * x)),
        (
            (2.0, 0.8, 0.1, 0.5, 0.3, 0.1, 0.05),
            lambda x: np.where(x >= 0.3, (0.8 * x + 0.1) ** 2 + 0.1, 0.5 * x + 0.05),
        ),
    ],
    ids=range(5),
)
def test_parametric_curves(values, expected):
    """The five parametric curves of ICC profiles (ICC.1:2022, table 68)."""
    from bgkit.imagefile._profile import curves_of_profile

    kind = [1, 3, 4, 5, 7].index(len(values))
    tag = b"para\0\0\0\0" + struct.pack(f">HH{len(values)}i", kind, 0, *(round(v * 65536) for v in values))
    table = curves_of_profile(icc(b"GRAY", {b"kTRC": tag})).tables[0]
    x = np.linspace(0, 1, 65536)
    steady = np.abs(x - 0.3) > 1e-3  # the jump there may fall a sample earlier or later
    np.testing.assert_allclose(table[steady], expected(x)[steady], atol=1e-4)


def test_profile_of_another_kind_is_ignored():
    """A gray picture that carries an RGB profile, as some programs write, is left as it is."""
    gray = scene()[:, :, 0]
    data = saved(gray, "TIFF", icc_profile=adobe_rgb())
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.image[:, :, 0], gray / np.float32(255))
    assert picture.profile is None


@pytest.mark.parametrize("cut", [20, 130, 300])
def test_broken_profile_is_said(cut):
    """A profile that cannot be read is passed over, as viewers do, and the facts say so."""
    picture = read_picture(saved(scene(), "PNG", icc_profile=adobe_rgb()[:cut]))
    np.testing.assert_array_equal(picture.image, scene() / np.float32(255))
    assert "taken as sRGB" in picture.profile


def test_profile_made_of_tables_16():
    """A 16-bit picture whose profile is no matrix goes through eight bits rather than being left wrong."""
    lab = np.full((2, 2, 2, 3), 128, np.uint8)
    lab[..., 0] = np.array([0, 255])[:, None, None]  # lightness follows red alone
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([3, 3, 2, 0]) + identity + ramp * 3 + lab.tobytes() + ramp * 3
    profile = icc(b"RGB ", {b"A2B0": table}, connection=b"Lab ", kind=b"scnr")
    samples = np.zeros((4, 4, 3), np.uint16)
    samples[..., 0] = 32896  # half: L* = 50
    picture = read_picture(tiff(samples, photometric="rgb", iccprofile=profile))
    assert np.abs(levels(picture.image) - 119).max() <= 2


def gama(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100000)))


def test_png_gamma():
    """A PNG that says its samples are linear is encoded to sRGB."""
    picture = read_picture(png(wide(3), 2, gama(1.0)))
    np.testing.assert_allclose(picture.image, encode(wide(3) / 65535), atol=2e-5)
    eight = read_picture(png(scene(), 2, gama(1.0), depth=8))
    np.testing.assert_allclose(eight.image, encode(scene() / 255), atol=2e-5)


@pytest.mark.parametrize("extra", [(gama(0.45455),), (gama(1.0), chunk(b"sRGB", b"\0")), (chunk(b"sRGB", b"\0"),)])
def test_png_that_means_srgb(extra):
    """1/2.2 is what programs write for sRGB, and an sRGB chunk outranks gAMA (PNG 3rd edition, 4.3)."""
    np.testing.assert_array_equal(read_picture(png(wide(3), 2, *extra)).image, wide(3) / np.float32(65535))


def test_png_primaries():
    """The primaries of Adobe RGB in cHRM, with its gamma, give what its profile gives."""
    chrm = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
    samples = wide(3) // 2 + 10000
    picture = read_picture(png(samples, 2, gama(256 / 563 * 1.0), chrm))
    # a gamma within 5 % of 1/2.2 is sRGB's own curve, so that is what stands under these primaries
    share = samples / 65535
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(picture.image, encode(linear @ SRGB_FROM_ADOBE.T), atol=5e-4)


def test_png_white_point():
    """Gray stays gray under another white (here D50), because the eye adapts."""
    chrm = chunk(b"cHRM", struct.pack(">8I", 34567, 35850, 64000, 33000, 30000, 60000, 15000, 6000))
    gray = np.full((2, 2, 3), 40000, np.uint16)
    np.testing.assert_allclose(read_picture(png(gray, 2, chrm)).image, 40000 / 65535, atol=1e-3)


def test_png_silly_primaries():
    """Primaries that span no space are passed over."""
    chrm = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 0, 0, 0, 0, 0, 0))
    np.testing.assert_array_equal(read_picture(png(wide(3), 2, chrm)).image, wide(3) / np.float32(65535))


# --- what the file says of itself --------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP"])
def test_dpi(form):
    """The resolution is read."""
    assert read_picture(saved(scene(), form, dpi=(300, 150))).dpi == pytest.approx((300, 150), abs=0.02)


def test_dpi_turns():
    """Across and down change places with the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(saved(scene(), "PNG", dpi=(300, 150), exif=exif)).dpi == pytest.approx((150, 300), abs=0.02)


def test_facts_are_plain(tmp_path):
    """What goes into ``Layers.facts`` can be written as JSON, and names the real format."""
    import json

    (tmp_path / "a.jpg").write_bytes(saved(scene(), "PNG", dpi=(72, 72)))
    like = read_picture(tmp_path / "a.jpg").like
    assert json.loads(json.dumps(like)) == like
    assert (like["format"], like["depth"], like["path"]) == ("PNG", 8, str(tmp_path / "a.jpg"))


# --- where it comes from -----------------------------------------------------------------------


def test_sources(tmp_path):
    """Path, text path, bytes, binary file and Pillow picture are the same picture."""
    data = saved(np.dstack([scene(), veil()]), "PNG")
    path = tmp_path / "é ü.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), file, Image.open(path)]
        for source in sources:
            picture = read_picture(source)
            np.testing.assert_array_equal(picture.image, scene() / np.float32(255))
            np.testing.assert_array_equal(picture.alpha, veil() / np.float32(255))
    sources[-1].close()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I;16"]
)
def test_pillow_modes(mode):
    """A Pillow picture of any mode is read, and left as it was."""
    picture = Image.new(mode, (5, 4))
    read = read_picture(picture)
    assert read.image.shape == (4, 5, 3)
    assert (picture.mode, picture.size) == (mode, (5, 4))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pillow_modes_refused(mode):
    """Modes without an agreed white are refused."""
    with pytest.raises(ImageError, match="samples"):
        read_picture(Image.new(mode, (5, 4)))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_of_many(form):
    """Of an animation or a document, the first picture."""
    first, second = (Image.new("RGB", (8, 6), color) for color in ((200, 30, 40), (0, 0, 255)))
    options = {"lossless": True} if form == "WEBP" else {}
    data = saved(first, form, save_all=True, append_images=[second, second], **options)
    np.testing.assert_array_equal(read_picture(data).image[3, 3], np.array([200, 30, 40], np.float32) / np.float32(255))


def test_several_pictures_in_one_jpeg():
    """Phones put a depth map or a second exposure behind the first picture; the first counts."""
    data = saved(Image.fromarray(scene()), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))])
    assert read_picture(data).image.shape == (24, 40, 3)


# --- limits ------------------------------------------------------------------------------------


def huge_png(cols: int = 60000, rows: int = 60000) -> bytes:
    header = struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_limit_before_decoding():
    """A file that claims 3600 million pixels is refused for that, before its missing pixels are looked for."""
    with pytest.raises(ImageError, match=r"60000 x 60000 pixels .* limit of 200 million.*BGKIT_MAX_PIXELS"):
        read_picture(huge_png())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "avif"])
def test_limit_in_every_format(kind):
    """Every format's size is checked against the caller's limit; a picture of just that size passes."""
    data = samples_of_formats()[kind]
    picture = read_picture(data)
    size = picture.image.shape[0] * picture.image.shape[1]
    read_picture(data, max_pixels=size)
    with pytest.raises(ImageError, match="limit"):
        read_picture(data, max_pixels=size - 1)


def test_limit_from_environment(monkeypatch):
    """``BGKIT_MAX_PIXELS`` sets the limit."""
    monkeypatch.setenv("BGKIT_MAX_PIXELS", "100")
    with pytest.raises(ImageError, match=r"limit of 0\.0001 million"):
        read_picture(saved(scene(), "PNG"))


def test_bad_limit_is_said(monkeypatch):
    """A limit that is no number is an error of its own."""
    monkeypatch.setenv("BGKIT_MAX_PIXELS", "lots")
    with pytest.raises(ParamError, match="BGKIT_MAX_PIXELS: expected a whole number"):
        read_picture(saved(scene(), "PNG"))


def test_long_strips():
    """A picture 65500 wide and 2 high is read and written."""
    strip = np.zeros((2, 65500, 3), np.uint8)
    strip[:, ::7] = 200
    assert read_picture(saved(strip, "JPEG", quality=95)).image.shape == strip.shape
    memory = io.BytesIO()
    write_picture(memory, strip.astype(np.float32) / 255)
    np.testing.assert_array_equal(read_picture(memory.getvalue()).image, strip / np.float32(255))


def test_pillow_is_left_as_it_was():
    """Neither Pillow's own limit nor the warning filters stay changed, also after an error."""
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    read_picture(saved(scene(), "PNG"))
    with pytest.raises(ImageError):
        read_picture(b"\x89PNG\r\n\x1a\n")
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_threads():
    """Many threads may read at once."""
    files = list(samples_of_formats().values()) * 4
    expected = [read_picture(data).image for data in files]
    found: list = [None] * len(files)

    def work(number: int) -> None:
        for index in range(number, len(files), 4):
            found[index] = read_picture(files[index]).image

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- what cannot be read -----------------------------------------------------------------------


def test_absent(tmp_path):
    """A file that is not there."""
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file$"):
        read_picture(tmp_path / "nowhere.png")


def test_folder(tmp_path):
    """A folder."""
    with pytest.raises(ImageError, match=r"is a folder, expected a picture file$"):
        read_picture(tmp_path)


def test_empty(tmp_path):
    """A file of no bytes."""
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match=r"a\.jpg: is empty \(0 bytes\)$"):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable(tmp_path):
    """A file without permission."""
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(scene(), "JPEG"))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"a\.jpg: permission denied$"):
        read_picture(path)


@pytest.mark.parametrize(
    "data", [b"Hello, this is a text", b"%PDF-1.7\n", b"\0" * 500, b"\xff\xd8", b"<svg/>", b"\x89PNG"]
)
def test_not_a_picture(tmp_path, data):
    """Something else under a picture's name; the error names what is read."""
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png: is not a picture that bgkit reads \(JPEG, PNG"):
        read_picture(tmp_path / "a.png")


def test_heic():
    """A phone's HEIC gets an error of its own, for it is a picture to everybody else."""
    with pytest.raises(ImageError, match="HEIC"):
        read_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))


def test_lying_name(tmp_path):
    """A PNG named .jpg is read for what it is."""
    (tmp_path / "a.jpg").write_bytes(saved(scene(), "PNG"))
    assert read_picture(tmp_path / "a.jpg").format == "PNG"


def test_wrong_kind_of_source():
    """A number, or a file opened as text, is no picture."""
    with pytest.raises(ImageError, match="expected a path, bytes, a binary file or a PIL image, got int"):
        read_picture(7)
    with pytest.raises(ImageError, match="opened as binary"):
        read_picture(io.StringIO("text"))


@pytest.mark.parametrize("kind", KINDS)
def test_truncated(kind):
    """A file cut anywhere is an error, or nothing that matters was cut off; never a picture with gray in it."""
    data = samples_of_formats()[kind]
    whole = read_picture(data)
    cuts = {*range(1, 40), *np.linspace(40, len(data) - 1, 60).astype(int).tolist(), *range(len(data) - 12, len(data))}
    refused = 0
    for cut in sorted(cuts):
        try:
            picture = read_picture(data[:cut])
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(picture.image, whole.image, err_msg=f"cut at {cut} of {len(data)}")
    assert refused >= 0.9 * len(cuts)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-progressive", "jpeg-cmyk", "jpeg-gray"])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.98])
def test_truncated_jpeg_with_an_end(kind, share):
    """A JPEG cut short and closed with an end marker, which Pillow and OpenCV fill with gray, is an error."""
    data = samples_of_formats()[kind]
    with pytest.raises(ImageError, match="truncated or damaged"):
        read_picture(data[: int(len(data) * share)] + b"\xff\xd9")


def test_jpeg_with_bytes_behind_it():
    """Bytes behind the end, and padding before it, are usual and harmless."""
    data = samples_of_formats()["jpeg"]
    expected = read_picture(data).image
    for other in (data + b"more", data[:-2] + bytes(5) + data[-2:]):
        np.testing.assert_array_equal(read_picture(other).image, expected)


def test_jpeg_with_bytes_between():
    """Stray bytes between the parts cost nothing either."""
    data = samples_of_formats()["jpeg"]
    at = data.index(b"\xff\xc4")
    np.testing.assert_array_equal(read_picture(data[:at] + bytes(3) + data[at:]).image, read_picture(data).image)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-cmyk", "jpeg-gray"])
def test_jpeg_of_unusual_layout(kind, monkeypatch):
    """What TurboJPEG has no name for is left to Pillow, with the same pixels."""
    import simplejpeg

    def refuse(*args, **options):
        raise ValueError("Could not determine subsampling level of JPEG image")

    expected = read_picture(samples_of_formats()[kind]).image
    monkeypatch.setattr(simplejpeg, "decode_jpeg", refuse)
    np.testing.assert_array_equal(read_picture(samples_of_formats()[kind]).image, expected)


def test_png_with_a_flipped_bit():
    """A PNG's checksums are checked, also those of its pixels."""
    data = bytearray(samples_of_formats()["png"])
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(ImageError, match=r"picture: is damaged: wrong checksum in its part 'IDAT'"):
        read_picture(bytes(data))


def test_png_with_too_few_rows():
    """Right checksums, missing rows."""
    header = struct.pack(">IIBBBBB", 50, 40, 8, 2, 0, 0, 0)
    for rows in (b"", bytes(151 * 20)):
        data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
        with pytest.raises(ImageError, match="some of its rows are missing"):
            read_picture(b"\x89PNG\r\n\x1a\n" + b"".join(data))


def test_png_with_a_bad_filter():
    """Right checksums, enough rows, and a row filter that does not exist: no half-read picture."""
    rows = bytearray(b"\0" + bytes(150)) * 40
    rows[151 * 20] = 9
    header = struct.pack(">IIBBBBB", 50, 40, 8, 2, 0, 0, 0)
    data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    with pytest.raises(ImageError, match="cannot be read"):
        read_picture(b"\x89PNG\r\n\x1a\n" + b"".join(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 3), (9, 13), (24, 40)])
def test_interlaced_png(size):
    """The rows of an interlaced PNG are counted by its seven passes."""
    rows, cols = size
    pixels = scene()[:rows, :cols]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    body = b""
    for row, col, row_step, col_step in passes:
        part = pixels[row::row_step, col::col_step]
        body += b"".join(b"\0" + line.tobytes() for line in part if line.size)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 2, 0, 0, 1))
    start = b"\x89PNG\r\n\x1a\n" + header
    data = start + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(read_picture(data).image, pixels / np.float32(255))
    with pytest.raises(ImageError, match="rows are missing"):
        read_picture(start + chunk(b"IDAT", zlib.compress(body[:-1])) + chunk(b"IEND", b""))


def test_bogus_sizes():
    """Sizes of nothing, and a chunk longer than the file."""
    for header in (struct.pack(">II", 0, 5), struct.pack(">II", 5, 0)):
        data = png(scene(), 2, depth=8)
        body = data[16:29]
        with pytest.raises(ImageError):
            read_picture(
                data.replace(
                    data[12:33],
                    b"IHDR" + header + body[8:] + struct.pack(">I", zlib.crc32(b"IHDR" + header + body[8:])),
                )
            )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), st.data())
def test_flipped_bytes(kind, draw):
    """Whatever bytes are changed, there is a picture of 0..1 or an ImageError of one line."""
    data = bytearray(samples_of_formats()[kind])
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(data), max_pixels=1_000_000)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert picture.image.min() >= 0
        assert picture.image.max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_flipped_profile(draw):
    """A profile with changed bytes costs at most the conversion."""
    profile = bytearray(adobe_rgb())
    for _ in range(draw.draw(st.integers(1, 6))):
        profile[draw.draw(st.integers(0, len(profile) - 1))] = draw.draw(st.integers(0, 255))
    for data in (
        png(wide(3), 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(profile)))),
        png(scene(), 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(profile))), depth=8),
    ):
        image = read_picture(data).image
        assert image.min() >= 0
        assert image.max() <= 1


# --- masks and strokes -------------------------------------------------------------------------


def test_gray_mask_is_exact():
    """A trimap's 0, 128 and 255 arrive as they are, from gray, RGB and 16 bits, profile or not."""
    trimap = np.array([[0, 128, 255]], np.uint8)
    profile = icc(b"GRAY", {b"kTRC": gamma_curve(1.8)})
    for data in (
        saved(trimap, "PNG"),
        saved(np.dstack([trimap] * 3), "PNG"),
        saved(trimap, "PNG", icc_profile=profile),
        png(trimap.astype(np.uint16) * 257, 0),
    ):
        gray = read_gray(data)
        assert gray.dtype == np.float32
        np.testing.assert_allclose(gray, trimap / 255, atol=1e-7)
        assert gray[0, 2] == 1


def test_cutout_as_mask():
    """A cutout given as mask means its alpha."""
    np.testing.assert_array_equal(read_mask(saved(np.dstack([scene(), veil()]), "PNG")), veil())


def drawn_mask():
    """Return a mask as people draw them: white on black with a soft edge."""
    row, col = np.indices((40, 60))
    return np.uint8(255 * np.clip(8.5 - np.hypot(row - 20, col - 30) / 2, 0, 1))


@pytest.mark.parametrize("opacity", [255, 0, 128])
def test_mask_with_a_constant_alpha(opacity):
    """An alpha that is the same everywhere says nothing; the gray counts."""
    data = saved(np.dstack([drawn_mask()] * 3 + [np.full_like(drawn_mask(), opacity)]), "PNG")
    np.testing.assert_array_equal(read_mask(data), drawn_mask())


def test_mask_with_one_pixel_less_opaque():
    """Nor does an alpha that is clear nowhere."""
    alpha = np.full_like(drawn_mask(), 255)
    alpha[3, 3] = 254
    np.testing.assert_array_equal(read_mask(saved(np.dstack([drawn_mask()] * 3 + [alpha]), "PNG")), drawn_mask())


@pytest.mark.parametrize("gray", [drawn_mask(), np.full_like(drawn_mask(), 255), np.zeros_like(drawn_mask())])
def test_mask_drawn_on_nothing(gray):
    """White, black, or the mask itself on a clear ground: what is clear is background."""
    data = saved(np.dstack([gray] * 3 + [drawn_mask()]), "PNG")
    np.testing.assert_array_equal(read_mask(data), drawn_mask())


def test_black_and_white_with_a_clear_part():
    """A mask of which a part is clear: there it is background, elsewhere its gray counts."""
    alpha = np.full_like(drawn_mask(), 255)
    alpha[:, :30] = 0
    expected = np.where(alpha > 0, drawn_mask(), 0)
    np.testing.assert_array_equal(read_mask(saved(np.dstack([drawn_mask()] * 3 + [alpha]), "PNG")), expected)


@pytest.mark.parametrize("read", [read_mask, read_trimap, read_gray])
def test_color_as_mask(read):
    """No brightness says what a color means, so it is refused."""
    pixel = np.full((2, 2, 3), (255, 0, 0), np.uint8)
    with pytest.raises(ImageError, match=r"^picture: expected gray, got colors, as \(255, 0, 0\)"):
        read(saved(pixel, "PNG"))


@pytest.mark.parametrize("form", ["JPEG", "WebP"])
def test_gray_with_color_noise_as_mask(form):
    """What a lossy file makes of gray is gray."""
    data = saved(np.dstack([drawn_mask()] * 3), form, quality=90)
    assert np.abs(read_mask(data).astype(int) - drawn_mask()).max() <= 25


@pytest.mark.parametrize("depth", [8, 16])
def test_clear_pixels_of_a_trimap_are_unknown(depth):
    """Its gray decides the rest, whatever color lies under what is clear."""
    gray, alpha = np.uint8([[0, 0, 128, 255, 255, 90]]), np.uint8([[255, 0, 255, 255, 0, 255]])
    pixels = np.dstack([gray, gray, gray, alpha])
    pixels[0, 1, 0] = 200
    data = saved(pixels, "PNG") if depth == 8 else png(pixels.astype(np.uint16) * 257, 6)
    np.testing.assert_array_equal(enter("trimap", read_trimap(data)), [[0, 128, 128, 255, 128, 128]])


def test_mask_turns_with_exif():
    """A mask is turned upright as its picture is."""
    exif = Image.Exif()
    exif[0x0112] = 6
    gray = scene()[:, :, 0]
    np.testing.assert_array_equal(read_gray(saved(stored_for(gray, 6), "PNG", exif=exif)), gray / np.float32(255))


def test_strokes():
    """White 255, black 0; gray, color and clear say nothing."""
    pixels = np.array(
        [
            [255, 255, 255, 255],
            [0, 0, 0, 255],
            [128, 128, 128, 255],
            [255, 0, 0, 255],
            [255, 255, 255, 0],
            [240, 235, 250, 255],
        ],
        np.uint8,
    )[None]
    strokes = read_strokes(saved(pixels, "PNG"))
    assert strokes.dtype == np.uint8
    np.testing.assert_array_equal(strokes, [[255, 0, 128, 128, 128, 255]])


# --- writing -----------------------------------------------------------------------------------


def written(array: np.ndarray, form: str = "png", **options) -> bytes:
    memory = io.BytesIO()
    write_picture(memory, array, format=form, **options)
    return memory.getvalue()


@pytest.mark.parametrize("form", ["png", "tif", "bmp"])
def test_eight_bits_there_and_back(form):
    """All 256 levels survive reading and writing."""
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = np.dstack([array, array.T, array[::-1]])
    again = written(read_picture(saved(picture, "PNG")).image, form)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(again))), picture)


@pytest.mark.parametrize("form", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_there_and_back(form, channels):
    """All 65536 levels survive writing and reading."""
    levels16 = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    samples = np.dstack([levels16, levels16.T, levels16[::-1], np.maximum(levels16, 1)])[:, :, :channels]
    share = (samples / np.float32(65535)).squeeze()
    picture = read_picture(written(share, form, depth=16))
    color = np.broadcast_to(samples[:, :, :3] / np.float32(65535), (256, 256, 3))
    np.testing.assert_array_equal(picture.image, color)
    assert picture.depth == 16
    if channels == 4:
        np.testing.assert_array_equal(picture.alpha, share[:, :, 3])


def test_rounding_is_to_nearest():
    """0.4 of a level rounds down, 0.6 up; outside of 0..1 is clipped."""
    array = np.array([[10.4, 10.6, -3, 300, 255.4]], np.float32) / 255
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written(array)))), [[10, 11, 0, 255, 255]])


@pytest.mark.parametrize("channels", [None, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (700, 500)])
def test_png_is_read_by_others(size, depth, channels):
    """OpenCV reads the same samples from our PNG, also where it was written in several bands."""
    import cv2

    shape = size if channels is None else (*size, channels)
    array = np.random.default_rng(1).random(shape, np.float32)
    if channels == 4:
        array[:, :, 3] = np.maximum(array[:, :, 3], 0.1)
    top = 2**depth - 1
    found = cv2.imdecode(np.frombuffer(written(array, depth=depth), np.uint8), cv2.IMREAD_UNCHANGED)
    if channels:
        found = found[:, :, [2, 1, 0, 3][:channels]]
    np.testing.assert_array_equal(found, np.floor(array * np.float32(top) + np.float32(0.5)).astype(found.dtype))


@pytest.mark.parametrize("form", ["png", "tif", "webp", "jpg", "bmp", pytest.param("avif", marks=needs_avif)])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1), (1, 1, 3)])
def test_every_format_takes_every_layer(form, shape):
    """Masks, pictures and cutouts (opaque ones in JPEG and BMP) go into every format, and are found there."""
    array = np.full(shape, 0.5, np.float32)
    if shape[-1] == 4:
        array[:, :, 3] = 1
    picture = read_picture(written(array, form))
    assert picture.image.shape[:2] == shape[:2]
    assert np.abs(picture.image - 0.5).max() <= 4 / 255


@pytest.mark.parametrize("form", ["png", "tif", "webp"])
def test_alpha_is_written(form):
    """Alpha is exact in the formats for cutouts."""
    array = np.dstack([scene(), veil()]).astype(np.float32) / 255
    np.testing.assert_array_equal(read_picture(written(array, form)).alpha, veil() / np.float32(255))


@pytest.mark.parametrize("form", ["jpg", "bmp"])
def test_no_transparency_in_jpeg(form):
    """A cutout does not fit into a JPEG; the error says what to do."""
    array = np.dstack([scene(), veil()]).astype(np.float32) / 255
    with pytest.raises(ImageError, match="holds no transparency; put it on a background, or use png"):
        written(array, form)


def test_nearly_opaque_is_opaque():
    """An alpha that eight bits would round to 1 does not stop a JPEG."""
    array = np.dstack([scene() / 255, np.full((24, 40), 0.9999)]).astype(np.float32)
    assert read_picture(written(array, "jpg")).alpha is None


def test_trimap_is_written_as_it_is():
    """A uint8 trimap keeps its three values, also from a 16-bit input."""
    trimap = np.array([[0, 128, 255]], np.uint8)
    for form in ("png", "tif", "bmp"):
        found = np.asarray(Image.open(io.BytesIO(written(trimap, form, like={"depth": 16}))))
        np.testing.assert_array_equal(found, trimap)
        assert found.dtype == np.uint8


def test_depth_follows_the_input():
    """16 bits in, 16 bits out where the format can; 8 where it cannot; and what is asked for goes first."""
    array = np.full((4, 5, 3), 0.5, np.float32)
    assert read_picture(written(array, "png", like={"depth": 16})).depth == 16
    assert read_picture(written(array, "webp", like={"depth": 16})).depth == 8
    assert read_picture(written(array, "png", like={"depth": 16}, depth=8)).depth == 8
    assert read_picture(written(array, "tif")).depth == 8


def test_depth_that_does_not_fit():
    """16 bits asked of a JPEG, and a depth of 12."""
    array = np.full((4, 5, 3), 0.5, np.float32)
    with pytest.raises(ImageError, match="jpeg holds 8 bits per sample, not 16; use png or tif"):
        written(array, "jpg", depth=16)
    with pytest.raises(ParamError, match="depth: expected 8 or 16, got 12"):
        written(array, "png", depth=12)


@pytest.mark.parametrize("form", ["png", "tif", "webp", "jpg", pytest.param("avif", marks=needs_avif)])
def test_profile_is_written(form):
    """Color carries an sRGB profile that LittleCMS reads; gray carries none."""
    picture = Image.open(io.BytesIO(written(np.full((4, 5, 3), 0.5, np.float32), form)))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert "icc_profile" not in Image.open(io.BytesIO(written(np.full((4, 5), 0.5, np.float32), "png"))).info


@pytest.mark.parametrize("form", ["png", "tif", "jpg", "bmp"])
def test_dpi_is_written(form):
    """The input's resolution carries over."""
    like = read_picture(saved(scene(), "JPEG", dpi=(300, 150))).like
    data = written(np.full((4, 5, 3), 0.5, np.float32), form, like=like)
    assert read_picture(data).dpi == pytest.approx((300, 150), abs=0.02)


def test_same_bytes_twice():
    """The same picture gives the same file."""
    array = scene().astype(np.float32) / 255
    for form in ("png", "tif", "webp", "jpg"):
        data = written(array, form)
        assert written(array, form) == data
        profile = Image.open(io.BytesIO(data)).info["icc_profile"]
        assert profile[24:36] == struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # no date of making


def test_quality():
    """More quality is larger, and 100 of WebP is lossless."""
    array = np.random.default_rng(2).random((40, 40, 3), np.float32)
    for form in ("jpg", "webp"):
        assert len(written(array, form, quality=20)) < len(written(array, form, quality=95))
    rounded = np.rint(array * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(written(array, "webp", quality=100)))), rounded)
    with pytest.raises(ParamError, match=r"quality: expected 1\.\.100, got 0"):
        written(array, "jpg", quality=0)


def test_color_under_clear_pixels():
    """Color stays within 8 px of what is visible, so that scaling makes no dark rim, and is black beyond."""
    array = np.full((40, 60, 4), 0.5, np.float32)
    array[:, :, 3] = 0
    array[:, :20, 3] = 1
    found = np.asarray(Image.open(io.BytesIO(written(array))))
    assert (found[:, :28, :3] == 128).all()
    assert (found[:, 28:] == 0).all()


@pytest.mark.parametrize("ending", [".png", ".PNG", ".webp", ".tif", ".tiff", ".jpg", ".JPEG", ".bmp"])
def test_ending_chooses(tmp_path, ending):
    """The name's ending chooses the format, in capitals too."""
    path = tmp_path / f"out{ending}"
    write_picture(path, np.full((4, 5, 3), 0.5, np.float32))
    form = {"tif": "tiff", "jpg": "jpeg"}.get(ending[1:].lower(), ending[1:].lower())
    assert read_picture(path).format.lower() == form


@pytest.mark.parametrize("name", ["out", "out.gif", "out.txt"])
def test_unknown_ending(tmp_path, name):
    """Another ending is an error that lists what can be written."""
    with pytest.raises(ImageError, match=r"expected a name ending in \.png, \.webp"):
        write_picture(tmp_path / name, np.zeros((4, 5), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["png", "tif", "webp", "jpg"])
def test_nan_is_refused(tmp_path, form):
    """NaN is no color."""
    array = np.zeros((4, 5, 3), np.float32)
    array[2, 2, 1] = np.nan
    with pytest.raises(LayerError, match="got NaN"):
        write_picture(tmp_path / f"a.{form}", array)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "array", [np.zeros((4, 5)), np.zeros((4, 5, 2), np.float32), np.zeros((0, 5), np.float32), np.zeros(5, np.uint8)]
)
def test_wrong_arrays(array):
    """Other dtypes and shapes, and no pixels at all."""
    with pytest.raises(LayerError, match="expected"):
        written(array)


def test_missing_folder(tmp_path):
    """The folder must be there."""
    with pytest.raises(ImageError, match=r"out\.png: cannot be written: its folder does not exist$"):
        write_picture(tmp_path / "no" / "out.png", np.zeros((4, 5), np.float32))


def test_folder_in_the_way(tmp_path):
    """A folder of that name is not replaced."""
    (tmp_path / "out.png").mkdir()
    with pytest.raises(ImageError, match="it is a folder"):
        write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_folder_that_cannot_be_written(tmp_path):
    """A folder without permission."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ImageError, match="permission denied"):
            write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("form", ["png", "webp"])
def test_full_disk_leaves_the_old_file(tmp_path, form):
    """A disk that fills up: an ImageError with the path, the old file as it was, nothing beside it."""
    path = tmp_path / f"out.{form}"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, numpy as np\n"
        "from bgkit.imagefile import write_picture\n"
        "from bgkit.errors import ImageError\n"
        "array = np.random.default_rng(0).random((400, 400, 3), np.float32)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        f"try: write_picture({str(path)!r}, array)\n"
        "except ImageError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{path}: cannot be written: ")
    assert path.read_bytes() == b"old"
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    """Ctrl-C while writing leaves the old file, and nothing beside it."""
    from bgkit.imagefile import _png

    def stop(file, *args, **options):
        file.write(b"half")
        raise KeyboardInterrupt

    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(_png, "write_png", stop)
    with pytest.raises(KeyboardInterrupt):
        write_picture(path, np.zeros((4, 5), np.float32))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_reason_from_the_system(tmp_path, monkeypatch):
    """What the system says is passed on, with the path."""
    from bgkit.imagefile import _png

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_png, "write_png", full)
    with pytest.raises(ImageError, match=r"out\.png: cannot be written: no space left on device$"):
        write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))


def test_the_new_file_takes_the_place_of_the_old(tmp_path):
    """Who has the old file open goes on reading the old picture, for nothing is written into it."""
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_picture(path, np.zeros((4, 5), np.float32))
        assert reader.read() == b"old"
    assert read_picture(path).image.shape == (4, 5, 3)


def test_link_stays_a_link(tmp_path):
    """Writing through a link changes the file it points to."""
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    write_picture(tmp_path / "link.png", np.zeros((4, 5), np.float32))
    assert (tmp_path / "link.png").is_symlink()
    assert read_picture(tmp_path / "real.png").image.shape == (4, 5, 3)


def test_file_may_be_read_by_others(tmp_path):
    """The new file has the usual permissions, not those of a private temporary file."""
    usual = tmp_path / "usual"
    usual.touch()
    write_picture(tmp_path / "out.png", np.zeros((4, 5), np.float32))
    assert (tmp_path / "out.png").stat().st_mode == usual.stat().st_mode


def test_webp_too_wide():
    """A size that the format cannot hold is an ImageError."""
    with pytest.raises(ImageError, match="cannot be written"):
        written(np.zeros((1, 20000), np.float32), "webp")


def test_format_that_pillow_lacks(monkeypatch):
    """A Pillow without AVIF gives an error that says so."""
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(ImageError, match="built without avif; use png"):
        written(np.zeros((4, 5), np.float32), "avif")


def test_input_is_left_alone():
    """Writing changes nothing in the array, which may be read-only."""
    array = np.dstack([scene(), veil()]).astype(np.float32) / 255
    before = array.copy()
    array.flags.writeable = False
    for form in ("png", "tif", "webp"):
        written(array, form)
    np.testing.assert_array_equal(array, before)


def test_import_is_light():
    """Importing the module loads no decoder."""
    heavy = ["PIL", "cv2", "tifffile", "isal", "simplejpeg"]
    code = f"import sys, bgkit.imagefile; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
