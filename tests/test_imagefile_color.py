"""What a file says of its colors, and what becomes of them: profiles, code points, gamma."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from picture_files import (
    SRGB_FROM_ADOBE,
    adobe_rgb,
    chunk,
    encode,
    gamma_curve,
    icc,
    levels,
    png,
    saved,
    scene,
    srgb_of_adobe,
    tiff,
    veil,
    wide,
)
from PIL import Image, ImageCms

from bgkit.imagefile import read_picture

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
    """A gray picture that carries an RGB profile, as some programs write, is left as it is, with a warning."""
    gray = scene()[:, :, 0]
    data = saved(gray, "TIFF", icc_profile=adobe_rgb())
    with pytest.warns(UserWarning, match="its color profile is for RGB pictures, and it is gray"):
        picture = read_picture(data)
    np.testing.assert_array_equal(picture.image[:, :, 0], gray / np.float32(255))
    assert picture.profile is None


def test_srgb_on_a_gray_picture_is_no_news():
    """A gray picture with the RGB profile that says sRGB means what it would without: no warning."""
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    gray = scene()[:, :, 0]
    np.testing.assert_array_equal(
        read_picture(saved(gray, "PNG", icc_profile=srgb)).image[:, :, 0], gray / np.float32(255)
    )


@pytest.mark.parametrize(
    "kind, body",
    [
        (b"iCCP", b"drawn\0\x07" + zlib.compress(bytes(200))),
        (b"iCCP", b"drawn\0\0no deflate"),
        (b"iCCP", b"no end"),
        (b"zTXt", b"Comment\0\x01" + zlib.compress(b"hello")),
        (b"gAMA", b"\0\0"),
        (b"cICP", bytes([12, 13])),
        (b"cICP", bytes([12, 13, 1, 1])),  # a matrix: PNG has RGB alone
        (b"cHRM", bytes(31)),
        (b"sRGB", b""),
        (b"pHYs", bytes(8)),
    ],
)
def test_broken_part_beside_the_pixels_of_a_png(kind, body):
    """A part that says nothing of the pixels costs only itself where it is broken, with a warning that names it."""
    with pytest.warns(UserWarning, match=f"its part '{kind.decode()}' cannot be read"):
        picture = read_picture(png(scene(), 2, chunk(kind, body), depth=8))
    np.testing.assert_array_equal(picture.image, scene() / np.float32(255))


@pytest.mark.parametrize("cut", [20, 130, 300])
def test_broken_profile_is_said(cut):
    """A profile that cannot be read is passed over, as viewers do, with a warning, and the facts say so."""
    with pytest.warns(UserWarning, match="its color profile cannot be read"):
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
    picture = read_picture(png(wide(3), 2, gama(256 / 563), chrm))
    np.testing.assert_allclose(picture.image, srgb_of_adobe(wide(3) / 65535), atol=1e-3)


def test_png_primaries_alone():
    """Primaries without a gamma stand under sRGB's own curve."""
    chrm = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
    share = wide(3) / 65535
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(read_picture(png(wide(3), 2, chrm)).image, encode(linear @ SRGB_FROM_ADOBE.T), atol=5e-4)


@pytest.mark.parametrize("color_type, extra", [(4, b""), (0, chunk(b"tRNS", b"\0\0"))])
@pytest.mark.parametrize("depth", [8, 16])
def test_gray_profile_beside_transparency(depth, color_type, extra):
    """Gray with an alpha channel, or with a clear gray, is gray: its profile counts."""
    gray = np.linspace(0, 2**depth - 1, 30).round().astype(f"u{depth // 8}")[None]
    samples = gray if color_type == 0 else np.dstack([gray, np.full_like(gray, 2**depth - 1)])
    profile = icc(b"GRAY", {b"kTRC": gamma_curve(1.8)})
    chunks = (chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)), extra)
    picture = read_picture(png(samples, color_type, *chunks, depth=depth))
    expected = encode((gray[0] / (2**depth - 1)) ** (round(1.8 * 256) / 256))
    np.testing.assert_allclose(picture.image[0, :, 1], expected, atol=1.01 / 255 if depth == 8 else 1e-3)
    assert picture.alpha is not None and picture.alpha[0, -1] == 1


