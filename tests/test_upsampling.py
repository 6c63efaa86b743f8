"""The guided filter: equal to its definition, and better at the contour than what it was given."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import references

from bgkit.resizing import between
from bgkit.stages import guided_upsample


def radius_for(shape, pixels):
    return 1000 * pixels / np.hypot(*shape)


def star(shape=(480, 640)):
    """Return a picture of a star with a slightly textured wall behind, and where the star is."""
    row, col = np.mgrid[: shape[0], : shape[1]]
    angle, distance = (
        np.arctan2(row - shape[0] / 2, col - shape[1] / 2),
        np.hypot(row - shape[0] / 2, col - shape[1] / 2),
    )
    inside = distance < shape[0] / 4 * (1 + 0.3 * np.cos(7 * angle))
    image = np.where(inside[:, :, None], (0.8, 0.5, 0.2), (0.3, 0.4, 0.6))
    image = image + np.random.default_rng(0).normal(0, 0.02, image.shape)
    return image.clip(0, 1).astype(np.float32), inside


def test_inner_pixels_equal_the_definition():
    """Without reduction, away from the border: as window by window, in float64."""
    rng = np.random.default_rng(0)
    image, mask = rng.random((24, 30, 3), np.float32), rng.random((24, 30), np.float32)
    given = guided_upsample(mask, image, radius=radius_for(mask.shape, 3), epsilon=1e-2)
    expected = references.guided_filter(image, mask, 3, 1e-2)
    inner = np.s_[6:-6, 6:-6]
    np.testing.assert_allclose(given[inner], expected[inner], atol=1e-5)


def test_the_contour_moves_to_the_edge():
    """A mask from an eighth of the size is wrong on a third as many pixels afterwards."""
    image, inside = star()
    small = cv2.resize(inside.astype(np.float32), None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(small, inside.shape[::-1], interpolation=cv2.INTER_LINEAR)
    before, after = (((given >= 0.5) != inside).sum() for given in (mask, guided_upsample(mask, image, radius=25)))
    assert after < before / 3


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_mask_stays(value):
    """However busy the picture, a constant mask is the same constant."""
    image = np.random.default_rng(0).random((40, 50, 3), np.float32)
    mask = np.full((40, 50), value, np.float32)
    np.testing.assert_allclose(guided_upsample(mask, image, radius=50), mask, atol=1e-6)


def test_far_from_the_contour_nothing_changes():
    """Texture inside the subject does not come through."""
    image = np.random.default_rng(0).random((100, 200, 3), np.float32)
    mask = np.zeros((100, 200), np.float32)
    mask[:, 100:] = 1
    given = guided_upsample(mask, image, radius=radius_for(mask.shape, 5))
    np.testing.assert_allclose(given[:, :80], 0, atol=1e-6)
    np.testing.assert_allclose(given[:, 120:], 1, atol=1e-6)


def test_radius_zero_changes_nothing():
    """The stage can be turned off."""
    mask = np.random.default_rng(0).random((8, 9), np.float32)
    np.testing.assert_array_equal(guided_upsample(mask, np.ones((8, 9, 3), np.float32), radius=0), mask)


def test_grid_places_are_those_of_opencv():
    """The coarse grid lies under the picture as cv2.resize would lay it."""
    coarse = np.random.default_rng(0).random((1, 7)).astype(np.float32)
    before, way = between(7, 40)
    after = np.minimum(before + 1, 6)
    given = coarse[0, before] * (1 - way) + coarse[0, after] * way
    np.testing.assert_allclose(given, cv2.resize(coarse, (40, 1), interpolation=cv2.INTER_LINEAR)[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 300)])
def test_tiny_pictures(shape):
    """One row, one column and one pixel are pictures."""
    rng = np.random.default_rng(0)
    given = guided_upsample(rng.random(shape, np.float32), rng.random((*shape, 3), np.float32), radius=100)
    assert given.shape == shape
    assert 0 <= given.min() <= given.max() <= 1
