"""Color spaces: the constants, the curves, there and back, and scikit-image's opinion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgkit import color

CORNERS = np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], float)
DARK = np.random.default_rng(1).random((500, 3)) * 0.05
RANDOM = np.random.default_rng(0).random((2000, 3))


def test_white_is_the_white_point():
    """RGB (1, 1, 1) is D65 of ASTM E308, within the rounding of the matrix."""
    assert np.allclose(color.xyz_from_linear([1.0, 1.0, 1.0]), color.WHITE_D65, atol=1e-4)


def test_white_and_black_have_no_chroma():
    """White is L* = 100, black L* = 0, and both have u* = v* = 0."""
    assert np.allclose(color.luv_from_srgb([[1, 1, 1], [0, 0, 0]]), [[100, 0, 0], [0, 0, 0]], atol=0.02)


def test_red_is_where_the_tables_have_it():
    """The sRGB red is (53.24, 175.01, 37.76), as Lindbloom's calculator and CIE 15's formulas give."""
    assert np.allclose(color.luv_from_srgb([1.0, 0.0, 0.0]), [53.24, 175.01, 37.76], atol=0.02)


def test_curve_meets_at_its_knee():
    """The straight and the curved part of the sRGB transfer curve meet within 1e-6."""
    assert color.linear_from_srgb(0.04045) == pytest.approx(color.linear_from_srgb(0.0404501), abs=1e-6)


@pytest.mark.parametrize("colors", [CORNERS, DARK, RANDOM], ids=["corners", "dark", "random"])
def test_srgb_there_and_back(colors):
    """Undoing and applying the transfer curve gives the color again."""
    assert np.allclose(color.srgb_from_linear(color.linear_from_srgb(colors)), colors, atol=1e-6)


@pytest.mark.parametrize("colors", [CORNERS, DARK, RANDOM], ids=["corners", "dark", "random"])
def test_luv_there_and_back(colors):
    """CIELUV and back gives the color again, also at black, where the way back divides by L*."""
    assert np.allclose(color.srgb_from_luv(color.luv_from_srgb(colors)), colors, atol=1e-6)


@pytest.mark.parametrize("colors", [CORNERS, DARK, RANDOM], ids=["corners", "dark", "random"])
def test_luv_agrees_with_scikit_image(colors):
    """CIELUV is within 0.001 dE*uv of scikit-image's."""
    skimage_color = pytest.importorskip("skimage.color")
    theirs = skimage_color.rgb2luv(colors[None])[0]
    assert np.abs(color.luv_from_srgb(colors) - theirs).max() < 1e-3


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 600), st.floats(0.01, 1.5), st.integers(0, 2**32 - 1))
def test_luv_of_a_picture_is_near_the_definitions(rows, cols, brightest, seed):
    """Within 0.012 dE*uv for a picture of any size, columns of another one too; what is beyond 0..1 is clipped."""
    picture = np.random.default_rng(seed).uniform(-0.1, brightest, (rows, 2 * cols, 3)).astype(np.float32)[:, ::2]
    expected = color.luv_from_srgb(np.clip(picture, 0, 1))
    assert np.sqrt(((color.luv_of_picture(picture) - expected) ** 2).sum(-1)).max() < 0.012


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_channels_are_averaged_and_compared_as_numpy_does(rows, cols, seed):
    """Bit by bit, for pictures, views of them, and lists of colors."""
    picture = np.random.default_rng(seed).normal(size=(rows, cols, 3)).astype(np.float32)
    for colors in (picture, picture[::-2, ::3], picture.reshape(-1, 3), picture.transpose(1, 0, 2)):
        np.testing.assert_array_equal(color.mean_channel(colors), np.ascontiguousarray(colors).mean(-1))
        np.testing.assert_array_equal(color.largest_channel(colors), colors.max(-1))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_samples_of_eight_bits_are_divided_exactly(shape, seed):
    """As NumPy divides, for arrays of any shape and views that lie otherwise in memory."""
    samples = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    for array in (samples, samples[::-1], samples.T):
        np.testing.assert_array_equal(color.from_bytes(array), array / np.float32(255))


def test_less_light_keeps_chromaticity():
    """Halving the light of a color moves it on a line to the origin of L*u*v*, which shadows rely on."""
    lit = color.luv_from_xyz(color.xyz_from_linear([0.5, 0.6, 0.3]))
    dark = color.luv_from_xyz(color.xyz_from_linear([0.25, 0.3, 0.15]))
    assert np.allclose(dark / dark[0], lit / lit[0])


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("#fff", (1, 1, 1)),
        ("#FF8000", (1, 128 / 255, 0)),
        ("Teal", (0, 128 / 255, 128 / 255)),
        ("grey", (128 / 255,) * 3),
    ],
)
def test_color_words(text, rgb):
    """Short and long hexadecimal and HTML names, in either case, are read."""
    assert color.parse_color(text) == pytest.approx(rgb)


@pytest.mark.parametrize("text", ["", "#12", "#12345", "#ggg", "rgb(0,0,0)", "octarine"])
def test_what_is_no_color(text):
    """Anything else is None, not an exception."""
    assert color.parse_color(text) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 900), st.integers(0, 2**32 - 1), st.booleans())
def test_inner_products_of_pixels_side_by_side(count, seed, one):
    """The kernel for colors equals einsum, which takes all else, bit for bit, also with one color for all."""
    random = np.random.default_rng(seed)
    a = random.random((1, count, 3), np.float32)
    b = random.random((3,) if one else a.shape, np.float32)
    np.testing.assert_array_equal(color.dot(a, b), np.einsum("...i,...i", a, b))
