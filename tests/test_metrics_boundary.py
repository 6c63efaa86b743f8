"""Boundary metrics against examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.evaluate import boundary


def square(shape, low, high):
    mask = np.zeros(shape, bool)
    mask[low:high, low:high] = True
    return mask


def test_perfect():
    """The truth itself is met everywhere."""
    truth = square((40, 40), 10, 30)
    assert boundary.boundary_iou(truth, truth) == 1
    assert boundary.mean_boundary_accuracy(truth, truth) == 1


def test_inverted():
    """The complement meets no band and no pixel."""
    truth = square((40, 40), 10, 30)
    assert boundary.boundary_iou(~truth, truth) == 0
    assert boundary.mean_boundary_accuracy(~truth, truth) == 0


def test_boundary_iou_by_hand():
    """In 40 x 40 the band is round(0.02 * 56.6) = 1 px.

    The truth's 20 x 20 square has 76 band pixels, the 20 x 18 prediction, two columns short, 72; they
    share the left side (20) and 17 more pixels of the top and of the bottom side.
    """
    truth = square((40, 40), 10, 30)
    mask = truth.copy()
    mask[:, 28:] = False
    shared = 20 + 17 + 17
    assert boundary.boundary_iou(mask, truth) == pytest.approx(shared / (76 + 72 - shared))


def test_band_reaches_along_the_frame():
    """A subject that fills the frame has its band along the frame."""
    full = np.ones((10, 12), bool)
    assert boundary.inner_band(full, 2).sum() == 120 - 6 * 8


def test_accuracy_by_hand():
    """A straight edge in 20 x 20: all bands have radius 1, two columns wide; one of them is wrong."""
    truth = np.zeros((20, 20), bool)
    truth[:, 10:] = True
    mask = np.zeros((20, 20), bool)
    mask[:, 11:] = True
    assert boundary.mean_boundary_accuracy(mask, truth) == pytest.approx(0.5)


def test_accuracy_widens_with_the_picture():
    """In 600 x 600 the radii are 1, 1, 2, 2, 3: a column off by one is right in 1/2, 1/2, 3/4, 3/4, 5/6."""
    truth = np.zeros((600, 600), bool)
    truth[:, 300:] = True
    mask = np.zeros((600, 600), bool)
    mask[:, 301:] = True
    expected = np.mean([1 / 2, 1 / 2, 3 / 4, 3 / 4, 5 / 6])
    assert boundary.mean_boundary_accuracy(mask, truth) == pytest.approx(expected)


@pytest.mark.parametrize("value", [False, True])
def test_no_outline(value):
    """Where all or nothing is subject there is no outline to be right along."""
    truth = np.full((8, 8), value)
    assert np.isnan(boundary.mean_boundary_accuracy(truth, truth))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_smallest(shape):
    """A full mask one pixel thin is all band, and agrees with itself."""
    full = np.ones(shape, bool)
    assert boundary.boundary_iou(full, full) == 1


def test_empty_masks():
    """Two empty masks share nothing: 0, as IoU counts it."""
    assert boundary.boundary_iou(np.zeros((4, 4), bool), np.zeros((4, 4), bool)) == 0.0
