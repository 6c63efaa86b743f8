"""Where a photograph begins behind what was put around it, a line or a margin.

Seen from one side, rows run inwards, (rows, N, 3). All along the side colors leave those of the margin in the same row.
They are looked at by groups along the side, each by its median, so that neither noise nor a thin thing decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.color import luv_from_srgb

__all__ = ["RING", "SEAM", "SMALLEST", "Part", "away_from", "begin", "is_at_once", "is_noisy", "is_soon", "varies"]

Floats = NDArray[Any]
Part = tuple[slice, slice]

SMALLEST = 64  # px of the shorter side of a photograph
RING = 16  # px along its edge, which are to show noise
SEAM = 20  # px of a JPEG's block with its chroma, by which it may smear a seam, and of one that was scaled besides
GROUP = 8  # px along a side
STRAIGHT = 0.7  # of the groups that begin within a pixel of the seam
SHARP = 0.7  # of a seam, what happens from one row to the next
SHARPER = 0.85, 0.15  # the same behind the end of a margin in a JPEG: after and before the first row
PARTS = 8  # of a side's length; all but one show noise: one may be clipped
TURNS = 0.02  # of pixels that differ from both neighbors in one direction: photographs 0.08 to 0.25, drawn walls 0


def away_from(rows: Floats, color: Floats, *, light_alone: bool = False) -> Floats:
    """Return how far colors are from the median of some, dE*uv or L*, by groups along the rows: (rows, groups).

    L* alone is for what is thin: JPEG smears its color over 16 px.
    """
    count = rows.shape[1] // GROUP
    medians = np.median(rows[:, : count * GROUP].reshape(len(rows), count, GROUP, 3), axis=2)
    off = luv_from_srgb(medians) - luv_from_srgb(np.median(color, axis=0)[None, None])
    return np.abs(off[..., 0]) if light_alone else np.linalg.norm(off, axis=-1)


def begin(away: Floats, inside: Floats) -> tuple[int, bool, Floats]:
    """Return in which row colors leave the margin's, whether they do all along, and their course.

    ``away`` is how far each group of each row is from the margin's color, (rows, groups), ``inside`` each group of the
    photograph: of its ground, where it has both ground and subject.
    """
    away = away / np.minimum(inside, np.median(inside))
    course, begins = np.median(away, axis=1), np.argmax(away >= 0.5, axis=0)
    first = int(np.argmax(course >= 0.5))
    straight = bool((np.abs(begins - first) <= 1).mean() >= STRAIGHT)
    return (first, straight, course) if first <= SEAM else (0, False, course)


def is_at_once(course: Floats, first: int, compressed: bool) -> bool:
    """Return whether colors go all the way from one row to the next, in a JPEG also behind the end of a margin."""
    if course[0] >= SHARP * np.median(course[:RING]):
        return True
    after, before = np.multiply(SHARPER, np.median(course[first : first + RING]))
    return bool(compressed and first > 0 and course[first] >= after and course[first - 1] <= before)


def is_soon(course: Floats, first: int) -> bool:
    """Return whether colors go all the way within three rows."""
    after, before = np.multiply(SHARPER, np.median(course[first : first + RING]))
    return bool(course[first + 1] >= after and (first < 2 or course[first - 2] <= before))


def is_noisy(ring: Floats) -> bool:
    """Return whether values go up and down from row to row all along, as those of a photograph do."""
    steps = np.diff(ring, axis=0)
    turns = (steps[1:] * steps[:-1] < 0).any(-1).mean(0)
    return sum(bool(each.mean() >= TURNS) for each in np.array_split(turns, PARTS)) >= PARTS - 1


def varies(rows: Floats) -> bool:
    """Return whether values differ all along, by what a JPEG has left of light and noise."""
    return sum(bool(np.ptp(each, axis=(0, 1)).any()) for each in np.array_split(rows, PARTS, axis=1)) >= PARTS - 1
