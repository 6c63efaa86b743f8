"""The classical baselines find what is plainly there, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.stages import grabcut, saliency

METHODS = [grabcut, saliency]


def disk_on(wall=(0.2, 0.4, 0.7), color=(0.9, 0.6, 0.1), shape=(120, 160)):
    """Return a noisy picture of a disk on a wall, and where the disk is."""
    row, col = np.mgrid[: shape[0], : shape[1]]
    truth = (row - shape[0] / 2) ** 2 + (col - shape[1] / 2) ** 2 < (shape[0] / 4) ** 2
    image = np.where(truth[:, :, None], color, wall) + np.random.default_rng(0).normal(0, 0.03, (*shape, 3))
    return np.clip(image, 0, 1).astype(np.float32), truth


def iou(mask, truth):
    found = mask >= 0.5
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("method", METHODS)
def test_a_disk_on_a_wall_is_found(method):
    """A subject of another color than the border."""
    image, truth = disk_on()
    assert iou(method(image), truth) > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_large_pictures_are_found_on_a_reduced_copy(method):
    """The mask comes back at the picture's size."""
    image, truth = disk_on(shape=(480, 640))
    mask = method(image, side=128)
    assert mask.shape == truth.shape
    assert iou(mask, truth) > 0.9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_picture_of_one_color_has_no_subject(method, value):
    """Nothing differs from the border, so the mask is 0."""
    assert not method(np.full((30, 40, 3), value, np.float32)).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3)])
def test_pictures_with_hardly_an_inside(method, shape):
    """Where all is border, an answer comes all the same, of the right shape and range."""
    mask = method(np.random.default_rng(0).random((*shape, 3), np.float32))
    assert mask.shape == shape
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_twice_is_the_same(method):
    """Whatever chance the method uses is fixed."""
    import cv2

    noise = np.random.default_rng(0).random((12, 16, 3), np.float32)
    image = cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    first = method(image)
    cv2.setRNGSeed(7)
    np.testing.assert_array_equal(method(image), first)


def test_barrier_distance_is_the_least_range_of_a_path():
    """A ring of 1 around 0.5 in a field of 0: the barrier is 1 inside the ring too."""
    from bgkit.stages.classical import _barrier

    values = np.zeros((7, 7), np.float32)
    values[1:6, 1:6] = 1
    values[2:5, 2:5] = 0.5
    expected = np.zeros((7, 7))
    expected[1:6, 1:6] = 1
    np.testing.assert_array_equal(_barrier(values, 3), expected)


def test_barrier_of_a_slope_is_its_height_above_the_border():
    """On a ramp that rises from the border to the middle, the distance is the height itself."""
    from bgkit.stages.classical import _barrier

    ramp = np.minimum(np.arange(9), np.arange(9)[::-1])
    values = np.minimum.outer(ramp, ramp).astype(np.float32)
    np.testing.assert_array_equal(_barrier(values, 2), values)
