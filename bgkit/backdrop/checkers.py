"""A checkerboard that was painted where a picture should be clear, as pictures of the web have it: two flat colors.

Its squares are found on the picture's border, where the two colors take turns at equal steps; what is found has to
explain the whole border but for where the subject is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Checkers", "find_checkers"]

Floats = NDArray[Any]

APART = 0.03  # of 0..1, between the grays of both colors
EACH, BOTH = 0.1, 0.3  # of the border, that one color and both take at least
TURNS = 4  # along one side of the picture at least
EVEN = 0.15  # of a square's side, that a turn may be off
MOST = 0.7  # of a side's turns, that are so even
RIGHT = 0.95  # of the border in one of the colors, that the pattern explains


@dataclass(frozen=True)
class Checkers:
    """Squares in turn: their ``side`` and where one ``start``s, down and along, as shares of height and width."""

    side: tuple[float, float]
    start: tuple[float, float]
    first: float  # 1 or -1: of which color the square at the start is

    def beyond(self, shape: tuple[int, ...]) -> Floats:
        """Return how much of the second color each pixel shows, 0..1, float32 (M, N)."""
        waves = []
        for length, side, start in zip(shape[:2], self.side, self.start, strict=True):
            edge = (np.arange(length + 1) / length - start) / side
            ramp = np.abs((edge + 1) % 2 - 1)  # integral of the square wave: up one square, down the next
            waves.append(np.clip(np.diff(ramp) * side * length, -1, 1))
        share: Floats = ((1 - self.first * np.multiply.outer(waves[0], waves[1])) / 2).astype(np.float32)
        return share


def find_checkers(image: Floats) -> tuple[Checkers, Floats, Floats] | None:
    """Return the pattern and both colors, sRGB (3,), or None where the border shows none."""
    if min(image.shape[:2]) < 32:
        return None
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    colors = _two_colors(border)
    if colors is None:
        return None
    grays = [float(color.mean()) for color in colors]
    near = abs(grays[0] - grays[1]) / 4
    lines = (image[0], image[-1]), (image[:, 0], image[:, -1])
    across, down = ([_steps(_turns(line.mean(-1), grays, near)) for line in pair] for pair in lines)
    (_, width, left), (_, height, top) = max(across), max(down)
    if not width or not height or abs(width / height - 1) > EVEN:
        return None
    rows, cols = image.shape[:2]
    signs = np.concatenate([_signs(line.mean(-1), grays, near) for pair in lines for line in pair])
    for first in (1.0, -1.0):
        found = Checkers((height / rows, width / cols), (top / rows, left / cols), first)
        share = found.beyond(image.shape)
        expected = 1 - 2 * np.concatenate([share[0], share[-1], share[:, 0], share[:, -1]])
        told = (signs != 0) & (np.abs(expected) > 0.9)
        if told.mean() > BOTH / 2 and (np.sign(expected[told]) == signs[told]).mean() > RIGHT:
            return found, colors[0], colors[1]
    return None


def _two_colors(border: Floats) -> tuple[Floats, Floats] | None:
    """Return the border's two most frequent colors, if they are flat and lie apart."""
    gray = border.mean(-1)
    counts = np.convolve(np.histogram(gray, 128, (0, 1))[0], np.ones(3), "same")
    found = []
    for _ in range(2):
        middle = (int(np.argmax(counts)) + 0.5) / 128
        near = np.abs(gray - middle) < 2 / 128
        if near.mean() < EACH:
            return None
        found.append(np.median(border[near], axis=0))
        apart = np.abs((np.arange(128) + 0.5) / 128 - middle) < APART
        counts[apart] = 0
    one, other = found
    enough = (np.abs(gray[:, None] - [one.mean(), other.mean()]).min(1) < 2 / 128).mean() > BOTH
    return (one, other) if enough and abs(float(one.mean() - other.mean())) > APART else None


def _signs(gray: Floats, grays: list[float], near: float) -> Floats:
    """Return 1 where a line has the first color, -1 the second, 0 another."""
    signs: Floats = 1.0 * (np.abs(gray - grays[0]) < near) - 1.0 * (np.abs(gray - grays[1]) < near)
    return signs


def _turns(gray: Floats, grays: list[float], near: float) -> Floats:
    """Return where one color turns into the other within three pixels, px."""
    signs = _signs(gray, grays, near)
    at = np.flatnonzero(signs)
    change = (np.diff(signs[at]) != 0) & (np.diff(at) <= 3)
    turns: Floats = (at[:-1][change] + at[1:][change] + 1) / 2
    return turns


def _steps(turns: Floats) -> tuple[int, float, float]:
    """Return how many turns lie at equal steps, their distance and where the first lies, px; 0 where most do not."""
    side = float(np.median(np.diff(turns))) if len(turns) >= TURNS else 0.0
    if side < 3:
        return 0, 0.0, 0.0
    count, kept = np.rint((turns - turns[0]) / side), np.ones(len(turns), bool)
    slope, start = side, turns[0]
    for _ in range(3):  # the subject's own colors make turns, too
        slope, start = np.polyfit(count[kept], turns[kept], 1)
        kept = np.abs(turns - start - slope * count) < EVEN * side + 0.5
        if len(np.unique(count[kept])) < TURNS or kept.mean() < MOST:
            return 0, 0.0, 0.0
    return int(kept.sum()), float(slope), float(start)
