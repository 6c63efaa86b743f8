"""Compositing: what must come out exactly, and what a shadow must be."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bgkit.errors import LayerError, ParamError
from bgkit.stages import composite

RNG = np.random.default_rng(0)
IMAGE = RNG.random((30, 40, 3), np.float32)
ALPHA = RNG.random((30, 40), np.float32)
OPAQUE, CLEAR = np.ones((30, 40), np.float32), np.zeros((30, 40), np.float32)


def scene(depth=0.4):
    """Return a picture, its plate and alpha: a dark square on an even wall, with a soft shadow at its right."""
    row, col = np.mgrid[:120, :160]
    plate = np.repeat((0.8 + 0.1 * col / 160)[:, :, None], 3, axis=2).astype(np.float32)
    shade = 1 - depth * np.exp(-((row - 70) ** 2 + (col - 100) ** 2) / (2 * 12**2))
    alpha = ((abs(row - 60) < 25) & (abs(col - 70) < 25)).astype(np.float32)
    image = np.where(alpha[:, :, None] > 0, 0.2, plate * shade[:, :, None]).astype(np.float32)
    return image, plate, alpha, shade


@pytest.mark.parametrize("background", ["white", "#123456", "blur"])
def test_opaque_pixels_are_the_picture(background):
    """Alpha 1 gives the picture, bit for bit, on any background."""
    np.testing.assert_array_equal(composite(IMAGE, OPAQUE, background=background), IMAGE)


def test_opaque_pixels_are_the_foreground_where_there_is_one():
    """A foreground layer takes the picture's place."""
    np.testing.assert_array_equal(composite(IMAGE, OPAQUE, 1 - IMAGE), 1 - IMAGE)


def test_clear_pixels_are_the_background():
    """Alpha 0 gives the background, bit for bit."""
    expected = np.broadcast_to(np.float32([1, 0, 0]), IMAGE.shape)
    np.testing.assert_array_equal(composite(IMAGE, CLEAR, background="#f00"), expected)


def test_white_on_white_is_pure_white():
    """No rounding leaves 254 where subject and background are white."""
    assert (composite(np.ones_like(IMAGE), ALPHA) == 1).all()


def test_the_old_background_puts_the_picture_together_again():
    """Compositing the foreground over the color it was taken from gives the picture back."""
    color = np.float32([0, 1, 0])
    picture = ALPHA[:, :, None] * IMAGE + (1 - ALPHA[:, :, None]) * color
    np.testing.assert_allclose(composite(picture, ALPHA, IMAGE, background="lime"), picture, atol=1e-6)


def test_none_keeps_color_and_alpha_apart():
    """Transparent output is the subject's color, not multiplied, and alpha, bit for bit."""
    result = composite(IMAGE, ALPHA, background="none")
    np.testing.assert_array_equal(result, np.dstack([IMAGE, ALPHA]))


def test_blur_does_not_smear_the_subject_into_the_background():
    """A red subject on gray leaves the blurred background gray."""
    alpha = np.zeros((60, 80), np.float32)
    alpha[20:40, 30:50] = 1
    image = np.where(alpha[:, :, None] > 0, np.float32([1, 0, 0]), np.float32(0.5))
    result = composite(image, alpha, background="blur", blur=50)
    np.testing.assert_allclose(result[alpha == 0], 0.5, atol=1e-3)


def test_a_kept_shadow_is_the_ratio_to_the_plate():
    """On white, the shadow has the shade the scene was drawn with, fading out below a few percent."""
    image, plate, alpha, shade = scene()
    result = composite(image, alpha, plate=plate, shadow="keep")
    outside = alpha == 0
    np.testing.assert_allclose(result[outside][:, 0], shade[outside], atol=0.04)
    assert abs(result[outside][:, 0] - shade[outside]).mean() < 0.01


def test_away_from_the_shadow_white_stays_pure():
    """Where the picture equals the plate, up to noise and exposure, the background is exactly 1."""
    image, plate, alpha, shade = scene()
    noisy = np.clip(image * 0.97 + RNG.normal(0, 0.01, image.shape), 0, 1).astype(np.float32)
    result = composite(noisy, alpha, plate=plate, shadow="keep")
    assert (result[(alpha == 0) & (shade > 0.999)] == 1).all()


def test_a_shadow_darkens_and_never_lights():
    """A picture brighter than its plate has no shadow."""
    image, plate, alpha, _ = scene(depth=-0.1)
    dropped, kept = (composite(image, alpha, plate=plate, shadow=word) for word in ("drop", "keep"))
    np.testing.assert_array_equal(kept, dropped)


def test_a_shadow_on_nothing_looks_the_same_over_white():
    """Transparent output with its shadow, laid on white, is the result on white."""
    image, plate, alpha, _ = scene()
    over = composite(image, alpha, plate=plate, shadow="keep", background="none")
    white = over[:, :, :3] * over[:, :, 3:] + (1 - over[:, :, 3:])
    np.testing.assert_allclose(white, composite(image, alpha, plate=plate, shadow="keep"), atol=1e-6)


