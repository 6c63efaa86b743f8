"""The empty scene of a film from a camera that stands still: the temporal median of a sample of its frames.

Where the subject is in less than half of the frames, the median shows what is behind it. That the camera stands still
is measured on the sample, not believed: the median has to explain the border of the frames, and to lie where they do.

A subject that stays where it is becomes part of the median. Two signs of that are reported: places that look like the
median in too few frames, so that two things take turns there, and something in the median that the network which ships
is sure is a subject.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.plate import Match, match_plate
from bgkit.errors import VideoError
from bgkit.layers import as_layer
from bgkit.stages import cnn_mask
from bgkit.videofile import Frame, Reader

__all__ = ["Scene", "estimate_scene"]

MOST = 32  # frames of the sample, so that its median is that of 16 or more
LEAST = 5
MEMORY = 400_000_000  # bytes of the sample; at 4K fewer frames
LOOKED_AT = 6  # frames that are held against the median
WORKING = 640  # px, the longer side on which they are
FARTHEST = 0.0015  # of the diagonal, that a corner may move: 3 px of 1080p
UNEXPLAINED = 0.4  # of a frame's border
DIFFERENT = 12 / 255  # seen through a blur: more than noise
SOMETHING = 0.002  # of a frame, that has to differ from the median for something to have moved
SUPPORT = 2 / 3  # of the sample, that has to look like the median at each place
DOUBTED = 0.005  # of a frame: smaller places are not reported
SURE = 0.9  # of the network's mask
SURE_SHARE = 0.6  # of what the mask holds at 0.5; 0.85 or more of a clear subject, 0.25 of an empty street


@dataclass(frozen=True)
class Scene:
    """The empty scene, if there is one, and why it may not be empty, a sentence for each sign."""

    plate: NDArray[np.float32] | None  # (M, N, 3), 0..1
    doubts: tuple[str, ...] = ()


def estimate_scene(reader: Reader) -> Scene:
    """Return the scene without what moves.

    Parameters
    ----------
    reader : Reader
        The film, whose frames are all decoded; no more than :data:`MOST` are kept.

    Raises
    ------
    VideoError
        If the camera moves, if nothing does, or if there are too few frames.
    """
    name = reader.clip.name
    most = max(LEAST, min(MOST, MEMORY // (3 * reader.clip.rows * reader.clip.cols * (reader.clip.depth // 8))))
    sample = _sample(reader.frames(), most)
    remedy = "give the empty scene, as in --plate empty.jpg"
    if len(sample) < LEAST:
        raise VideoError(f"{name}: has {len(sample)} frames, too few to see the empty scene in them; {remedy}")
    plate = _median(sample)
    chosen = sample[:: max(1, len(sample) // LOOKED_AT)]
    small = _small(plate)
    matches = [match_plate(_small(frame), small) for frame in chosen]
    moved = float(np.median([_farthest(match, small.shape) for match in matches]))
    unexplained = float(np.median([match.unexplained for match in matches]))
    if moved > FARTHEST or unexplained > UNEXPLAINED or not all(match.fits for match in matches):
        raise VideoError(
            f"{name}: the camera does not stand still (frames lie {100 * moved:.2f} % of the diagonal apart, and "
            f"{unexplained:.0%} of their border is not the scene's), so the empty scene cannot be seen in it; "
            f"{remedy}, or take a pipeline without a plate, as auto"
        )
    if max(_differing(_small(frame), small) for frame in chosen) < SOMETHING:
        raise VideoError(
            f"{name}: nothing moves in it, so what is subject and what is scene cannot be told apart; {remedy}"
        )
    return Scene(as_layer("plate", plate), tuple(_doubts(sample, small)))


def _doubts(sample: list[NDArray[Any]], plate: NDArray[np.float32]) -> Iterator[str]:
    """Yield why the median, a small copy, may show the subject."""
    remedy = "look at the result; if the subject is missing there, give the empty scene, as in --plate empty.jpg"
    like = np.zeros(plate.shape[:2], np.float32)
    for frame in sample:
        like += _unlike(_small(frame), plate) <= DIFFERENT
    poor = like < SUPPORT * len(sample)
    if poor.mean() > DOUBTED:
        yield (
            f"the empty scene is in doubt in {poor.mean():.1%} of the picture, {_place(poor)}: something else is there "
            f"in more than a third of the frames; {remedy}"
        )
    mask = cnn_mask(plate)
    sure, some = (mask > SURE) & ~poor, (mask > 0.5) & ~poor
    if sure.mean() > DOUBTED and sure.sum() > SURE_SHARE * some.sum():
        yield (
            f"the network sees a subject in the empty scene, {_place(sure)}, in {sure.mean():.1%} of the picture: what "
            f"stays where it is all the time is taken for scene; {remedy}"
        )


def _place(where: NDArray[np.bool_]) -> str:
    """Return where the middle of a region lies, as people say it."""
    down, across = (np.flatnonzero(where.any(axis)).mean() / where.shape[1 - axis] for axis in (1, 0))
    words = [("top", "middle", "bottom")[min(2, int(3 * down))], ("left", "middle", "right")[min(2, int(3 * across))]]
    return "in the middle" if words == ["middle", "middle"] else f"at the {' '.join(dict.fromkeys(words))}"


def _sample(frames: Iterator[Frame], most: int) -> list[NDArray[Any]]:
    """Return up to ``most`` frames, evenly over a film of any length: every second one goes when it is full."""
    kept: list[NDArray[Any]] = []
    step = 1
    for frame in frames:
        if frame.number % step:
            continue
        if len(kept) == most:
            kept = kept[::2]
            step *= 2
            if frame.number % step:
                continue
        kept.append(frame.image)
    return kept


def _median(sample: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the median over time, a few rows at a time."""
    plate = np.empty_like(sample[0])
    for row in range(0, len(plate), 32):
        plate[row : row + 32] = np.median(np.stack([frame[row : row + 32] for frame in sample]), axis=0)
    return plate


def _small(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Return a copy of at most ``WORKING`` px, float32 in 0..1."""
    scale = min(1.0, WORKING / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    most = 1 if picture.dtype.kind == "f" else np.iinfo(picture.dtype).max
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(most)
    return np.ascontiguousarray(small)


def _farthest(match: Match, shape: tuple[int, ...]) -> float:
    """Return how far a corner of the plate moves to where the frame has it, as a share of the diagonal."""
    rows, cols = shape[:2]
    corners = np.array([[[0, 0], [cols, 0], [0, rows], [cols, rows]]], np.float64)
    away = np.linalg.norm(cv2.perspectiveTransform(corners, match.motion) - corners, axis=-1)
    return float(away.max() / np.hypot(rows, cols))


def _differing(frame: NDArray[np.float32], plate: NDArray[np.float32]) -> float:
    """Return the share of a frame that differs from the plate by more than noise."""
    return float((_unlike(frame, plate) > DIFFERENT).mean())


def _unlike(frame: NDArray[np.float32], plate: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how much the samples of a frame differ from the plate's, noise apart, 0..1 (M, N)."""
    unlike: NDArray[np.float32] = cv2.GaussianBlur(np.abs(frame - plate).max(-1), (0, 0), 2)
    return unlike
