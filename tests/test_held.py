"""Large bands that data hold: conjugate gradients by runs of pixels against the factor, and what is let go."""

from __future__ import annotations

import numpy as np
import pytest
import references
from skimage.data import chelsea

from bgkit import laplacian
from bgkit.laplacian import solve


@pytest.fixture
def band():
    """A piece of fur, a trimap unknown in most of it, and data that draw every unknown pixel somewhere."""
    rng = np.random.default_rng(2)
    image = np.float32(chelsea()[60:130, 90:181] / 255)
    trimap = np.full(image.shape[:2], 128, np.uint8)
    trimap[:9], trimap[60:, 40:70], trimap[rng.random(trimap.shape) < 0.05] = 0, 255, 255
    count = np.count_nonzero(trimap == 128)
    prior = rng.random(count).astype(np.float32), np.full(count, 0.01, np.float32)
    return image, trimap, prior


def solved(band, tolerance=1e-5, workers=1, held=True, monkeypatch=None):
    image, trimap, prior = band
    monkeypatch.setattr(laplacian, "MANY", 1 if held else 10**9)
    return solve(image, trimap, 1e-7, tolerance, 500, 16.0, workers, prior)


def test_equals_the_factor(band, monkeypatch):
    """Alpha is that of the factored system, to ten times the tolerance, root mean square."""
    (one, facts), (other, _) = (solved(band, held=held, monkeypatch=monkeypatch) for held in (True, False))
    assert facts["held"]
    assert np.sqrt(((one - other) ** 2).mean()) < 1e-4


def test_equals_a_dense_solve(band, monkeypatch):
    """The same by the definition: the dense Laplacian and the data, solved directly."""
    image, trimap, (values, weights) = band
    whole, unknown = references.matting_laplacian(image, 1e-7), (trimap == 128).ravel()
    right = -whole[unknown] @ np.where(unknown, 0.0, trimap.ravel() == 255) + weights * values
    expected = np.linalg.solve(whole[np.ix_(unknown, unknown)] + np.diag(weights), right)
    alpha, _ = solved(band, monkeypatch=monkeypatch)
    assert np.sqrt(((alpha - expected) ** 2).mean()) < 1e-4


def test_threads_change_nothing(band, monkeypatch):
    """1, 2 and 4 threads give the same bits."""
    one, *others = (solved(band, workers=workers, monkeypatch=monkeypatch)[0] for workers in (1, 2, 4))
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_loose_pixels_are_for_the_factor(band, monkeypatch):
    """Where data hold too few of the pixels, the factor solves, however large the band."""
    image, trimap, (values, weights) = band
    weights[::10] = 0
    _, facts = solved((image, trimap, (values, weights)), monkeypatch=monkeypatch)
    assert "held" not in facts


def test_a_slow_solve_is_for_the_factor(band, monkeypatch):
    """Where the iterations do not reach the tolerance, the factor does, and the facts are its own."""
    monkeypatch.setattr(laplacian, "ENOUGH", 3)
    _, facts = solved(band, monkeypatch=monkeypatch)
    assert "held" not in facts
    assert facts["error"] <= 1e-5


def test_one_pixel_and_one_column(monkeypatch):
    """Bands narrower than a group of lanes are solved too."""
    for shape in ((3, 3), (30, 3)):
        trimap = np.zeros(shape, np.uint8)
        trimap[1:-1, 1], trimap[:, 2] = 128, 255
        count = shape[0] - 2
        band = np.random.default_rng(0).random((*shape, 3), np.float32), trimap, (
            np.full(count, 0.5, np.float32), np.full(count, 0.01, np.float32),
        )  # fmt: skip
        (one, _), (other, _) = (solved(band, held=held, monkeypatch=monkeypatch) for held in (True, False))
        np.testing.assert_allclose(one, other, atol=1e-3)
