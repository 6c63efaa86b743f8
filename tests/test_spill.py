"""Despill, on colors whose answer can be worked out by hand, and on the studio pictures."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.stages import chroma_key, despill, estimate_foreground

GREEN = np.array([0.2, 0.65, 0.3], np.float32)


def test_gray_lit_by_green_is_gray_again():
    """Gray with green light on it becomes gray of the same luma."""
    clean = despill(np.full((2, 2, 3), [0.4, 0.6, 0.4]), screen="green")
    assert np.allclose(clean, 0.4 + 0.7152 * 0.2, atol=1e-6)


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
    """For a blue screen the blue channel is limited, and green stays as it is but for the luma."""
    clean = despill(np.full((1, 1, 3), [0.4, 0.4, 0.6]), screen="blue")
    assert np.allclose(clean, 0.4 + 0.0722 * 0.2, atol=1e-6)


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
    assert np.allclose(despill(image, np.full((4, 4, 3), [0.4, 0.6, 0.4])), 0.4 + 0.7152 * 0.2, atol=1e-6)


def test_studio_foreground_gains(data):
    """On green studio pictures the foreground's mean square error falls by more than 4 %."""
    import cv2

    before, after = [], []
    for path in sorted((data / "test/studio/images").glob("*-green.jpg"))[:6]:
        image = np.float32(cv2.imread(str(path))[:, :, ::-1] / 255)
        name = path.stem.split("-")[0]
        truth = cv2.imread(str(data / "test/studio/foregrounds" / f"{name}.jpg"))[:, :, ::-1] / 255
        inside = cv2.imread(str(data / "test/studio/alphas" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE) > 0
        foreground = estimate_foreground(image, chroma_key(image))
        before.append(((foreground - truth)[inside] ** 2).mean())
        after.append(((despill(image, foreground) - truth)[inside] ** 2).mean())
    assert np.mean(after) < 0.96 * np.mean(before)
