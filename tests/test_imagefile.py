"""Picture files: every kind is read as it is meant.

All files are drawn here. Where a value is expected, it comes from the drawn array or from a formula
written out in the test, not from what Pillow says of the same file.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from picture_files import (
    chunk,
    cmyk_profile,
    encode,
    gamma_curve,
    icc,
    levels,
    needs_avif,
    png,
    saved,
    scene,
    stored_for,
    tiff,
    tiff_by_hand,
    tiff_of,
    veil,
    wide,
)
from PIL import Image

from bgkit.errors import ImageError
from bgkit.imagefile import count_pages, read_gray, read_mask, read_picture, read_strokes, read_trimap
from bgkit.layers import as_layer

# --- formats and modes --------------------------------------------------------------------------


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


# --- sixteen bits -------------------------------------------------------------------------------


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


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_premultiplied(dtype, planes):
    """Color that was multiplied by alpha is divided by it again, channels together or apart."""
    top = np.iinfo(dtype).max
    color, alpha = np.array([0.8, 0.4, 0.2]), 0.5
    pixel = np.round(np.array([*(color * alpha), alpha]) * top).astype(dtype)
    samples = np.broadcast_to(pixel, (4, 5, 4))
    samples = np.ascontiguousarray(samples if planes == "contig" else np.moveaxis(samples, 2, 0))
    picture = read_picture(tiff(samples, photometric="rgb", extrasamples=["assocalpha"], planarconfig=planes))
    np.testing.assert_allclose(picture.image[1, 1], color, atol=2.1 / top)
    np.testing.assert_allclose(picture.alpha, alpha, atol=1 / top)


@pytest.mark.parametrize("dtype", [np.uint32, np.int16, np.int8])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_without_a_white(dtype, channels):
    """Samples of 32 bits, and signed ones, have no agreed white; the error says what the file has."""
    samples = np.ones((4, 5, channels), dtype)
    data = tiff(samples if channels == 3 else samples[:, :, 0], photometric="rgb" if channels == 3 else "minisblack")
    kind = "unsigned" if dtype == np.uint32 else "signed"
    with pytest.raises(ImageError, match=f"{kind} samples of {np.iinfo(dtype).bits} bits, which have no agreed white"):
        read_picture(data)


FLOATS = [np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_of_floats(dtype, channels):
    """Floats of 0..1 are taken as they are, with and without alpha."""
    samples = np.random.default_rng(5).random((6, 7, channels)).astype(dtype)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    data = tiff(
        samples if channels > 1 else samples[:, :, 0], photometric="rgb" if channels > 1 else "minisblack", **extra
    )
    picture = read_picture(data)
    color = np.broadcast_to(samples[:, :, :3], (6, 7, 3))
    np.testing.assert_allclose(picture.image, color, atol=1e-7)
    assert picture.depth == 16
    if channels == 4:
        np.testing.assert_allclose(picture.alpha, samples[:, :, 3], atol=1e-7)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, 3.5)])
def test_floats_of_another_scale(low, high):
    """Floats beyond 0..1 without a profile have no white; the error says what the file has."""
    samples = np.linspace(low, high, 20, dtype=np.float32).reshape(4, 5)
    with pytest.raises(ImageError, match=rf"floating-point samples of {low:g}\.\.{high:g} and no profile"):
        read_picture(tiff(samples, photometric="minisblack"))


def test_floats_that_are_no_numbers():
    """NaN is refused."""
    with pytest.raises(ImageError, match="NaN or infinite"):
        read_picture(tiff(np.full((4, 5), np.nan, np.float32), photometric="minisblack"))


def test_linear_floats_with_a_profile():
    """With a linear profile 1 is white: light is encoded, what is brighter is clipped, and that is said."""
    profile = icc(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    samples = np.array([[0.0, 0.2, 1.0, 4.0]], np.float32)
    with pytest.warns(UserWarning, match=r"floating-point samples of 0\.\.4 are clipped to 0\.\.1"):
        picture = read_picture(tiff(samples, photometric="minisblack", iccprofile=profile))
    np.testing.assert_allclose(picture.image[0, :, 0], [0, 0.48453, 1, 1], atol=1e-4)


def test_tiff_16_gray_with_alpha():
    """Gray and alpha of sixteen bits."""
    samples = wide(2)
    picture = read_picture(tiff(samples, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig"))
    np.testing.assert_array_equal(picture.image[:, :, 1], samples[:, :, 0] / np.float32(65535))
    np.testing.assert_array_equal(picture.alpha, samples[:, :, 1] / np.float32(65535))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_cmyk_with_alpha(dtype):
    """Four inks and an alpha: ink on white, and the alpha apart."""
    top = np.iinfo(dtype).max
    inks = (np.array([[[0, 0, 0, 0], [1, 0, 0, 0]], [[0, 0, 0, 1], [0, 0.5, 0, 0]]]) * top).astype(dtype)
    alpha = np.array([[0, top // 3], [top // 2, top]], dtype)
    data = tiff(np.dstack([inks, alpha]), photometric="separated", extrasamples=["unassalpha"], planarconfig="contig")
    picture = read_picture(data)
    assert np.abs(levels(picture.image) - PRINTED).max() <= 1.01
    np.testing.assert_array_equal(picture.alpha, alpha / np.float32(top))


# XYZ, adapted to D50 by Bradford, to linear sRGB (brucelindbloom.com, "RGB/XYZ matrices").
SRGB_FROM_D50 = np.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("photometric", "alpha"), [("cielab", False), ("icclab", False), ("cielab", True)])
def test_lab_tiff_of_any_depth(dtype, photometric, alpha):
    """CIELAB of L* = 50, and of a* = 40: the sRGB of the formulas (D50 to D65 by Bradford), in 8 and 16 bits."""
    scale = 1 if dtype == np.uint8 else 256
    stored = np.array([[[0.5, 0, 0], [0.5, 40, 20]]])
    samples = np.empty((1, 2, 3 + alpha), dtype)
    samples[:, :, 0] = np.rint(stored[:, :, 0] * np.iinfo(dtype).max)
    middle = 128 if photometric == "icclab" else 0
    samples[:, :, 1:3] = ((stored[:, :, 1:] + middle) * scale).astype(np.int64).astype(dtype)
    options = {"extrasamples": ["unassalpha"]} if alpha else {}
    if alpha:
        samples[:, :, 3] = np.iinfo(dtype).max // 5
    picture = read_picture(tiff(samples, photometric=photometric, planarconfig="contig", **options))
    level = np.rint(0.5 * np.iinfo(dtype).max) / np.iinfo(dtype).max * 100
    middle = (level + 16) / 116 + np.array([[0, 0, 0], [40 / 500, 0, -20 / 200]])
    light = middle**3 * [0.9642, 1, 0.8249] @ SRGB_FROM_D50.T
    assert np.abs(levels(picture.image)[0] - encode(light) * 255).max() <= 0.1
    assert picture.profile == "CIELAB"
    assert (picture.alpha is not None) == alpha


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "lzma", "packbits"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_every_road_into_a_tiff(compression, predictor, tile, planes, dtype):
    """Sixteen bits and floats arrive exactly: any compression, differences, strips or tiles, channels apart or not."""
    samples = np.random.default_rng(1).random((21, 37, 3)).astype(np.float32)
    samples = (samples * 65535).astype(np.uint16) if dtype == np.uint16 else samples
    data = tiff_by_hand(samples, compression, predictor, tile, planes)
    top = np.float32(65535) if dtype == np.uint16 else np.float32(1)
    np.testing.assert_array_equal(read_picture(data).image, samples / top)


@pytest.mark.parametrize("bits", [12])
def test_twelve_bits(bits):
    """White of twelve bits is white."""
    rows = [[0, 2**bits - 1, 2 ** (bits - 1), 1000]]
    packed = "".join(f"{value:0{bits}b}" for value in rows[0])
    body = bytes(int(packed[at : at + 8], 2) for at in range(0, len(packed), 8))
    data = tiff_of(body, {256: 4, 257: 1, 258: bits, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1, 279: len(body)})
    np.testing.assert_allclose(read_picture(data).image[:, :, 0], np.array(rows) / (2**bits - 1), atol=1e-5)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_big_tiff(order, dtype, tile):
    """A BigTIFF (64-bit offsets) of either byte order."""
    samples = (wide(3) >> (8 if dtype == np.uint8 else 0)).astype(dtype)
    data = tiff(samples, photometric="rgb", bigtiff=True, byteorder=order, tile=tile)
    np.testing.assert_array_equal(read_picture(data).image, samples / np.float32(np.iinfo(dtype).max))


# --- which picture of a file -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_reduced_picture_first(dtype):
    """A TIFF whose first directory is a reduced picture: the full one counts, below it or behind it."""
    import tifffile

    full = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (20, 30, 3), dtype=dtype)
    small = np.zeros((5, 8, 3), np.uint8)
    for below in (True, False):
        memory = io.BytesIO()
        with tifffile.TiffWriter(memory) as writer:
            more = {"subifds": 1} if below else {}
            writer.write(small, photometric="rgb", subfiletype=1, metadata=None, **more)
            writer.write(full, photometric="rgb", metadata=None)
        picture = read_picture(memory.getvalue())
        np.testing.assert_array_equal(picture.image, full / np.float32(np.iinfo(dtype).max))
        assert (picture.page, picture.pages) == (1, 1)


def test_clear_gray_of_a_second_picture():
    """A clear gray of 2 bits holds for every picture of an animated PNG."""
    header = struct.pack(">IIBBBBB", 4, 1, 2, 0, 0, 0, 0)
    control = [struct.pack(">IIIIIHHBB", number, 4, 1, 0, 0, 1, 10, 0, 0) for number in (0, 1)]
    rows = [zlib.compress(b"\0" + bytes([packed])) for packed in (0b00011011, 0b11100100)]  # 0 1 2 3, and 3 2 1 0
    parts = [(b"IHDR", header), (b"acTL", struct.pack(">II", 2, 0)), (b"tRNS", b"\0\1"), (b"fcTL", control[0])]
    parts += [(b"IDAT", rows[0]), (b"fcTL", control[1]), (b"fdAT", struct.pack(">I", 2) + rows[1]), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    assert read_picture(data, page=1).alpha.tolist() == [[1, 0, 1, 1]]
    assert read_picture(data, page=2).alpha.tolist() == [[1, 1, 0, 1]]


def test_thumbnail_behind_a_picture_is_no_page():
    """A reduced picture at the end is not counted, and nothing is said of it."""
    import tifffile

    memory = io.BytesIO()
    with tifffile.TiffWriter(memory) as writer:
        writer.write(scene(), photometric="rgb", metadata=None)
        writer.write(scene()[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
    picture = read_picture(memory.getvalue())
    assert (picture.image.shape, picture.pages) == ((24, 40, 3), 1)


def several(form: str) -> bytes:
    """Three pictures of one color each: red, green, blue."""
    pictures = [Image.new("RGB", (16, 12), color) for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(form, {})
    options |= {"quality": 100} if form == "MPO" else {}
    return saved(pictures[0], form, save_all=True, append_images=pictures[1:], duration=100, **options)


MANY = ["GIF", "WEBP", "PNG", "TIFF", "MPO", pytest.param("AVIF", marks=needs_avif)]


@pytest.mark.parametrize("form", MANY)
def test_first_of_many(form):
    """Of an animation or a document the first picture is taken, and a warning says how many are left out."""
    with pytest.warns(UserWarning, match="holds 3 pictures; the first one is taken, 2 are left out"):
        picture = read_picture(several(form))
    assert np.abs(levels(picture.image)[3, 3] - [200, 0, 0]).max() <= 3
    assert (picture.page, picture.pages) == (1, 3)
    assert picture.like["pages"] == 3


@pytest.mark.parametrize(
    ("size", "comment"), [((16, 12), b'<x hdrgm:Version="1.0"/>'), ((8, 6), b"")], ids=["gain map", "smaller"]
)
def test_second_picture_of_a_jpeg_that_is_no_view(size, comment):
    """A gain map behind a JPEG is no page, nor is a picture of another size of which the index says nothing."""
    second = Image.new("RGB", size, (0, 200, 0))
    second.info["comment"] = comment
    data = saved(Image.new("RGB", (16, 12), (200, 0, 0)), "MPO", save_all=True, append_images=[second])
    assert read_picture(data).pages == 1


@pytest.mark.parametrize("form", MANY)
@pytest.mark.parametrize("page", [1, 2, 3])
def test_page_of_many(form, page):
    """A page that is asked for is taken without a word."""
    color = read_picture(several(form), page=page).image[3, 3]
    expected = np.zeros(3)
    expected[page - 1] = 200
    assert np.abs(levels(color) - expected).max() <= 3


@pytest.mark.parametrize("form", MANY)
def test_page_that_is_not_there(form):
    """A page too many is an error that says how many there are."""
    with pytest.raises(ImageError, match="has no page 4: it holds 3 pictures"):
        read_picture(several(form), page=4)
    with pytest.raises(ImageError, match="has no page 2: it holds 1 picture"):
        read_picture(saved(scene(), form if form != "GIF" else "BMP"), page=2)


@pytest.mark.parametrize("form", MANY)
def test_pages_are_counted(form, tmp_path):
    """The pages of a file are counted by its header; a file that cannot be read counts as one."""
    (tmp_path / "a").write_bytes(several(form))
    assert count_pages(tmp_path / "a") == 3
    (tmp_path / "b").write_bytes(several(form)[:30])
    assert count_pages(tmp_path / "b") == 1


# --- orientation --------------------------------------------------------------------------------


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


# --- what the file says of itself ---------------------------------------------------------------


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


# --- masks and strokes --------------------------------------------------------------------------


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
    np.testing.assert_array_equal(as_layer("trimap", read_trimap(data)), [[0, 128, 128, 255, 128, 128]])


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


@pytest.mark.parametrize("deep", [False, True])
def test_strokes_that_are_labels(deep):
    """Numbers of classes are refused with the values found; all of them would be background."""
    labels = np.array([[0, 1, 2, 1]])
    data = png(labels.astype(np.uint16), 0) if deep else saved(labels.astype(np.uint8), "PNG")
    with pytest.raises(ImageError, match=r"white on the subject .* got 0, 1, 2: labels"):
        read_strokes(data)
