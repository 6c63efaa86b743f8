"""The stage steady: flicker goes, motion is followed, what comes into view is new."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from bgkit.errors import LayerError
from bgkit.layers import Layers
from bgkit.pipeline import build
from bgkit.stages import steady

rng = np.random.default_rng(0)
TEXTURE = cv2.GaussianBlur(rng.random((160, 220, 3)).astype(np.float32), (0, 0), 2)
TEXTURE = np.clip((TEXTURE - 0.5) * 4 + 0.5, 0, 1)
SUBJECT = np.clip((cv2.GaussianBlur(rng.random((160, 220, 3)).astype(np.float32), (0, 0), 2) - 0.5) * 4 + 0.5, 0, 1)


def frame(col: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured disk at column ``col`` before another texture: image and alpha."""
    row, column = np.mgrid[:120, :160]
    alpha = np.clip(0.5 - (np.hypot(row - 60, column - col) - 30) / 2, 0, 1).astype(np.float32)
    moved = np.roll(SUBJECT, col, axis=1)[:120, :160]
    return (alpha[..., None] * moved + (1 - alpha[..., None]) * TEXTURE[:120, :160]).astype(np.float32), alpha


def test_flicker_goes_and_motion_is_followed():
    """A disk moves by 3 px a frame, its matte is wrong by chance: the error falls, and flicker by more than half."""
    noise = np.random.default_rng(1)
    previous, errors = None, []
    for number in range(9):
        image, truth = frame(50 + 3 * number)
        spots = cv2.GaussianBlur(noise.normal(0, 1, truth.shape).astype(np.float32), (0, 0), 4) * 3
        inside = truth > 0.99
        found = np.where(inside, 0.5 + np.clip(spots, -0.5, 0.5), truth).astype(np.float32)
        made = steady(image, found, previous)
        errors.append([np.where(inside, each - 0.5, each - truth) for each in (found, made)])
        previous = Layers(image, alpha=made)
    alone, steadied = (np.array([error[which] for error in errors[3:]]) for which in (0, 1))
    assert np.abs(steadied).mean() < 0.7 * np.abs(alone).mean()
    assert np.square(np.diff(steadied, axis=0)).mean() < 0.5**2 * np.square(np.diff(alone, axis=0)).mean()


def test_another_picture_is_not_believed():
    """After a cut to another scene, the new alpha stays."""
    image, alpha = frame(60)
    other = Layers(np.ascontiguousarray(1 - TEXTURE[40:160, 60:220]), alpha=np.ones_like(alpha))
    assert np.abs(steady(image, alpha, other) - alpha).mean() < 0.01


def test_without_a_frame_before_alpha_is_handed_on():
    """The first frame, a photograph, and strength 0."""
    image, alpha = frame(60)
    last = Layers(image, alpha=np.ones_like(alpha))
    for made in (steady(image, alpha), steady(image, alpha, Layers(image)), steady(image, alpha, last, strength=0)):
        assert (made == alpha).all()


def test_large_frames_are_moved_by_a_flow_of_a_small_copy():
    """At 4 times the size the disk still lies where it lay."""
    (before, alpha_before), (image, alpha) = frame(60), frame(63)
    before, alpha_before, image, alpha = (
        np.clip(cv2.resize(each, (1280, 960), interpolation=cv2.INTER_CUBIC), 0, 1)
        for each in (before, alpha_before, image, alpha)
    )
    made = steady(image, np.zeros_like(alpha), Layers(before, alpha=alpha_before), strength=0.98)
    assert np.abs(made - 0.98 * alpha).mean() < 0.02


def test_the_runner_brings_the_frame_before():
    """As any layer, but no stage can need it; of frames before that one nothing is kept."""
    chain = build("key", [("luv_threshold", {}), ("steady", {}), ("composite", {})])
    image, _ = frame(60)
    first = chain.run(image)
    second = chain.run(replace(Layers.of(image), previous=first.as_previous()))
    assert second.facts["steady"]["believed"] > 0.99 and "steady" not in first.facts
    assert second.as_previous().previous is None and second.as_previous().result is None


def test_a_frame_before_of_another_size_is_refused():
    """With both sizes."""
    image, alpha = frame(60)
    small = Layers(image[:100].copy(), alpha=alpha[:100].copy())
    with pytest.raises(LayerError, match=r"previous: expected the picture's size 120 x 160 .*, got 100 x 160"):
        steady(image, alpha, small)
    with pytest.raises(LayerError, match="previous: expected the Layers of the last frame, got ndarray"):
        steady(image, alpha, image)
