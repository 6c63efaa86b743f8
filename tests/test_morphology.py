"""Opening, closing, holes and specks: equal to scikit-image and SciPy on hard masks, to level sets on soft ones."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import references
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import morphology as peer

from bgkit.extent import subject_box
from bgkit.stages import closing, components, fill_holes, keep_largest, morphology, opening, remove_small

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
HARD = hnp.arrays(np.bool_, SHAPES)
SOFT = hnp.arrays(np.float32, SHAPES, elements=st.sampled_from(np.linspace(0, 1, 6, dtype=np.float32).tolist()))
EIGHT = np.ones((3, 3))


def radius_for(mask, pixels):
    """Return the parameter that means ``pixels`` on this mask, or the largest that is allowed."""
    return min(1000 * pixels / math.hypot(*subject_box(mask)), 200)


def pixels_of(mask, radius):
    return round(radius / 1000 * math.hypot(*subject_box(mask)))


def area_of(mask):
    """Return the pixels of the box around the subject."""
    return math.prod(subject_box(mask))


def blobs(shape=(60, 80), seed=0):
    """Return a soft mask of smooth blobs with plateaus at 0 and 1."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 3)
    return np.clip(0.5 + 8 * noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_disk_is_the_footprint_of_scikit_image(dtype):
    """A single pixel grows to the Euclidean disk, whichever way is taken."""
    for radius in (0, 1, 2, 4, 5, 6, 13, 40, 100):
        point = np.zeros((2 * radius + 1,) * 2, dtype)
        point[radius, radius] = 1
        np.testing.assert_array_equal(morphology._extreme(point, radius, greatest=True), peer.disk(radius))


@settings(max_examples=50, deadline=None)
@given(HARD, st.integers(0, 5))
def test_hard_opening_is_that_of_scikit_image(hard, pixels):
    """Bit for bit, with the outside of the picture left out of account on both sides."""
    radius = radius_for(hard, pixels)
    disk = peer.disk(pixels_of(hard, radius))
    expected = peer.dilation(peer.erosion(hard, disk, mode="ignore"), disk, mode="ignore")
    np.testing.assert_array_equal(opening(hard, radius=radius), expected.astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(HARD, st.integers(0, 5))
def test_hard_closing_is_that_of_scikit_image(hard, pixels):
    """Bit for bit, with the outside of the picture left out of account on both sides."""
    radius = radius_for(hard, pixels)
    disk = peer.disk(pixels_of(hard, radius))
    expected = peer.erosion(peer.dilation(hard, disk, mode="ignore"), disk, mode="ignore")
    np.testing.assert_array_equal(closing(hard, radius=radius), expected.astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(SOFT, st.integers(0, 4))
def test_soft_opening_is_the_least_then_the_greatest_value_in_the_disk(soft, pixels):
    """Equal to the definition, bit for bit."""
    radius = radius_for(soft, pixels)
    disk = peer.disk(pixels_of(soft, radius))
    np.testing.assert_array_equal(opening(soft, radius=radius), references.dilate(references.erode(soft, disk), disk))


@settings(max_examples=50, deadline=None)
@given(SOFT, st.integers(0, 4))
def test_soft_closing_is_the_greatest_then_the_least_value_in_the_disk(soft, pixels):
    """Equal to the definition, bit for bit."""
    radius = radius_for(soft, pixels)
    disk = peer.disk(pixels_of(soft, radius))
    np.testing.assert_array_equal(closing(soft, radius=radius), references.erode(references.dilate(soft, disk), disk))


@pytest.mark.parametrize("operator", [opening, closing, fill_holes, remove_small, keep_largest])
@pytest.mark.parametrize("mask", [blobs(), blobs() > 0.5], ids=["soft", "hard"])
def test_every_operator_is_idempotent(operator, mask):
    """A second time changes nothing."""
    once = operator(mask)
    np.testing.assert_array_equal(operator(once), once)


@pytest.mark.parametrize("operator", [opening, remove_small, keep_largest])
def test_operators_that_take_away_never_add(operator):
    """The result is nowhere above the mask."""
    assert (operator(blobs()) <= blobs()).all()


@pytest.mark.parametrize("operator", [closing, fill_holes])
def test_operators_that_add_never_take_away(operator):
    """The result is nowhere below the mask."""
    assert (operator(blobs()) >= blobs()).all()


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("pixels", [5, 30, 40, 100])
def test_wide_disks_are_those_of_opencv(hard, pixels):
    """Where chords and the reach of 0s take over, beyond the columns that the kernel takes at a time, bit for bit."""
    mask = blobs((70, 600))
    mask = (mask > 0.5).astype(np.uint8) if hard else mask
    disk = peer.disk(pixels)
    np.testing.assert_array_equal(morphology._extreme(mask, pixels, greatest=False), cv2.erode(mask, disk))
    np.testing.assert_array_equal(morphology._extreme(mask, pixels, greatest=True), cv2.dilate(mask, disk))


@settings(max_examples=50, deadline=None)
@given(SOFT, st.integers(0, 30), st.booleans())
def test_chords_equal_the_definition(soft, pixels, byte):
    """The kernel alone, at any radius, also beyond the picture, of bytes and of floats."""
    mask = (255 * soft).astype(np.uint8) if byte else soft
    np.testing.assert_array_equal(morphology._least_by_chords(mask, pixels), cv2.erode(mask, peer.disk(pixels)))


@settings(max_examples=50, deadline=None)
@given(SOFT, st.integers(1, 30))
def test_chords_only_where_two_hard_masks_leave_it_open(soft, pixels):
    """As wide disks do it, at any radius and of values that are not 0 and 1 either."""
    for mask in (soft, -soft, 0.25 + soft / 2):
        least = morphology._least_of_soft(mask, pixels)
        np.testing.assert_array_equal(least, cv2.erode(mask, peer.disk(pixels)))


@pytest.mark.parametrize("pixels", [6, 160])
def test_blocks_that_are_not_open_are_passed_over(pixels):
    """Beyond the columns of a strip and of a block, and with a block that is cut off."""
    mask = blobs((200, 1033))
    mask[:, 700:] = np.random.default_rng(0).random((200, 333), np.float32)
    np.testing.assert_array_equal(morphology._least_of_soft(mask, pixels), cv2.erode(mask, peer.disk(pixels)))


@settings(max_examples=50, deadline=None)
@given(HARD, st.integers(0, 30))
def test_reach_equals_the_definition(hard, pixels):
    """The disk that holds no 0, by the 0s' reach along rows and columns, at any radius, also where there is no 0."""
    byte = hard.astype(np.uint8)
    np.testing.assert_array_equal(morphology._farther(byte, pixels), cv2.erode(byte, peer.disk(pixels)))


@pytest.mark.parametrize("canvas", [1, 3])
def test_radius_follows_the_size_of_the_subject(canvas):
    """A bar of a hundredth of the diagonal goes, of twice that stays, at any size and on any canvas alike."""
    for scale in (1, 4):
        mask = np.zeros((300 * scale * canvas, 400 * scale * canvas), np.float32)
        mask[100 * scale : 104 * scale, : 400 * scale] = 1
        mask[200 * scale : 210 * scale, : 400 * scale] = 1
        opened = opening(mask, radius=9)
        assert not opened[: 150 * scale].any()
        assert opened[200 * scale : 210 * scale, 20 * scale : 380 * scale].all()


@pytest.mark.parametrize("stage", [fill_holes, remove_small])
@pytest.mark.parametrize("soft", [0, 0.1])
def test_areas_follow_the_size_of_the_subject(stage, soft):
    """On a canvas of 16 times the area the same holes are filled and the same pieces removed."""
    subject = np.maximum(blobs((120, 160), 3) > 0.5, soft * blobs((120, 160), 4)).astype(np.float32)
    subject[[0, -1]] = subject[:, [0, -1]] = 0
    canvas = np.zeros((480, 640), np.float32)
    canvas[200:320, 300:460] = subject
    np.testing.assert_array_equal(stage(canvas)[200:320, 300:460], stage(subject))


def test_opening_does_not_eat_a_subject_cut_off_by_the_frame():
    """A subject along the picture's edge keeps its edge pixels."""
    mask = np.zeros((40, 50), np.float32)
    mask[20:, :] = 1
    np.testing.assert_array_equal(opening(mask, radius=100), mask)


@settings(max_examples=50, deadline=None)
@given(HARD)
def test_filling_all_holes_is_that_of_scipy(hard):
    """Without a limit on the area: binary_fill_holes, bit for bit."""
    expected = ndimage.binary_fill_holes(hard).astype(np.float32)
    np.testing.assert_array_equal(fill_holes(hard, max_area=100), expected)


@settings(max_examples=50, deadline=None)
@given(SOFT, st.integers(0, 20))
def test_soft_holes_are_filled_level_by_level(soft, pixels):
    """Equal to filling every level set, bit for bit; hard masks take another way to the same."""
    share = min(100 * (pixels + 0.5) / area_of(soft), 100)
    limit = soft.size if share == 100 else math.floor(share / 100 * area_of(soft))
    expected = references.by_levels(soft, lambda level: references.fill_holes(level, limit))
    np.testing.assert_array_equal(fill_holes(soft, max_area=share), expected)


@settings(max_examples=50, deadline=None)
@given(HARD, st.integers(1, 20))
def test_small_pieces_are_those_of_scikit_image(hard, pixels):
    """remove_small_objects with 8 neighbors, bit for bit."""
    share = min(100 * (pixels - 0.5) / area_of(hard), 100)
    limit = math.ceil(share / 100 * area_of(hard))
    labels, _ = ndimage.label(hard, EIGHT)
    areas = np.bincount(labels.ravel())
    expected = hard & (areas[labels] >= limit)
    np.testing.assert_array_equal(remove_small(hard, area=share), expected.astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(SOFT, st.integers(1, 20))
def test_soft_specks_are_removed_level_by_level(soft, pixels):
    """Equal to removing from every level set, bit for bit."""
    share = min(100 * (pixels - 0.5) / area_of(soft), 100)
    limit = math.ceil(share / 100 * area_of(soft))
    expected = references.by_levels(soft, lambda level: references.remove_small(level, limit))
    np.testing.assert_array_equal(remove_small(soft, area=share), expected)


@settings(max_examples=50, deadline=None)
@given(SOFT)
def test_what_hangs_on_the_largest_piece_stays(soft):
    """Equal to keeping, of every level set, what meets the largest piece of mask >= 0.5."""
    labels, count = ndimage.label(soft >= 0.5, EIGHT)
    pieces = [labels == label for label in range(1, count + 1)]
    ranks = [(-piece.sum(), *np.argwhere(piece).min(axis=0)) for piece in pieces]
    core = pieces[ranks.index(min(ranks))] if count else np.zeros(soft.shape, bool)
    expected = references.by_levels(soft, lambda level: references.keep_touching(level, core))
    np.testing.assert_array_equal(keep_largest(soft), expected)


def speckled(seed, levels):
    """Return a mask full of small holes and specks."""
    return (np.random.default_rng(seed).integers(0, levels, (20, 24)) / (levels - 1)).astype(np.float32)


@pytest.mark.parametrize("levels", [2, 5], ids=["hard", "soft"])
@pytest.mark.parametrize("pixels", [1, 2, 3, 7])
def test_limits_hold_to_the_pixel(levels, pixels):
    """A hole of the limit is filled and a piece of the limit stays; one more, or one less, and it is otherwise."""
    mask = speckled(pixels, levels)
    filled = references.by_levels(mask, lambda level: references.fill_holes(level, pixels))
    np.testing.assert_array_equal(fill_holes(mask, max_area=100 * (pixels + 0.01) / area_of(mask)), filled)
    kept = references.by_levels(mask, lambda level: references.remove_small(level, pixels))
    np.testing.assert_array_equal(remove_small(mask, area=100 * (pixels - 0.01) / area_of(mask)), kept)


def test_of_equal_pieces_the_left_one_is_kept():
    """Ties are settled by place, not by the order in which a library numbers pieces."""
    mask = np.zeros((9, 30), np.float32)
    mask[3:6, 22:25] = mask[3:6, 11:14] = mask[3:6, 2:5] = 1
    assert keep_largest(mask)[3:6, 2:5].all()
    assert keep_largest(mask).sum() == 9


def test_count_keeps_that_many_pieces():
    """Of three pieces the two largest stay."""
    mask = np.array([[1, 0, 1, 1, 0, 1, 1, 1]], np.float32)
    np.testing.assert_array_equal(keep_largest(mask, count=2), [[0, 0, 1, 1, 0, 1, 1, 1]])


def test_a_mask_without_subject_keeps_nothing():
    """Where no pixel reaches 0.5 there is no piece to keep."""
    assert not keep_largest(np.full((4, 5), 0.4, np.float32)).any()


@pytest.mark.parametrize("operator", [opening, closing, fill_holes, remove_small])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 6)])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_masks_stay_as_they_are(operator, shape, value):
    """Nothing is narrow, enclosed or small in a constant mask."""
    mask = np.full(shape, value, np.float32)
    np.testing.assert_array_equal(operator(mask), mask)


@pytest.mark.parametrize("operator", [opening, closing, fill_holes, remove_small, keep_largest])
def test_the_input_is_not_what_is_returned(operator):
    """A stage returns a new array, also where nothing is to be done."""
    mask = np.ones((4, 5), np.float32)
    assert not np.shares_memory(operator(mask), mask)


@pytest.mark.parametrize("operator", [fill_holes, remove_small, keep_largest])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=SOFT, smooth=st.booleans())
def test_bands_of_rows_meet_without_a_trace(operator, mask, smooth, monkeypatch):
    """Soft masks come out the same, bit for bit, for any number of threads, each with a band of rows of its own."""
    mask = cv2.GaussianBlur(mask, (3, 3), 0).reshape(mask.shape) if smooth else mask
    whole = operator(mask)
    monkeypatch.setattr(components, "BAND", 1)
    for count in (2, 3, 30):
        monkeypatch.setattr(components, "threads", lambda count=count: count)
        np.testing.assert_array_equal(operator(mask), whole)
    monkeypatch.undo()


