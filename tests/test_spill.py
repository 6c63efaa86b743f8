"""Despill, on colors whose answer can be worked out by hand, and on the studio pictures."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.stages import chroma_key, despill, estimate_foreground

GREEN = np.array([0.2, 0.65, 0.3], np.float32)


def test_gray_lit_by_green_is_gray_again():
    """Green light that was added to a gray is taken away, and nothing else."""
    clean = despill(np.full((2, 2, 3), [0.4, 0.6, 0.4]), screen="green")
    assert np.allclose(clean, 0.4, atol=1e-6)


@pytest.mark.parametrize("color", [(0.8, 0.5, 0.4), (0.5, 0.5, 0.5), (0.6, 0.2, 0.9), (0, 0, 0), (1, 1, 1)])
def test_colors_without_excess_stay(color):
    """With strength 0 a color in which green does not exceed both others is unchanged."""
    image = np.full((1, 1, 3), color, np.float32)
    assert (despill(image, screen="green", strength=0.0) == image).all()


def test_more_strength_takes_more():
    """Green falls steadily as the strength rises."""
    image = np.full((1, 1, 3), [0.7, 0.75, 0.3])
    greens = [despill(image, screen="green", strength=s)[0, 0, 1] for s in (0.0, 0.5, 1.0)]
    assert greens[0] > greens[1] > greens[2]


def test_blue_screen():
    """For a blue screen the blue channel is limited, and green stays as it is."""
    clean = despill(np.full((1, 1, 3), [0.4, 0.4, 0.6]), screen="blue")
    assert np.allclose(clean, 0.4, atol=1e-6)


def test_auto_finds_the_screen():
    """On a picture with a green border, auto does what green does."""
    image = np.broadcast_to(GREEN, (20, 30, 3)).copy()
    image[8:, 10:20] = (0.5, 0.6, 0.5)
    assert (despill(image) == despill(image, screen="green")).all()


def test_no_screen_no_change():
    """Before a gray wall, auto leaves green things green."""
    image = np.full((20, 30, 3), 0.6, np.float32)
    image[8:, 10:20] = (0.2, 0.7, 0.3)
    assert (despill(image) == image).all()


def test_given_foreground_is_cleaned():
    """Where a foreground is given, that is what is cleaned, not the image."""
    image = np.broadcast_to(GREEN, (4, 4, 3)).copy()
    assert np.allclose(despill(image, np.full((4, 4, 3), [0.4, 0.6, 0.4])), 0.4, atol=1e-6)


def lit_disk(color: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a disk of one color on which green light falls off inwards from its rim, its alpha and its color."""
    y, x = np.mgrid[:160, :160] - 79.5
    depth = 60 - np.hypot(x, y)
    alpha = np.float32(np.clip(depth + 0.5, 0, 1))
    truth = np.broadcast_to(np.float32(color), (160, 160, 3))
    lit = truth + 0.2 * np.exp(-np.maximum(depth, 0) / 2)[..., None] * np.float32([0, 1, 0])
    return np.where(alpha[..., None] > 0, lit, GREEN).astype(np.float32), alpha, truth


@pytest.mark.parametrize("color", [(0.5, 0.5, 0.5), (0.25, 0.5, 0.3), (0.6, 0.55, 0.3)])
def test_spill_is_told_from_the_subjects_own_green(color):
    """Light on the rim goes, to a third of its error; green, gray or khaki within stays what it is."""
    image, alpha, truth = lit_disk(color)
    clean = despill(image, alpha=alpha, screen="green")
    inside = alpha == 1
    assert np.abs(clean - truth)[inside].mean() < np.abs(image - truth)[inside].mean() / 3
    assert np.abs(clean - truth)[70:90, 70:90].max() < 0.01


def test_full_reach_takes_the_subjects_own_green_too():
    """At 100 % of the subject all excess is spill, with an alpha as without one."""
    image, alpha, _ = lit_disk((0.25, 0.5, 0.3))
    assert (despill(image, alpha=alpha, reach=100) == despill(image)).all()


def test_larger_reach_takes_more():
    """Light that reaches deep into the subject goes as the reach rises."""
    image, alpha, truth = lit_disk((0.5, 0.5, 0.5))
    left = [np.abs(despill(image, alpha=alpha, reach=reach) - truth)[alpha == 1].sum() for reach in (0.2, 1, 4)]
    assert left[0] > left[1] > left[2]


def test_thin_subjects_have_no_inside_to_go_by():
    """Of hair, all of which is near its contour, the whole excess is taken."""
    image, alpha = np.broadcast_to(GREEN, (60, 60, 3)).copy(), np.zeros((60, 60), np.float32)
    alpha[:, 20::10], image[:, 20::10] = 1, (0.4, 0.6, 0.4)
    assert despill(image, alpha=alpha, screen="green")[alpha == 1] == pytest.approx(0.4)


def test_a_subject_of_twelve_megapixels_is_cleaned_as_a_small_one():
    """The reach follows the subject: enlarged eight times the rim is as clean, within 0.02."""
    import cv2

    image, alpha, _ = lit_disk((0.25, 0.5, 0.3))
    size = (1280, 1280)
    large = [cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in (image, alpha)]
    clean = cv2.resize(despill(large[0], alpha=large[1], screen="green"), (160, 160), interpolation=cv2.INTER_AREA)
    inside = cv2.erode(alpha, np.ones((5, 5))) == 1
    assert np.abs(clean - despill(image, alpha=alpha, screen="green"))[inside].max() < 0.02


def test_studio_foreground_gains(data):
    """On six green studio pictures the visible foreground's mean square error falls by more than 4 %."""
    import cv2

    before, after = [], []
    for path in sorted((data / "test/studio/images").glob("*-green.jpg"))[:6]:
        image = np.float32(cv2.imread(str(path))[:, :, ::-1] / 255)
        truth = cv2.imread(str(data / "test/studio/foregrounds" / f"{path.stem.split('-')[0]}.jpg"))[:, :, ::-1] / 255
        seen = cv2.imread(str(data / "test/studio/alphas" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)[..., None] / 255
        alpha = chroma_key(image)
        foreground = estimate_foreground(image, alpha)
        for errors, color in ((before, foreground), (after, despill(image, foreground, alpha))):
            errors.append(((color - truth) ** 2 * seen).sum() / seen.sum())
    assert np.mean(after) < 0.96 * np.mean(before)
