"""Trimaps: the band is where it should be, as wide as it should be, never all there is; and strokes grow to edges."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN
from bgkit.stages import closed_form_matting, make_trimap, strokes


def half(shape=(120, 160), softness=0.0):
    """Return a mask whose right half is foreground, with a ramp of ``softness`` pixels."""
    col = np.arange(shape[1]) - (shape[1] - 1) / 2
    ramp = np.clip(0.5 + col / softness, 0, 1) if softness else (col > 0).astype(float)
    return np.broadcast_to(ramp, shape).astype(np.float32)


def band(trimap):
    """Return the number of unknown pixels in the middle row."""
    return int((trimap[trimap.shape[0] // 2] == UNKNOWN).sum())


def test_known_pixels_agree_with_the_mask():
    """Foreground only where the mask is at least 0.5, background only below."""
    mask = half(softness=20)
    trimap = make_trimap(mask)
    assert (mask[trimap == FOREGROUND] >= 0.5).all()
    assert (mask[trimap == BACKGROUND] < 0.5).all()


def test_every_unsure_pixel_is_unknown():
    """What lies between margin and 1 - margin is left to matting."""
    mask = half(softness=30)
    trimap = make_trimap(mask, margin=0.1, width=0)
    assert (trimap[(mask > 0.1) & (mask < 0.9)] == UNKNOWN).all()


def test_band_of_a_hard_edge_has_the_width_asked_for():
    """144 pixels of the subject's diagonal at 28 per mille: 4 pixels beyond the two contour pixels on each side."""
    assert band(make_trimap(half(), width=28)) == 2 + 2 * 4


def test_band_follows_the_size_of_the_subject():
    """The same scene at four times the size has about four times the band."""
    small, large = (band(make_trimap(half((120 * k, 160 * k)), width=28)) for k in (1, 4))
    assert large == pytest.approx(4 * small, abs=8)


@pytest.mark.parametrize("shape", [(120, 1440), (1440, 120), (480, 640)])
def test_band_does_not_follow_the_canvas(shape):
    """Padded to 1:12, 12:1 and four times the size, a subject has the band it has alone."""
    disk = np.clip(30.5 - np.hypot(*np.ogrid[-60:60, -60:60]), 0, 1).astype(np.float32)
    top, left = (shape[0] - 120) // 2, (shape[1] - 120) // 2
    canvas = np.zeros(shape, np.float32)
    canvas[top : top + 120, left : left + 120] = disk
    np.testing.assert_array_equal(make_trimap(canvas)[top : top + 120, left : left + 120], make_trimap(disk))


def test_band_is_wider_where_the_mask_is_softer():
    """A soft edge gets more than its own ramp and the hard edge's band together."""
    hard, soft = half(), half(softness=20)
    ramp = int(((soft[0] > 0.1) & (soft[0] < 0.9)).sum())
    assert band(make_trimap(soft, spread=1)) > band(make_trimap(hard, spread=1)) + ramp


def test_a_hard_edge_far_from_hair_keeps_its_narrow_band():
    """Softness at one edge of the subject does not widen the band along the other."""
    mask = half((120, 400), softness=20)
    mask = np.minimum(mask, half((120, 400))[:, ::-1][:, np.clip(np.arange(400) - 150, 0, 399)])
    hard = np.broadcast_to(mask[:1] >= 0.5, mask.shape)
    right = make_trimap(mask)[:, 300:]
    np.testing.assert_array_equal(right, make_trimap(hard)[:, 300:])


@pytest.mark.parametrize(("value", "label"), [(0, BACKGROUND), (1, FOREGROUND)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (20, 30)])
def test_constant_masks_have_no_band(value, label, shape):
    """Nothing found is all background, everything found is all foreground."""
    assert (make_trimap(np.full(shape, value, np.float32)) == label).all()


def test_a_small_subject_keeps_a_core():
    """A band wider than the subject leaves some foreground for matting to start from."""
    mask = np.zeros((100, 100), np.float32)
    mask[50:53, 50:53] = 1
    trimap = make_trimap(mask, width=100)
    assert set(np.unique(trimap)) == {BACKGROUND, UNKNOWN, FOREGROUND}


