"""Foreground estimation: the subject's color comes back, and equals the published method's."""

import numpy as np
import pytest
import references
from skimage import data
from skimage.filters import gaussian

from bgkit.stages import estimate_foreground, foregrounds
from bgkit.threads import set_threads


def soft_disk(shape, radius, softness):
    """Return alpha of a disk in the middle whose edge is ``softness`` pixels wide."""
    row, col = np.indices(shape)
    far = np.hypot(row - shape[0] / 2, col - shape[1] / 2) - radius
    return np.clip(0.5 - far / softness, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def mixed():
    """Alpha, true foreground (both blurred: the method asks for smooth color) and composite of two natural pictures."""
    alpha = soft_disk((220, 300), 80, 8)
    foreground = gaussian(data.chelsea()[:220, :300] / 255, 6, channel_axis=2)
    background = gaussian(data.coffee()[:220, :300] / 255, 6, channel_axis=2)
    return alpha, np.float32(foreground), np.float32(alpha[..., None] * (foreground - background) + background)


@pytest.mark.parametrize("shape", [(1, 5), (9, 7), (33, 20), (12, 90)])
def test_equals_the_pixel_loop(shape):
    """Where alpha is between 0 and 1, tiles give what a sweep over all pixels gives, also across their edge."""
    rng = np.random.default_rng(shape[1])
    image = gaussian(rng.random((*shape, 3)), 2, channel_axis=2)
    alpha = np.float32(np.clip(gaussian(rng.random(shape), 2) * 6 - 2.5, 0, 1))
    expected, _ = references.foreground_by_levels(image, alpha)
    band = (alpha > 0) & (alpha < 1)
    assert np.abs(estimate_foreground(image, alpha) - expected)[band].max() < 1e-3


def test_far_color_is_smooth(mixed):
    """Where alpha is 0 the color is spread from the band: it never jumps as the picture does."""
    alpha, _, image = mixed
    far = estimate_foreground(image, alpha)[:, :40]
    assert np.abs(np.diff(far, axis=0)).max() < 0.05
    assert np.abs(np.diff(far, axis=1)).max() < 0.05


def test_two_constant_colors():
    """A red subject on blue is red wherever alpha is not 0."""
    alpha = soft_disk((60, 70), 15, 12)
    image = alpha[..., None] * [1, 0, 0] + (1 - alpha[..., None]) * [0, 0, 1]
    foreground = estimate_foreground(np.clip(image, 0, 1), alpha)
    np.testing.assert_allclose(foreground[alpha > 0.02], np.float32([[1, 0, 0]] * (alpha > 0.02).sum()), atol=0.02)


def test_nearer_to_the_truth_than_the_image(mixed):
    """In the mixed pixels the error of the color falls to less than half of the picture's own."""
    alpha, truth, image = mixed
    band = (alpha > 0) & (alpha < 1)
    weight = alpha[band, None]
    error = np.abs(estimate_foreground(image, alpha)[band] - truth[band]) * weight
    assert error.mean() < 0.5 * (np.abs(image[band] - truth[band]) * weight).mean()


def test_opaque_pixels_keep_the_image(mixed):
    """Where alpha is 1, the foreground is the image, bit for bit."""
    alpha, _, image = mixed
    assert (estimate_foreground(image, alpha)[alpha == 1] == image[alpha == 1]).all()


def test_nearly_opaque_pixels_keep_the_image():
    """Where alpha is 1 in 8 bits, the color is the image's own, and not one spread from elsewhere."""
    image = np.random.default_rng(2).random((150, 150, 3), dtype=np.float32)
    assert (estimate_foreground(image, np.full((150, 150), 0.9985, np.float32)) == image).all()


def test_only_what_the_band_reads_is_fitted(monkeypatch):
    """Where alpha is between 0 and 1, colors are those that come of fitting every level as a whole, bit for bit."""
    alpha = soft_disk((700, 900), 210, 9)
    image = gaussian(np.random.default_rng(3).random((700, 900, 3)), 2, channel_axis=2).astype(np.float32)
    band = (alpha > 0) & (alpha < 1)
    monkeypatch.setattr(foregrounds, "WHOLE", 1000)
    parts = estimate_foreground(image, alpha)[band]
    monkeypatch.setattr(foregrounds, "WHOLE", 10**9)
    assert (parts == estimate_foreground(image, alpha)[band]).all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5)])
def test_constant_alpha(shape, value):
    """Any picture with one alpha everywhere gives colors in 0..1; opaque ones give the picture."""
    image = np.random.default_rng(1).random((*shape, 3), dtype=np.float32)
    foreground = estimate_foreground(image, np.full(shape, value, np.float32))
    assert foreground.dtype == np.float32
    assert foreground.min() >= 0
    assert foreground.max() <= 1
    if value == 1:
        assert (foreground == image).all()


def test_threads_change_nothing(mixed):
    """1, 2 and 4 threads give the same bits."""
    alpha, _, image = mixed
    results = []
    for count in (1, 2, 4):
        set_threads(count)
        results.append(estimate_foreground(image, alpha))
    set_threads(1)
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_equals_pymatting_in_the_band(mixed):
    """Where alpha is between 0 and 1, PyMatting's multi-level estimate is met within 1/255."""
    pymatting = pytest.importorskip("pymatting")
    alpha, _, image = mixed
    band = (alpha > 0) & (alpha < 1)
    expected = pymatting.estimate_foreground_ml(image, alpha)
    assert np.abs(estimate_foreground(image, alpha) - expected)[band].max() <= 1 / 255
