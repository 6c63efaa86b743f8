"""Matting of very many unknown pixels on a reduced copy: its functions of color, and what must hold at full size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import references
from skimage.data import chelsea

from bgkit.resizing import apply_functions
from bgkit.stage import collect_notes
from bgkit.stages import closed_form, closed_form_matting, plate_matting
from bgkit.threads import set_threads


@pytest.fixture
def reduced(monkeypatch):
    """Let 2,000 unknown pixels be many."""
    monkeypatch.setattr(closed_form, "MOST", 2000)


@pytest.fixture
def shot():
    """A textured disk with a soft rim on a white ground, its trimap and its true alpha."""
    row, col = np.indices((150, 200))
    far = np.hypot(row - 75, col - 100)
    alpha = np.float32(np.clip((50 - far) / 8 + 0.5, 0, 1))
    subject = np.float32([0.5, 0.3, 0.2]) + 0.1 * np.float32(chelsea()[:150, :200] / 255)
    image = alpha[..., None] * subject + (1 - alpha[..., None]) * np.float32([0.95, 0.95, 0.94])
    return image, np.where(far < 40, 255, np.where(far > 62, 0, 128)).astype(np.uint8), alpha


def test_functions_equal_the_guided_filter():
    """Fitted and evaluated at one size, away from the border: as window by window, in float64."""
    rng = np.random.default_rng(0)
    image, values = rng.random((20, 23, 3), np.float32), rng.random((20, 23), np.float32)
    fitted = closed_form._fit_functions(image, values, np.ones((20, 23), bool)).reshape(20, 23, 4)
    given = apply_functions(image, cv2.blur(fitted, closed_form.WINDOW))
    inner = np.s_[2:-2, 2:-2]
    expected = references.guided_filter(image, values, 1, closed_form.SLOPE)
    np.testing.assert_allclose(given[inner], expected[inner], atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2)])
def test_functions_of_narrow_pictures(shape):
    """A constant is fitted by itself, also in pictures of one row or column."""
    image = np.random.default_rng(1).random((*shape, 3), np.float32)
    fitted = closed_form._fit_functions(image, np.full(shape, 0.25, np.float32), np.ones(shape, bool))
    np.testing.assert_allclose(apply_functions(image, fitted.reshape(*shape, 4)), 0.25, atol=1e-5)


@pytest.mark.parametrize("matte", [closed_form_matting, plate_matting])
def test_error_hardly_grows(matte, shot, reduced, monkeypatch):
    """The true alpha is met nearly as well as at full size."""
    image, trimap, truth = shot
    with collect_notes() as facts:
        coarse = matte(image, trimap)
    assert facts["reduced"] == 2
    monkeypatch.setattr(closed_form, "MOST", trimap.size)
    errors = [np.abs(each - truth)[trimap == 128].mean() for each in (coarse, matte(image, trimap))]
    assert errors[0] <= errors[1] + 0.005


@pytest.mark.parametrize("matte", [closed_form_matting, plate_matting])
def test_known_stays_known(matte, shot, reduced):
    """Alpha is exactly 0 and 1 where the trimap is known, between also where a coarse pixel covers both."""
    image, trimap, _ = shot
    alpha = matte(image, trimap)
    assert (alpha[trimap == 0] == 0).all()
    assert (alpha[trimap == 255] == 1).all()


def test_plate_and_key_are_reduced_too(shot, reduced):
    """A plate and a key of the picture's own size are used."""
    image, trimap, truth = shot
    plate = np.full_like(image, (0.95, 0.95, 0.94))
    alpha = plate_matting(image, trimap, plate, truth, key=True)
    assert np.abs(alpha - truth).mean() < 0.01


def test_few_unknown_pixels_are_solved_at_full_size(shot):
    """Below the bound nothing is reduced, and nothing is noted of it."""
    image, trimap, _ = shot
    with collect_notes() as facts:
        plate_matting(image, trimap)
    assert "reduced" not in facts


@pytest.mark.parametrize("matte", [closed_form_matting, plate_matting])
def test_thin_foreground_is_not_lost(matte, shot, reduced):
    """Foreground that covers no whole pixel of the copy still counts as some."""
    image, _, truth = shot
    trimap = np.full(truth.shape, 128, np.uint8)
    trimap[:4], trimap[-4:], trimap[75, 60:141] = 0, 0, 255
    alpha = matte(image, trimap)
    assert alpha[65:85, 90:110].mean() > 0.9
    assert alpha[5:15].mean() < 0.1


def test_threads_change_nothing(shot, reduced):
    """1, 2 and 4 threads give the same bits."""
    image, trimap, _ = shot
    results = []
    for count in (1, 2, 4):
        set_threads(count)
        results.append(plate_matting(image, trimap).tobytes())
    assert len(set(results)) == 1


def test_functions_are_applied_where_asked():
    """One value for each wanted pixel, in raster order, also where whole bands of rows hold none."""
    rng = np.random.default_rng(1)
    image, grid = rng.random((700, 9, 3), np.float32), rng.random((70, 3, 4), np.float32)
    where = np.zeros((700, 9), bool)
    where[100:200, 2:5] = where[650, ::2] = True
    np.testing.assert_array_equal(apply_functions(image, grid, where), apply_functions(image, grid)[where])
    assert len(apply_functions(image, grid, where & False)) == 0


@pytest.mark.parametrize("matte", [closed_form_matting, plate_matting])
@pytest.mark.parametrize("trimap", ["wide", "scattered"])
@pytest.mark.parametrize("content", ["shot", "noise", "another plate"])
def test_the_bound_holds_and_is_noted(matte, trimap, content, shot, reduced):
    """However the unknown lies, and whatever it shows, about as many pixels as the bound are solved; it is noted."""
    image, tri, _ = shot
    rng = np.random.default_rng(0)
    if trimap == "wide":
        tri = np.full_like(tri, 128)
        tri[:3], tri[70:80, 90:110] = 0, 255
    else:
        tri = np.where(rng.random(tri.shape) < 0.5, 128, np.where(tri == 128, 0, tri)).astype(np.uint8)
    if content == "noise":
        image = rng.random(image.shape, np.float32)
    plate = {"plate": rng.random(image.shape, np.float32)} if content == "another plate" else {}
    if matte is closed_form_matting:
        plate = {}
    with collect_notes() as facts:
        alpha = matte(image, tri, **plate)
    assert facts["reduced"] > 1
    assert facts["unknown"] <= 1.25 * closed_form.MOST
    assert np.array_equal(alpha[tri != 128], (tri[tri != 128] == 255).astype(np.float32))
