"""Smaller copies of a picture: what OpenCV makes, bit for bit, for less time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgkit import resizing
from bgkit.resizing import reduced

SIDES = st.integers(1, 150)


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([(), (3,)]), st.sampled_from([1, 2, 5]), st.integers(0, 2**32 - 1))
def test_means_of_areas_are_those_of_opencv(rows, cols, height, width, channels, threads, seed):
    """For any two sizes, larger ones and whole multiples included, and any number of threads."""
    picture = np.random.default_rng(seed).random((rows, cols, *channels), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resizing, "ALONE", 0)
        patch.setattr(resizing, "threads", lambda: threads)
        made = reduced(picture, (height, width))
    expected = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(made, expected.reshape(made.shape))


@pytest.mark.parametrize(
    "part", [np.s_[::3], np.s_[2:90, 5:71], np.s_[:, ::2], np.s_[..., :2], np.s_[..., 0]],
    ids=["rows", "window", "columns", "channels", "gray"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_views_and_other_kinds(part, dtype):
    """Rows may lie anywhere; what the kernel does not take goes to OpenCV."""
    picture = (255 * np.random.default_rng(0).random((100, 80, 3))).astype(dtype)[part]
    expected = cv2.resize(np.ascontiguousarray(picture), (23, 17), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(reduced(picture, (17, 23)), expected)