def test_a_small_gap_keeps_a_core():
    """A band wider than the background leaves some background for matting to start from."""
    mask = np.ones((100, 100), np.float32)
    mask[50:53, 50:53] = 0
    trimap = make_trimap(mask, width=100)
    assert set(np.unique(trimap)) == {BACKGROUND, UNKNOWN, FOREGROUND}


def test_turning_the_picture_turns_the_trimap():
    """Rows and columns are treated alike."""
    mask = np.clip(half() + np.random.default_rng(0).normal(0, 0.05, (120, 160)), 0, 1).astype(np.float32)
    np.testing.assert_array_equal(make_trimap(mask.T.copy()), make_trimap(mask).T)


def square_with_strokes():
    """Return a noisy picture of a square, where it is, and a short stroke inside and one outside of it."""
    inside = np.zeros((120, 160), bool)
    inside[30:90, 50:110] = True
    image = np.where(inside[:, :, None], (0.8, 0.3, 0.2), (0.4, 0.5, 0.4))
    image = (image + np.random.default_rng(0).normal(0, 0.03, image.shape)).clip(0, 1).astype(np.float32)
    drawn = np.full((120, 160), UNKNOWN, np.uint8)
    drawn[60, 60:70] = FOREGROUND
    drawn[10, 10:150] = BACKGROUND
    return image, inside, drawn


def test_strokes_grow_to_the_edge():
    """One stroke on each side decides all but the band, and rightly."""
    image, inside, drawn = square_with_strokes()
    trimap = strokes(image, drawn)
    assert (trimap[inside] != BACKGROUND).all()
    assert (trimap[~inside] != FOREGROUND).all()
    assert (trimap == UNKNOWN).mean() < 0.15


def test_strokes_stay_as_drawn():
    """What the user said is never overruled, not even within the band."""
    image, _, drawn = square_with_strokes()
    drawn[60, 110:114] = FOREGROUND
    trimap = strokes(image, drawn, width=30)
    np.testing.assert_array_equal(trimap[drawn != UNKNOWN], drawn[drawn != UNKNOWN])


def test_a_stroke_marks_off_what_has_the_color_of_the_subject():
    """Of two squares of one color, the one with a background stroke is background: distance decides, not color."""
    image, inside, drawn = square_with_strokes()
    image = np.hstack([image, image])
    drawn = np.hstack([drawn, np.full_like(drawn, UNKNOWN)])
    drawn[55:65, 215:265] = BACKGROUND
    trimap = strokes(image, drawn)
    assert (trimap[:, 160:] != FOREGROUND)[inside].mean() > 0.95
    assert (trimap[:, :160] != BACKGROUND)[inside].all()


@pytest.mark.parametrize("value", [BACKGROUND, UNKNOWN, FOREGROUND])
def test_without_strokes_on_both_sides_the_rest_is_unknown(value):
    """Nothing is guessed from one side alone."""
    image, _, _ = square_with_strokes()
    drawn = np.full((120, 160), UNKNOWN, np.uint8)
    drawn[60, 60:70] = value
    with pytest.warns(UserWarning, match="strokes: none on the"):
        np.testing.assert_array_equal(strokes(image, drawn), drawn)


def test_thin_strokes_survive_on_large_pictures():
    """A line of one pixel still counts where the picture is reduced by ten."""
    image, inside, _ = square_with_strokes()
    image, inside = np.kron(image, np.ones((5, 5, 1), np.float32)), np.kron(inside, np.ones((5, 5), bool))
    thin = np.full(inside.shape, UNKNOWN, np.uint8)
    thin[302, 300:340] = FOREGROUND
    thin[52, 50:700] = BACKGROUND
    trimap = strokes(image, thin, side=80)
    assert (trimap[inside] == FOREGROUND).mean() > 0.6


def test_strokes_may_go_straight_to_matting():
    """Without growing, the strokes themselves are the trimap, and matting finds the edge from them alone."""
    image, inside, drawn = square_with_strokes()
    drawn[[5, -5]], drawn[:, [5, -5]] = BACKGROUND, BACKGROUND
    trimap = strokes(image, drawn, grow=False)
    np.testing.assert_array_equal(trimap, drawn)
    assert ((closed_form_matting(image, trimap, epsilon=1e-4) > 0.5) == inside).all()