@pytest.mark.parametrize("operator", [fill_holes, remove_small, keep_largest])
def test_bands_of_a_large_mask(operator, monkeypatch):
    """So do masks that are large enough to be divided without being told to."""
    mask = blobs((300, 200)) * (0.9 + 0.1 * blobs((300, 200), seed=1))
    monkeypatch.setattr(components, "threads", lambda: 1)
    whole = operator(mask)
    monkeypatch.setattr(components, "threads", lambda: 4)
    np.testing.assert_array_equal(operator(mask), whole)


@pytest.mark.parametrize("operator", [fill_holes, remove_small, keep_largest])
@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_nearly_0_or_1_counts_as_such(operator, threads, monkeypatch):
    """A mask of networks, nowhere exactly 0 or 1, comes out within a fourth of a step of 8 bits of level by level."""
    monkeypatch.setattr(components, "threads", lambda: threads)
    monkeypatch.setattr(components, "BAND", 20)
    mask = 0.0008 * blobs((60, 80), 1) + (1 - 0.0016) * blobs((60, 80)) + np.float32(0.0004)
    mask[40:42, 30:33] = 0.5  # a hole or a speck with levels of its own
    share = 0.4
    filled, kept = math.floor(share / 100 * area_of(mask)), math.ceil(share / 100 * area_of(mask))
    labels, _ = ndimage.label(mask >= 0.5, EIGHT)
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    made, hard = {
        fill_holes: (fill_holes(mask, max_area=share), lambda level: references.fill_holes(level, filled)),
        remove_small: (remove_small(mask, area=share), lambda level: references.remove_small(level, kept)),
        keep_largest: (keep_largest(mask), lambda level: references.keep_touching(level, largest)),
    }[operator]
    np.testing.assert_allclose(made, references.by_levels(mask, hard), rtol=0, atol=0.3 / 255)
    assert np.count_nonzero(abs(made - mask) > 0.1) > 3
