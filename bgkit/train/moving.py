"""The next frame of a still: subject and scene move, each by itself (Wang, Shen, Shao 2018).

The scene moves by a homography, as a camera's small motion before something far away does; the subject moves in it by
a shift, a turn and a change of size of its own. What it uncovers is filled from around it. How far things move, some
percent of the side, is chosen here. Motions are drawn evenly in both directions of time, so a network that learned from
them takes the frame before as well as the next one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["next_frame"]

Map = NDArray[np.float32]
Picture = NDArray[np.float32]
Matrix = NDArray[np.float64]

MOVES = 0.75  # of the pairs, in which the scene moves, and in which the subject does: one in sixteen is a still


def next_frame(picture: Picture, truth: Map, rng: np.random.Generator) -> Picture:
    """Return the frame after ``picture`` (S, S, 3), 0..1, whose subject is ``truth`` (S, S)."""
    camera = _camera(len(truth), rng) if rng.random() < MOVES else np.eye(3)
    if rng.random() >= MOVES or truth.max() < 0.5:
        return _warp(picture, camera)
    moved = camera @ _own(truth, rng)
    alpha = _warp(truth, moved, cv2.BORDER_CONSTANT)[..., None]
    behind = _warp(_without(picture, truth), camera)
    return behind + alpha * (_warp(picture, moved) - behind)


def _camera(size: int, rng: np.random.Generator) -> Matrix:
    """A homography: everything shifted by some percent of the side, and each corner by a little of its own."""
    corners = np.float32([[0, 0], [size, 0], [size, size], [0, size]])
    shift = rng.normal(0, 0.02, (1, 2)).clip(-0.06, 0.06) + rng.normal(0, 0.01, (4, 2)).clip(-0.03, 0.03)
    return cv2.getPerspectiveTransform(corners, np.float32(corners + size * shift))


def _own(truth: Map, rng: np.random.Generator) -> Matrix:
    """A shift of up to an eighth of the side, a turn of some degrees and a change of size, about the subject."""
    size, moments = len(truth), cv2.moments(truth)
    about = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    turn = cv2.getRotationMatrix2D(about.tolist(), float(rng.normal(0, 3)), float(np.exp(rng.normal(0, 0.03))))
    turn[:, 2] += size * rng.normal(0, 0.05, 2).clip(-0.125, 0.125)
    return np.vstack([turn, [0, 0, 1]])


def _warp(pixels: NDArray[np.float32], matrix: Matrix, border: int = cv2.BORDER_REFLECT) -> NDArray[np.float32]:
    return cv2.warpPerspective(pixels, matrix, pixels.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border)


def _without(picture: Picture, truth: Map) -> Picture:
    """The scene without its subject: the mean of what is around, by a wide Gaussian that leaves the subject out."""
    seen = (truth < 0.02).astype(np.float32)[..., None]
    spread = max(1.0, len(truth) / 16)
    colors, weight = (cv2.GaussianBlur(each, (0, 0), spread) for each in (picture * seen, seen))
    least = np.float32(1e-3)  # where nothing is near: the mean of all that is seen
    mean = (picture * seen).sum((0, 1)) / max(float(seen.sum()), 1.0)
    filled = (colors + least * mean) / (weight[..., None] + least)
    return picture + truth[..., None] * (filled - picture)
