"""Matting metrics against examples worked by hand, and their slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from references import connectivity_error, gradient_error

from bgkit.errors import LayerError
from bgkit.evaluate import matting

HALF_UNKNOWN = np.array([[0, 128], [128, 255]], np.uint8)


def test_sad_counts_thousands():
    """2000 fully wrong pixels are a SAD of 2."""
    assert matting.sad(np.ones((50, 40)), np.zeros((50, 40))) == 2.0


def test_region_is_the_unknown_part():
    """Errors of 0.5 and 0.25 at the two unknown pixels, and 1 elsewhere, that does not count."""
    alpha, truth = np.array([[1, 0.5], [0.25, 0]]), np.array([[0, 0], [0, 1.0]])
    assert matting.sad(alpha, truth, HALF_UNKNOWN) == pytest.approx(0.00075)
    assert matting.mad(alpha, truth, HALF_UNKNOWN) == pytest.approx(0.375)
    assert matting.mse(alpha, truth, HALF_UNKNOWN) == pytest.approx((0.25 + 0.0625) / 2)


def test_mean_over_nothing_is_nan():
    """Without an unknown pixel a mean is not defined, and a sum is zero."""
    known = np.zeros((2, 2), np.uint8)
    assert np.isnan(matting.mse(np.ones((2, 2)), np.zeros((2, 2)), known))
    assert matting.sad(np.ones((2, 2)), np.zeros((2, 2)), known) == 0


@pytest.mark.parametrize("metric", [matting.sad, matting.mse, matting.mad, matting.grad, matting.conn])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (9, 12)])
def test_perfect_is_zero(metric, shape):
    """The truth itself has no error, for any shape."""
    truth = np.random.default_rng(0).random(shape, np.float32)
    assert metric(truth, truth) == 0


def test_grad_ignores_a_constant_offset():
    """An alpha that is 0.25 too high everywhere has the true slope."""
    truth = np.random.default_rng(1).random((20, 30)) / 2
    assert matting.grad(truth + 0.25, truth) == pytest.approx(0, abs=1e-20)


def test_grad_of_a_ramp():
    """A ramp of slope s is seen as s * sum(offset * derivative) * sum(bell): worked out for one pixel."""
    offsets = np.arange(-4, 5.0)  # ceil(1.4 * sqrt(-2 ln(sqrt(2 pi) * 1.4 * 0.01))) = ceil(3.62) = 4
    bell = np.exp(-(offsets**2) / (2 * 1.4**2))
    slope = offsets * bell
    gain = (slope @ offsets) * bell.sum() / np.sqrt((slope**2).sum() * (bell**2).sum())
    ramp = np.tile(np.arange(31) / 40, (31, 1))
    middle = np.zeros((31, 31), np.uint8)
    middle[15, 15] = 128
    assert matting.grad(ramp, np.zeros((31, 31)), middle) == pytest.approx((gain / 40) ** 2, rel=1e-12)


def test_grad_is_its_slow_twin():
    """The separable filters give what the full 9 x 9 ones give."""
    rng = np.random.default_rng(2)
    alpha, truth = rng.random((13, 17)), rng.random((13, 17))
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), (13, 17))
    assert matting.grad(alpha, truth, trimap) == pytest.approx(gradient_error(alpha, truth, trimap), rel=1e-10)


def test_conn_of_an_island():
    """An island of 0.8 apart from the subject, absent in the truth: each of its 2 pixels is 0.8 disconnected.

    The source is the column of ones; the island belongs to it at no threshold, so its level is 0.
    """
    truth = np.array([[1, 0, 0, 0], [1, 0, 0, 0.0]])
    alpha = np.array([[1, 0, 0, 0.8], [1, 0, 0, 0.8]])
    assert matting.conn(alpha, truth) == pytest.approx(1.6)


def test_conn_forgives_below_theta():
    """A pixel that belongs to the source up to 0.5 and stands at 0.6 there is 0.1 above: below theta, no error."""
    truth = np.array([[1, 0.5, 0.0]])
    alpha = np.array([[1, 0.6, 0.0]])
    assert matting.conn(alpha, truth) == 0


def test_conn_counts_from_theta():
    """At 0.7 it stands 0.2 above its level of 0.5: an error of 0.2, also in float32."""
    truth, alpha = np.array([[1, 0.5, 0.0]]), np.array([[1, 0.7, 0.0]])
    assert matting.conn(alpha, truth) == pytest.approx(0.2)
    assert matting.conn(alpha.astype(np.float32), truth.astype(np.float32)) == pytest.approx(0.2)


def test_conn_level_in_float32():
    """0.7 in float32 lies a trifle below 7 * 0.1, and belongs to the source up to 0.7 all the same."""
    truth, alpha = np.float32([[1, 0.7, 0]]), np.float32([[1, 0.95, 0]])
    assert matting.conn(alpha, truth) == pytest.approx(0.25)


def test_conn_knows_four_neighbors_only():
    """Pixels that touch at a corner are not connected: the smaller piece is an island."""
    truth = np.array([[1, 1, 0], [0, 0, 1.0]])
    alpha = np.array([[1, 1, 0], [0, 0, 0.4]])
    assert matting.conn(alpha, truth) == pytest.approx(0.6)  # 1 - 0.4; both start from level 0


def test_conn_is_its_slow_twin():
    """Against flood fill, pixel by pixel, on small random pictures."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        alpha, truth = rng.random((6, 8)), rng.random((6, 8)) > 0.3
        trimap = rng.choice(np.array([0, 128, 255], np.uint8), (6, 8))
        expected = connectivity_error(alpha, truth.astype(float), trimap)
        assert matting.conn(alpha, truth.astype(float), trimap) == pytest.approx(expected, abs=1e-12)


def test_foreground_error_where_alpha():
    """Only the pixel with alpha counts: squared channel errors 0.01, 0.04, 0, of mean 0.05 / 3."""
    foreground = np.array([[[0.1, 0.2, 0.3], [1, 1, 1]]])
    truth = np.array([[[0, 0, 0.3], [0, 0, 0]]])
    assert matting.foreground_mse(foreground, truth, np.array([[0.5, 0]])) == pytest.approx(0.05 / 3)


@pytest.mark.parametrize("metric", [matting.sad, matting.grad, matting.conn])
def test_sizes_must_agree(metric):
    """Another size is an error that names both."""
    with pytest.raises(LayerError, match=r"\(2, 3\).*\(3, 2\)|\(3, 2\).*\(2, 3\)"):
        metric(np.zeros((2, 3)), np.zeros((3, 2)))


def test_trimap_size_must_agree():
    """A trimap of another size is an error."""
    with pytest.raises(LayerError, match="trimap"):
        matting.sad(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((3, 2), np.uint8))