def test_png_white_point():
    """Gray stays gray under another white (here D50), because the eye adapts."""
    chrm = chunk(b"cHRM", struct.pack(">8I", 34567, 35850, 64000, 33000, 30000, 60000, 15000, 6000))
    gray = np.full((2, 2, 3), 40000, np.uint16)
    np.testing.assert_allclose(read_picture(png(gray, 2, chrm)).image, 40000 / 65535, atol=1e-3)


def test_png_silly_primaries():
    """Primaries that span no space are passed over."""
    chrm = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 0, 0, 0, 0, 0, 0))
    np.testing.assert_array_equal(read_picture(png(wide(3), 2, chrm)).image, wide(3) / np.float32(65535))


def rationals(*values: float) -> tuple[int, ...]:
    return tuple(number for value in values for number in (round(value * 100000), 100000))


WHITE = (318, 5, 2, rationals(0.3127, 0.3290))
OF_ADOBE = (319, 5, 6, rationals(0.64, 0.33, 0.21, 0.71, 0.15, 0.06))


@pytest.mark.parametrize("depth", [8, 16])
def test_tiff_primaries_and_curve(depth):
    """WhitePoint, PrimaryChromaticities and TransferFunction of Adobe RGB give what its profile gives."""
    samples = wide(3) if depth == 16 else (wide(3) >> 8).astype(np.uint8)
    most = 2**depth - 1
    light = np.linspace(0, 1, most + 1) ** (563 / 256)
    curve = (301, 3, most + 1, tuple(np.rint(65535 * light).astype(int).tolist()))
    picture = read_picture(tiff(samples, photometric="rgb", extratags=[WHITE, OF_ADOBE, curve]))
    linear = (samples / most) ** (563 / 256)
    np.testing.assert_allclose(picture.image, encode(linear @ SRGB_FROM_ADOBE.T), atol=1e-3)
    assert picture.profile == "TIFF curves"


def test_tiff_primaries_of_srgb_say_nothing():
    """What many programs write into every TIFF leaves the samples as they are."""
    ends = (319, 5, 6, rationals(0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
    picture = read_picture(tiff(wide(3), photometric="rgb", extratags=[WHITE, ends]))
    np.testing.assert_array_equal(picture.image, wide(3) / np.float32(65535))


def test_a_profile_goes_before_tiff_primaries():
    """An ICC profile is the fuller account (TIFF/EP, and what every viewer does)."""
    samples = (wide(3) >> 8).astype(np.uint8)
    with_profile = tiff(samples, photometric="rgb", iccprofile=adobe_rgb())
    both = tiff(
        samples, photometric="rgb", iccprofile=adobe_rgb(), extratags=[WHITE, (319, 5, 6, rationals(*[0.3] * 6))]
    )
    np.testing.assert_array_equal(read_picture(both).image, read_picture(with_profile).image)


# --- code points and EXIF -----------------------------------------------------------------------


def cicp(primaries: int, transfer: int, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, full]))


# Linear light of other primaries to linear sRGB, both D65 (brucelindbloom.com; ITU-R BT.2087 for BT.2020).
SRGB_FROM_P3 = np.array([[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0983]])
SRGB_FROM_2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def decode(share):
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    ("points", "light", "matrix"),
    [
        ((12, 13), decode, SRGB_FROM_P3),
        ((9, 13), decode, SRGB_FROM_2020),
        ((1, 8), lambda share: share, np.eye(3)),
        ((12, 8), lambda share: share, SRGB_FROM_P3),
        ((1, 4), lambda share: share**2.2, np.eye(3)),
    ],
)
def test_code_points(depth, points, light, matrix):
    """Primaries and transfer by cICP, of 8 and 16 bits."""
    samples = SWATCHES if depth == 8 else SWATCHES.astype(np.uint16) * 257
    picture = read_picture(png(samples, 2, cicp(*points), depth=depth))
    assert np.abs(picture.image - encode(light(SWATCHES / 255) @ matrix.T)).max() <= 1.5 / 255
    assert picture.profile


