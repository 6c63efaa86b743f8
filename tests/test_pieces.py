"""Connected pieces and distances: what OpenCV and SciPy say, for less time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from bgkit import distance
from bgkit.distance import distance_to
from bgkit.pieces import find_pieces

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@settings(max_examples=100, deadline=None)
@given(MASKS, st.sampled_from([4, 8]))
def test_boxes_and_areas_are_those_of_opencv(mask, connectivity):
    """Of every piece, bit for bit."""
    label, *boxes = find_pieces(mask, connectivity=connectivity)
    _, expected, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
    np.testing.assert_array_equal(label, expected)
    np.testing.assert_array_equal(np.stack(boxes, 1)[1:], stats[1:])
    assert boxes[-1][0] == np.count_nonzero(~mask)


@settings(max_examples=200, deadline=None)
@given(MASKS, st.floats(0, 60, width=16), st.sampled_from([1, 2, 5]))
def test_distances_are_those_of_scipy(mask, farthest, threads):
    """Up to the farthest that was asked for, for any number of threads."""
    expected = np.full(mask.shape, farthest, np.float32)
    if mask.any():
        expected = np.minimum(ndimage.distance_transform_edt(~mask), farthest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distance, "ALONE", 0)
        patch.setattr(distance, "threads", lambda: threads)
        np.testing.assert_allclose(distance_to(mask, farthest), expected, rtol=1e-6, atol=0)


def test_distances_in_a_wide_picture():
    """Squares of what is far away do not run over, and columns are divided without a trace."""
    mask = np.zeros((3, 70_000), bool)
    mask[0, 10] = mask[2, 69_000] = True
    expected = np.minimum(ndimage.distance_transform_edt(~mask), 32_766)
    np.testing.assert_allclose(distance_to(mask, 1e9), expected, rtol=1e-6)
