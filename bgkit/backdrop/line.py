"""A line along the edge of a picture, as people draw around photographs and scanners leave beside them.

It is no part of the scene. A backdrop would be looked for along it, and where it is not found there, in vain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.seam import RING, SHARPER, SMALLEST, STRAIGHT, Part, away_from, begin, is_soon

__all__ = ["within_lines"]

Floats = NDArray[Any]

LINE, THIN = 16, 2  # px of a line at most; of one along one side alone at least
EVEN, DISTINCT = 6.0, 10.0  # L* within a line at most, and from it to what it surrounds at least
APART = 4  # rows, of which one says what lies behind a line
MOST = 0.9  # of the groups of a line's first row that have its color


def within_lines(image: Floats) -> Part | None:
    """Return the rows and columns within lines along the edge, on some side at least.

    A line is of one light, up to 16 px wide, and ends from one row to the next, all along. Of a frame, sides before
    what is as dark have the width of the others.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.

    Returns
    -------
    tuple of slice or None
        None where there is no line.
    """
    if min(image.shape[:2]) < SMALLEST + 2 * LINE:
        return None
    across = image.swapaxes(0, 1)
    sides = image, image[::-1], across, across[::-1]
    lines = np.array([_line(side, MOST) for side in sides])
    if np.count_nonzero(lines) == 1:  # also a thing behind a subject may stand there, up to the subject
        lines = np.array([_line(side, 1.0) for side in sides])
        lines[lines < THIN] = 0
    if not lines.any():
        return None
    # A frame goes on where what it surrounds has its color, too.
    width, color = int(np.median(lines[lines > 0])), sides[int(np.argmax(lines > 0))][0]
    goes_on = np.array([np.mean(away_from(side[:1], color, light_alone=True) <= EVEN) >= MOST for side in sides])
    lines[goes_on & (lines == 0)] = width
    top, bottom, left, right = (int(line) for line in lines)
    return slice(top, len(image) - bottom), slice(left, image.shape[1] - right)


def _line(rows: Floats, most: float) -> int:
    """Return how many rows a line takes whose color so much of the first row has, and the photograph has not; or 0."""
    if np.mean(away_from(rows[:1], rows[0], light_alone=True) <= EVEN) < most:
        return 0
    inside = np.median(away_from(rows[LINE : LINE + RING : APART], rows[0], light_alone=True), axis=0)
    seen = inside > DISTINCT
    if seen.mean() < STRAIGHT:
        return 0
    away = away_from(rows[: LINE + RING], rows[0], light_alone=True)
    first, straight, course = begin(away[:, seen], inside[seen])
    if not straight or first == 0 or not is_soon(course, first):
        return 0
    return first if course[first] >= SHARPER[0] else first + 1