def test_narrow_range():
    """Samples of 16..235 are spread over the whole range."""
    samples = np.array([[[16, 16, 16], [235, 235, 235], [126, 126, 126]]], np.uint8)
    for depth, scale in ((8, 1), (16, 256)):
        image = read_picture(png(samples.astype(np.uint16) * scale, 2, cicp(1, 13, 0), depth=depth)).image
        np.testing.assert_allclose(image[0, :, 0], [0, 1, 110 / 219], atol=2e-4)


@pytest.mark.parametrize(
    ("transfer", "signal"),
    # BT.2408, table 1: 203 cd/m2 is a signal of 58 % in PQ (exactly 0.5807) and of 75 % in HLG.
    [(16, 0.58069), (18, 0.75)],
)
def test_white_of_high_dynamic_range(transfer, signal):
    """The reference white of PQ and HLG is white, gray stays gray, brighter light is clipped, and that is said."""
    samples = np.rint(np.array([[[signal] * 3, [0.9] * 3, [0.0] * 3]]) * 65535).astype(np.uint16)
    with pytest.warns(UserWarning, match=r"high dynamic range .* 203 cd/m2 is taken as white"):
        image = read_picture(png(samples, 2, cicp(9, transfer))).image
    assert np.abs(image[0, :2] - 1).max() <= 1e-3
    assert np.abs(image[0, 2]).max() <= 1e-6


def test_a_quarter_of_white_in_pq():
    """50.75 cd/m2 is a quarter of white's light (BT.2100, table 4: the inverse curve)."""
    power = (50.75 / 10000) ** (2610 / 16384)
    signal = ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    samples = np.full((1, 1, 3), round(signal * 65535), np.uint16)
    with pytest.warns(UserWarning, match="PQ"):
        image = read_picture(png(samples, 2, cicp(9, 16))).image
    np.testing.assert_allclose(image, encode(0.25), atol=1e-3)


def test_unknown_code_points_are_said():
    """A transfer curve that bgkit does not know is taken as sRGB's, with a warning."""
    with pytest.warns(UserWarning, match="code 9 of H.273"):
        np.testing.assert_array_equal(read_picture(png(SWATCHES, 2, cicp(1, 9), depth=8)).image * 255, SWATCHES)


def test_adobe_rgb_by_exif():
    """An uncalibrated color space is Adobe RGB where EXIF names it."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}
    big = SWATCHES.repeat(16, 0).repeat(16, 1)
    image = read_picture(saved(big, "PNG", exif=exif)).image
    assert np.abs(levels(image)[8::16, 8::16] - srgb_of_adobe(SWATCHES / 255) * 255).max() <= 0.6


def test_a_space_that_exif_does_not_name():
    """An uncalibrated color space without a name is taken as Adobe RGB, and that is said."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535}
    with pytest.warns(UserWarning, match="taken as Adobe RGB"):
        image = read_picture(saved(SWATCHES, "PNG", exif=exif)).image
    assert np.abs(levels(image) - srgb_of_adobe(SWATCHES / 255) * 255).max() <= 0.6


def test_a_space_that_a_program_does_not_name_is_srgb():
    """A program that names itself writes uncalibrated for pictures without a profile; that is said, too."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535}
    exif[0x0131] = "Adobe Photoshop CC 2017 (Macintosh)"
    with pytest.warns(UserWarning, match="taken as sRGB"):
        np.testing.assert_array_equal(read_picture(saved(SWATCHES, "PNG", exif=exif)).image * 255, SWATCHES)


@pytest.mark.parametrize(("space", "index"), [(1, None), (65535, "R98")])
def test_srgb_by_exif(space, index):
    """sRGB by EXIF, or interoperability R98, changes nothing."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: space} | ({0xA005: {1: index}} if index else {})
    np.testing.assert_array_equal(read_picture(saved(SWATCHES, "PNG", exif=exif)).image * 255, SWATCHES)