def test_strength_zero_is_no_shadow():
    """The exponent 0 drops the shadow."""
    image, plate, alpha, _ = scene()
    kept = composite(image, alpha, plate=plate, shadow="keep", shadow_strength=0)
    np.testing.assert_array_equal(kept, composite(image, alpha, plate=plate))


def test_without_a_plate_the_shadow_comes_from_the_fitted_backdrop():
    """An even backdrop stands in for the plate; the shadow's depth comes out within a few percent."""
    image, _, alpha, shade = scene()
    result = composite(image, alpha, shadow="keep")
    np.testing.assert_allclose(result[alpha == 0][:, 0], shade[alpha == 0], atol=0.08)


def test_without_a_plate_only_what_hangs_together_with_the_subject_is_shadow():
    """A dark corner, which the smooth surface does not follow, becomes pure white; the shadow stays."""
    image, _, alpha, _ = scene()
    image[:12, :12] *= 0.9
    result = composite(image, alpha, shadow="keep")
    assert (result[:20, :20] == 1).all()
    assert result[70, 100, 0] < 0.75


def test_shadow_without_plate_or_backdrop_is_refused():
    """Where the empty scene cannot be known, the error names the layer that is missing."""
    blocks = np.kron(RNG.random((8, 10, 3)), np.ones((12, 12, 1))).astype(np.float32)
    with pytest.raises(LayerError, match="plate"):
        composite(blocks, np.zeros(blocks.shape[:2], np.float32), shadow="keep")


def test_a_background_that_is_neither_color_nor_file_is_refused():
    """The message says what a background may be."""
    with pytest.raises(ParamError, match="picture file that exists"):
        composite(IMAGE, ALPHA, background="no-such-file.png")


def test_a_background_by_its_url(tmp_path):
    """A file URL names a picture, percent escapes undone; one of another host is refused like any other word."""
    path = tmp_path / "paper ü 100%.png"
    Image.fromarray(np.full((30, 40, 3), (0, 255, 0), np.uint8)).save(path)
    result = composite(IMAGE, CLEAR, background=path.as_uri())
    assert (result == [0, 1, 0]).all()
    with pytest.raises(ParamError, match="picture file that exists"):
        composite(IMAGE, CLEAR, background=f"file://nas{path}")


def test_a_background_picture_covers_and_is_cut_evenly(tmp_path):
    """A wide picture behind a square one loses the same on both sides."""
    strip = np.zeros((20, 60, 3), np.uint8)
    strip[:, 20:40] = 255
    Image.fromarray(strip).save(tmp_path / "strip.png")
    clear = np.zeros((40, 40), np.float32)
    result = composite(np.zeros((40, 40, 3), np.float32), clear, background=str(tmp_path / "strip.png"))
    assert (result[:, 2:-2] > 0.9).all()


def half_clear(folder):
    """Write a green picture whose right half is clear, with red under it, and return its path."""
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[:, :20], pixels[:, 20:] = (0, 255, 0, 255), (255, 0, 0, 0)
    Image.fromarray(pixels).save(folder / "half.png")
    return str(folder / "half.png")


def test_clear_parts_of_a_background_stay_clear(tmp_path):
    """Where the new background is opaque so is the result; where it is clear, the subject alone is left."""
    result = composite(IMAGE, ALPHA, background=half_clear(tmp_path))
    on_green = composite(IMAGE, ALPHA, background="lime")
    np.testing.assert_allclose(result[:, :20], np.dstack([on_green, OPAQUE])[:, :20], atol=1e-6)
    np.testing.assert_allclose(result[:, 20:], np.dstack([IMAGE, ALPHA])[:, 20:], atol=1e-6)


def test_a_scaled_background_shows_no_color_from_under_its_clear_parts(tmp_path):
    """Colors are weighed by their opacity where a border of clear and opaque is scaled."""
    clear = np.zeros((90, 120), np.float32)
    result = composite(np.zeros((90, 120, 3), np.float32), clear, background=half_clear(tmp_path))
    seen = result[result[:, :, 3] > 0.01]
    np.testing.assert_allclose(seen[:, :3], np.broadcast_to([0, 1, 0], seen[:, :3].shape), atol=1e-3)


def test_a_shadow_on_a_clear_background_looks_the_same_over_white(tmp_path):
    """On a picture that is clear in part, the shadow falls on what is opaque and is black elsewhere."""
    image, plate, alpha, _ = scene()
    over = composite(image, alpha, plate=plate, shadow="keep", background=half_clear(tmp_path))
    white = over[:, :, :3] * over[:, :, 3:] + (1 - over[:, :, 3:])
    np.testing.assert_allclose(white[:, 85:], composite(image, alpha, plate=plate, shadow="keep")[:, 85:], atol=1e-6)
    lime = composite(image, alpha, plate=plate, shadow="keep", background="lime")
    np.testing.assert_allclose(over[:, :75, :3], lime[:, :75], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("background", ["white", "none", "blur"])
@pytest.mark.parametrize("shadow", ["drop", "keep"])
def test_tiny_pictures(shape, background, shadow):
    """One row, one column and one pixel are pictures."""
    image = np.full((*shape, 3), 0.5, np.float32)
    result = composite(image, np.zeros(shape, np.float32), plate=image, background=background, shadow=shadow)
    assert result.shape == (*shape, 4 if background == "none" else 3)
