"""JPEG's blocks: how strongly a picture shows them, and the picture without them.

A matte follows colors, so along fur and soft edges it follows the borders of blocks too: stairs of 8 pixels. The border
shows as a step that the slopes on both sides do not explain. How much larger such steps are there than in the middle of
blocks tells how strongly a picture was compressed, wherever it came from; the filter takes steps away that are as small
as that compression makes them, and leaves larger ones, which are edges (List et al. 2003, in one pass).
"""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.color import dot, luv_of_picture

__all__ = ["ROUNDED", "SIDE", "blockiness", "quantization", "terraces_of", "without_blocks"]

Floats = NDArray[Any]

SIDE = 8  # px of a block
LARGEST = 8 / 255  # a step that counts when blocks are looked for: larger ones are edges
NONE = 1.1  # of blockiness; pictures that were never compressed, or scaled since, have 0.9 to 1.1
FEW = 40_000  # pixels; of fewer, chance makes a blockiness of 1.1
STRENGTH, MOST = 9 / 255, 15 / 255  # step that is taken away, for each 1 of blockiness above 1, and at most
BAND = 8 * SIDE  # px; rows that are smoothed at a time, so that they stay in the cache
ROWS = 100  # of blocks, and as many columns, that are asked about; of more, some are left out
FINEST, COARSEST = 10, 120  # of quantization, eighths of a level: qualities 80 to 8; finer ones do no harm
GATHERED, MORE = 0.5, 0.3  # of 1: how closely the means of blocks keep to multiples of a step, and more than elsewhere
FEWEST = 5  # different means that can tell
EVEN, MOSTLY = 1.5 / 255, 0.5  # range within a block that holds nothing but its mean; share of such blocks
PARTS = 16  # of a level, in which means are counted
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
JPEG = (1, 1, 1), (0, -0.344, 1.772), (1.402, -0.714, 0)  # of red, green, blue for one step of Y, Cb and Cr
SOME = 10_000  # pixels that tell what a step is in dE*uv
ROUNDED = 2.2  # of the error of rounding a block's mean: neighboring terraces lie two of it apart, blended over 16 px


