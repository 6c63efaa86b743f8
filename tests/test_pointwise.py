"""Stages that treat each pixel by itself: kernels against their slow twins, and any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from references import draw_in, relight

import bgkit
from bgkit.stages import composite, flat_field, levels, white_balance

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 129), (40, 131)])
def test_relit_is_light_multiplied(shape):
    """One pass over encoded values is decoding, multiplying, encoding and bending the highlights, within 0.003."""
    image = RNG.random((*shape, 3), np.float32)
    warm = np.full((*shape, 3), [0.8, 0.72, 0.6], np.float32)
    gains = np.array([0.8, 0.72, 0.6])
    made = white_balance(image, warm, max_cast=200)
    light = ((gains + 0.055) / 1.055) ** 2.4
    neutral = light @ [0.2126, 0.7152, 0.0722] / light
    np.testing.assert_allclose(made, relight(image, neutral, 0.98), atol=0.003)


@pytest.mark.parametrize("gain", [0.25, 0.4, 0.7, 1.0])
def test_shadows_that_are_darkened_stay_above_black(gain):
    """Where the result falls below the toe of sRGB's curve it is within 0.006 of the definition, and rises from 0."""
    from bgkit.stages.light import _lit

    ramp = np.linspace(0, 0.2, 201, dtype=np.float32)
    image = np.repeat(ramp[None, :, None], 3, axis=2)
    made = _lit(image, np.full((1, 1, 3), gain), 1.0)
    np.testing.assert_allclose(made, relight(image, gain, 1.0), atol=0.006)
    assert made.min() == 0
    assert (np.diff(made[0, :, 0]) > 0).all()


@pytest.mark.parametrize("white", [0.9, 1.0])
def test_what_comes_above_the_knee_is_bent(white):
    """Highlights run against 1 as the exponential says; with no room above the knee they are cut to it."""
    image = np.full((30, 200, 3), 0.75, np.float32)
    image[8:22, 50:150] = RNG.random((14, 100, 3), np.float32) * 0.35 + 0.65
    from bgkit.color import linear_from_srgb

    gain = float(linear_from_srgb(white) / linear_from_srgb(0.75))
    made = flat_field(image, np.full_like(image, 0.75), white=white, max_gain=4)
    np.testing.assert_allclose(made, relight(image, gain, white), atol=0.003)


@pytest.mark.parametrize(("clear", "solid"), [(0.05, 0.05), (0.0, 0.1), (0.16, 0.0)])
def test_levels_is_its_formula(clear, solid):
    """Equal to the definition, within rounding."""
    alpha = RNG.random((9, 133), np.float32)
    np.testing.assert_allclose(levels(alpha, clear=clear, solid=solid), draw_in(alpha, clear, solid), atol=1e-6)


def test_threads_change_no_bit():
    """1, 2 and 4 threads give the same bits in each of these stages."""
    image, alpha = RNG.random((50, 70, 3), np.float32), RNG.random((50, 70), np.float32)
    plate = np.full_like(image, 0.8)
    made = []
    try:
        for count in (1, 2, 4):
            bgkit.set_threads(count)
            lit = flat_field(image, plate), white_balance(image, plate)
            made.append((*lit, levels(alpha), composite(image, alpha), composite(image, alpha, background="none")))
    finally:
        bgkit.set_threads(2)
    for other in made[1:]:
        for one, two in zip(made[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_picture_behind_may_be_cut_from_a_larger_one(tmp_path):
    """A background of another aspect covers the picture: the middle of it, pixel for pixel."""
    from bgkit.imagefile import write_picture

    behind = np.repeat(np.linspace(0, 1, 40, dtype=np.float32)[None, :, None], 20, 0).repeat(3, 2)
    write_picture(tmp_path / "behind.png", np.ascontiguousarray(behind))
    made = composite(np.ones((20, 20, 3)), np.zeros((20, 20)), background=str(tmp_path / "behind.png"))
    np.testing.assert_allclose(made, behind[:, 10:30], atol=1 / 255)
