"""Light: the backdrop lands where it shall, colors stay, highlights are not cut."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.color import linear_from_srgb, luv_from_srgb, srgb_from_linear
from bgkit.layers import Layers
from bgkit.pipelinefile import read_pipeline
from bgkit.stage import collect_notes
from bgkit.stages import flat_field, white_balance


def shot(exposure=1.0, tint=(1, 1, 1), bright=False):
    """A colored square before a light gray wall, lit from the left: (image, plate, where the subject is, its color)."""
    row, col = np.mgrid[:120, :160]
    light = exposure * (0.85 - 0.3 * (col / 160) ** 2)
    inside = (abs(row - 60) < 25) & (abs(col - 80) < 25)
    color = np.array([1.1, 1.05, 0.9] if bright else [0.5, 0.15, 0.1])
    scene = np.where(inside[..., None], color, 0.9) * light[..., None] * np.array(tint)
    empty = 0.9 * (light / exposure)[..., None] * np.array(tint)
    image, plate = (srgb_from_linear(np.clip(each, 0, 1)).astype(np.float32) for each in (scene, empty))
    return image, plate, inside, color


@pytest.mark.parametrize("with_plate", [True, False], ids=["plate", "fitted"])
@pytest.mark.parametrize("exposure", [0.8, 1.0, 1.15])
def test_the_backdrop_lands_on_the_target_in_every_shot(exposure, with_plate):
    """However long the shot was exposed, the backdrop is within one step of 255 of the target."""
    image, plate, inside, _ = shot(exposure)
    even = flat_field(image, plate if with_plate else None, white=0.95, max_gain=4)
    np.testing.assert_allclose(even[~inside], 0.95, atol=1 / 255 if with_plate else 2.5 / 255)


def test_the_subject_is_lit_evenly_too():
    """The light is divided out of the subject as well: its reflectance comes out, up to one factor."""
    image, plate, inside, color = shot()
    even = linear_from_srgb(flat_field(image, plate, max_gain=4)[inside])
    np.testing.assert_allclose(even / even[:, :1], np.tile(color / color[0], (len(even), 1)), atol=0.02)
    assert even.std(axis=0).max() < 0.01


def test_highlights_brighter_than_the_backdrop_are_not_cut_off():
    """Values above the target keep their order and their hue, and stay below 1."""
    image, plate, inside, _ = shot(0.7, bright=True)
    even = flat_field(image, plate, white=0.94, max_gain=4)
    assert even.max() < 1
    assert even[inside][:, 0].min() > 0.95
    assert (np.diff(even[inside].mean(0)) < -0.005).all()  # red above green above blue, as in the scene


def test_keep_leaves_the_mean_light():
    """Without normalizing, the backdrop is even at its own mean luminance."""
    image, plate, inside, _ = shot(0.8)
    even = linear_from_srgb(flat_field(image, plate, exposure="keep"))[~inside]
    before = linear_from_srgb(image)[~inside]
    assert even.std() < 0.01
    assert abs(even.mean() - before.mean()) < 0.03


def test_a_gray_ground_is_no_underexposed_white():
    """A ground that would need more than the largest gain keeps its brightness; with a larger one it becomes white."""
    gray = np.full((20, 30, 3), 0.5, np.float32)
    np.testing.assert_allclose(flat_field(gray, max_gain=2), 0.5, atol=1e-3)
    np.testing.assert_allclose(flat_field(gray, max_gain=8), 0.96, atol=1e-3)


def test_black_stays_black():
    """The affine map of encoded values does not lift what is black."""
    image, plate, inside, _ = shot(0.6)
    black = np.where(inside[..., None], np.float32(0), image)
    assert (flat_field(black, plate, max_gain=4)[inside] == 0).all()


@pytest.mark.parametrize("with_plate", [True, False], ids=["plate", "fitted"])
def test_a_cast_is_taken_off(with_plate):
    """Under warm light the backdrop becomes neutral, its luminance stays, and the subject's own ratios return."""
    image, plate, inside, color = shot(tint=(1, 0.93, 0.82))
    made = white_balance(image, plate if with_plate else None)
    assert np.hypot(*luv_from_srgb(made[~inside])[:, 1:].T).max() < 1.5
    assert abs(luv_from_srgb(made[~inside])[:, 0] - luv_from_srgb(image[~inside])[:, 0]).max() < 0.5
    ratio = linear_from_srgb(made[inside])
    np.testing.assert_allclose(ratio / ratio[:, :1], np.tile(color / color[0], (len(ratio), 1)), atol=0.03)


def test_a_green_screen_is_no_cast():
    """A backdrop of a strong color is left alone, bit for bit."""
    green = np.full((20, 30, 3), (0.2, 0.7, 0.25), np.float32)
    np.testing.assert_array_equal(white_balance(green), green)


def test_a_picture_without_a_backdrop_is_left_alone():
    """Where the border shows no even ground, nothing is done, and that is said."""
    blocks = np.kron(np.random.default_rng(0).random((8, 10, 3)), np.ones((12, 12, 1))).astype(np.float32)
    with collect_notes() as facts:
        made = flat_field(blocks)
    np.testing.assert_array_equal(made, blocks)
    assert facts == {"found": False}


CHAIN = "bgkit: 1\nstages: [flat_field, luv_threshold, composite: {shadow: keep}]"


def test_a_stage_may_give_the_image_and_does_the_same_to_the_plate():
    """Later stages see the new picture, and a plate that still is the same scene empty."""
    image, plate, inside, _ = shot(0.8)
    made = read_pipeline(CHAIN).run(Layers.of(image, plate=plate))
    assert abs(made.image[~inside] - made.plate[~inside]).max() < 2 / 255
    assert (made.result[~inside] == 1).all()


def test_a_mask_that_is_brought_leaves_the_light_stage_in():
    """What is brought stands in for what makes it, not for the light."""
    image, _, inside, _ = shot(0.8)
    made = read_pipeline(CHAIN).run(image, mask=inside)
    assert set(made.facts) >= {"flat_field"}
    assert "luv_threshold" not in made.facts


def test_opacity_stays_valid():
    """The picture's own alpha channel still multiplies into alpha."""
    image, _, inside, _ = shot(0.8)
    made = read_pipeline(CHAIN).run(np.dstack([image, np.full(inside.shape, 0.5, np.float32)]))
    assert made.alpha.max() <= 0.5