def blockiness(image: Floats) -> float:
    """Return how much larger steps are at the borders of blocks than in their middle; about 1 where there are none.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1; its corner is a block's corner.

    Returns
    -------
    float
        1.2 to 1.5 for JPEGs of quality 92, 1.5 to 2.2 for 75, 1.9 to 2.9 for 50. 1 for pictures too small to tell.
    """
    if image.shape[0] * image.shape[1] < FEW or min(image.shape[:2]) < 3 * SIDE:
        return 1.0
    border, middle = 0.0, 0.0
    for picture in (image, image.transpose(1, 0, 2)):
        for offset in (0, SIDE // 2):
            every = SIDE * max(1, len(picture) // SIDE // ROWS)
            steps = float(np.minimum(np.abs(_steps(*_beside(picture, offset, every))), LARGEST).mean())
            border, middle = (border + steps, middle) if offset == 0 else (border, middle + steps)
    return border / middle if middle > 0 else 1.0


def quantization(image: Floats, empty: bool = False) -> float:
    """Return the step to whose multiples JPEG rounded the means of its blocks, in code; 0 where there is none.

    Before a plain wall, that is all that was kept of a block: the wall becomes terraces, each up to half a step off.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1; its corner is a block's corner.
    empty : bool
        Whether it is a photograph of an empty scene: two or three even colors are terraces then, not a drawing.

    Returns
    -------
    float
        2/255 for JPEGs of quality 50, 3.4/255 for 30, 10/255 for 10. 0 above quality 80, for pictures that were scaled
        or moved since, and for those of too few different blocks to tell.

    References
    ----------
    Z. Fan and R. L. de Queiroz, "Identification of bitmap compression history: JPEG detection and quantizer
    estimation", IEEE Trans. Image Processing 12(2), 2003: coefficients gather at the multiples of their step.
    """
    global _last
    if _last is not None and _last[0]() is image and not empty:
        return _last[1]
    step = _quantization(image, empty)
    if not (image.flags.writeable or empty):  # as stages get it, and then what fits its backdrop: the same picture
        _last = (weakref.ref(image), step)
    return step


_last: tuple[weakref.ref[Floats], float] | None = None


def _quantization(image: Floats, empty: bool) -> float:
    if min(image.shape[:2]) < 3 * SIDE:
        return 0.0
    steps = np.arange(FINEST, COARSEST + 1) / 8
    gathered = _gathered(image, steps)
    if empty and not gathered.any():
        return _apart(image)
    best = int(np.argmax(gathered))
    if gathered[best] <= GATHERED:
        return 0.0
    # Means of blocks that are none keep to no step, but those of a drawing of few colors do wherever they lie.
    elsewhere = float(_gathered(image[SIDE // 2 :, SIDE // 2 :], steps[best : best + 1])[0])
    return float(steps[best]) / 255 if gathered[best] > elsewhere + MORE else 0.0


def _apart(image: Floats) -> float:
    """Return how far apart the nearest means of even blocks lie, where most blocks are even, code; 0 where not.

    A wall of two or three terraces has too few means to gather, but nothing within its blocks.
    """
    rows, cols = (side // SIDE for side in image.shape[:2])
    blocks = image[: rows * SIDE, : cols * SIDE].reshape(rows, SIDE, cols, SIDE, 3)
    even = np.ptp(blocks, axis=(1, 3)).max(-1) < EVEN
    if even.mean() < MOSTLY:
        return 0.0
    levels = np.unique(np.rint(255 * blocks.mean((1, 3))[even] @ LUMA))
    steps = np.diff(levels)
    steps = steps[steps > 1]
    step = float(steps.min()) if len(steps) else 0.0
    return step / 255 if FINEST <= 8 * step <= COARSEST else 0.0


def _gathered(image: Floats, steps: Floats) -> Floats:
    """Return how closely the means of blocks keep to the multiples of each step, in levels; 1 where they are such."""
    rows, cols = (side // SIDE for side in image.shape[:2])
    every = max(1, max(rows, cols) // ROWS)
    blocks = image[: rows * SIDE, : cols * SIDE].reshape(rows, SIDE, cols, SIDE, 3)[::every, :, ::every]
    blocks = blocks.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE * SIDE * 3)  # side by side in memory: a third of the time
    whole = (blocks.min(1) > 0.01) & (blocks.max(1) < 0.99)  # clipping moves a block's mean
    means = 255 * dot(blocks[whole], np.tile(LUMA / (SIDE * SIDE), SIDE * SIDE)) - 128
    at, count = np.unique(np.rint(PARTS * means) / PARTS, return_counts=True)
    if len(at) < FEWEST:
        return np.zeros(len(steps))
    place = at[None] / steps[:, None]
    weight = np.sqrt(count)  # a wall's one mean must not speak for all blocks
    gathered: Floats = np.cos(2 * np.pi * place) @ (weight / weight.sum())
    gathered[np.rint(place[:, -1]) - np.rint(place[:, 0]) < 2] = 0  # two values keep to many steps
    return gathered


def terraces_of(picture: Floats, step: float) -> float:
    """Return how far rounding luma and both chromas to a :func:`quantization` takes a picture's color, dE*uv."""
    if step == 0:
        return 0.0
    every = max(1, math.isqrt(picture[..., 0].size // SOME))
    picture = picture[::every, ::every]
    color = luv_of_picture(picture)
    total = np.zeros(color.shape[:2], np.float32)
    for change in JPEG:
        rounded = luv_of_picture(picture + np.array(change, np.float32) * np.float32(step / 2))
        total += dot(rounded - color, rounded - color)
    return float(np.sqrt(np.median(total)))


def without_blocks(image: Floats, shown: float) -> Floats:
    """Return the picture with the steps at the borders of its blocks smoothed; itself where ``shown`` says none.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    shown : float
        Its :func:`blockiness`.

    Returns
    -------
    float32 array of shape (M, N, 3)
        0..1. Two pixels on each side of a border are changed, no pixel by more than 3/8 of a step.

    References
    ----------
    P. List, A. Joch, J. Lainema, G. Bjøntegaard, M. Karczewicz: Adaptive Deblocking Filter. IEEE Trans. Circuits and
    Systems for Video Technology 13(7), 2003.
    """
    if shown <= NONE:
        return image
    least = np.float32(min(STRENGTH * (shown - 1), MOST))
    smooth = image.copy()
    for top in range(0, len(smooth), BAND):  # rows that borders lie between, first
        _smooth_borders(smooth[max(top - SIDE, 0) : top + BAND], least)
    for top in range(0, len(smooth), BAND):
        band = smooth[top : top + BAND]
        _smooth_borders(band.transpose(1, 0, 2), least)
        np.clip(band, 0, 1, out=band)
    return smooth


def _smooth_borders(picture: Floats, least: np.float32) -> None:
    """Take away, in place, the steps between every eighth row and the one above it."""
    rows = _beside(picture, 0, SIDE)
    step = _steps(*rows)
    size = np.abs(step)
    step *= np.clip(2 * least / np.maximum(size, 1e-6) - 1, 0, 1)  # whole up to ``least``, nothing from twice that
    for row, share in zip(rows, (0.125, 0.375, -0.375, -0.125), strict=True):
        row += np.float32(share) * step


def _beside(picture: Floats, offset: int, every: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the two rows above and the two below each border, views; a border lies above each ``every``-th row."""
    first, stop = SIDE + offset, len(picture) - 1
    farther, above, below, beyond = (picture[first + place : stop + place : every] for place in (-2, -1, 0, 1))
    return farther, above, below, beyond


def _steps(farther: Floats, above: Floats, below: Floats, beyond: Floats) -> Floats:
    """Return the steps between two rows, less the slope on both sides."""
    steps: Floats = below - above - np.float32(0.5) * (above - farther + beyond - below)
    return steps
