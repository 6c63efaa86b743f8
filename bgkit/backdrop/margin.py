"""The margin of one color, or of repeated pixels, that a shop or a layout program puts around a finished photograph.

It is no part of the scene. A backdrop that is fitted to it differs from the photograph's own, whose light, noise and
rounding it does not have, and a subject that the frame cuts goes on in it as stripes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.seam import (
    GROUP,
    RING,
    SEAM,
    SMALLEST,
    Part,
    away_from,
    begin,
    is_at_once,
    is_noisy,
    is_soon,
    varies,
)
from bgkit.backdrop.surface import estimate_backdrop
from bgkit.color import luv_from_srgb
from bgkit.deblocking import NONE, blockiness

__all__ = ["within_margins"]

Floats = NDArray[Any]
Bools = NDArray[np.bool_]

LEAST = 8  # px of a margin on one side
MOST_ROWS = 64  # that are compared at a time
SMEARED, FEW = 4 / 255, 0.01  # by which lossy compression changes one color; of a row's pixels that differ by more
QUIET, SHOWN = 2.5, 0.25  # dE*uv of noise at most, share of the border at least: the photograph shows a backdrop
NEAR, FAR = 12.0, 25.0  # dE*uv from the color to the backdrop along the border, where it is nearest and farthest
UNSEEN = 2.0  # dE*uv of a seam that nobody sees
SOME, SEEN = 0.1, 0.5  # of the groups that a seam shows in: some, or all along
MIXED = 3  # px of a seam that was scaled, behind a margin that ends to the bit
STEP = 4 / 255  # median difference of two neighboring rows of a photograph


def within_margins(image: Floats) -> tuple[Part, bool] | None:
    """Return the rows and columns within margins, and whether what they hold surely is a photograph.

    A side has a margin if its outermost 8 rows or more are equal: of one color, which lossy compression may have
    smeared, or each pixel the one beside it. The photograph may begin up to 20 px later, as JPEG smears the seam, but
    all along the side in the same row.

    It surely is one where it has noise all along, which a drawn wall beside a subject lacks, and a backdrop near the
    margin's color, and begins from one row to the next: a pale box on white, however straight it stands, was seen by a
    lens and has softer edges. Repeated rows count if the first one that is not is of the same scene. In a JPEG, values
    that differ stand for noise if a seam is seen on some side.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.

    Returns
    -------
    tuple of slice, and bool; or None
        None where there is no margin.
    """
    exact = _within(image, 0.0)
    return exact if exact is not None and exact[1] else _within(image, SMEARED) or exact


def _within(image: Floats, by: float) -> tuple[Part, bool] | None:
    """Return what is within rows and columns that are equal, on some side at least, or differ by that little."""
    top, bottom = _sides(image, by)
    if top + bottom > len(image) - SMALLEST:
        return None
    rows = slice(top, len(image) - bottom)
    across = image[rows].swapaxes(0, 1)
    left, right = _sides(across, by)
    if left + right > len(across) - SMALLEST or not top + bottom + left + right:
        return None
    cols = slice(left, len(across) - right)
    part = image[rows, cols]
    beyond = (
        (image[:top, cols], part),
        (image[rows.stop :, cols][::-1], part[::-1]),
        (across[:left], part.swapaxes(0, 1)),
        (across[cols.stop :][::-1], part.swapaxes(0, 1)[::-1]),
    )
    compressed = by == 0 and blockiness(image) > NONE
    seams = [_seam(*each, by > 0, compressed) if len(each[0]) else None for each in beyond]
    found = [seam for seam in seams if seam is not None]
    least = max(1, len(found) - 1)  # one side may be a cut subject's
    if sum(seam.straight or seam.sure for seam in found) < least or not any(seam.told for seam in found):
        return None
    up, down, before, after = (0 if seam is None else seam.first for seam in seams)
    where = slice(top + up, rows.stop - down), slice(left + before, cols.stop - after)
    colors = [margin[0, 0] for margin, _ in beyond if len(margin) and _is_plain(margin[:1], _color(margin[0]), by)[0]]
    alike = sum(seam.sure for seam in found) >= least and any(seam.sure and seam.told for seam in found)
    return where, alike and all(_is_near(color, image[where]) for color in colors)


def _sides(image: Floats, by: float) -> tuple[int, int]:
    """Return how many of the first and of the last rows are a margin; a first row that differs is the photograph's."""
    counts = []
    for rows in (image, image[::-1]):
        count = _equal(rows, by)
        counts.append(count if count >= LEAST else 0)
    return counts[0], counts[1]


def _equal(rows: Floats, by: float) -> int:
    """Return how many of the first rows are equal, of one color or, to the bit, repeated: then all but the last one."""
    color = _color(rows[0])

    def plain(some: Floats) -> Bools:
        return _is_plain(some, color, by)

    def repeated(some: Floats) -> Bools:
        return (some == rows[0]).all((1, 2))

    if plain(rows[:1])[0]:
        return _first(rows, plain)
    return _first(rows, repeated) - 1 if by == 0 else 0


def _color(row: Floats) -> Floats:
    return np.median(row, axis=0)


def _is_plain(rows: Floats, color: Floats, by: float) -> Bools:
    """Return which rows have one color, or differ ``by`` that little in all but few pixels, of which each 8th tells."""
    if by == 0:
        return (rows == color).all((1, 2))
    return (np.abs(rows[:, ::GROUP] - color) > by).any(-1).mean(1) <= FEW


def _first(rows: Floats, holds: Callable[[Floats], Bools]) -> int:
    """Return for how many of the first rows something holds, asked of more and more at a time."""
    start, some = 1, LEAST
    while start < len(rows):
        held = holds(rows[start : start + some])
        if not held.all():
            return start + int(np.argmin(held))
        start, some = start + some, min(2 * some, MOST_ROWS)
    return len(rows)


class _Seam(NamedTuple):
    first: int  # row in which the photograph begins, counted from the end of the margin
    straight: bool  # it begins there all along
    sure: bool  # as only a photograph does
    told: bool  # it has noise, or is seen to begin


def _seam(margin: Floats, part: Floats, smeared: bool, compressed: bool) -> _Seam:
    """Return where a photograph begins behind a margin, which may be smeared; both run inwards, (rows, N, 3).

    In a JPEG the blocks that hold the seam are no longer of one color, and what is left of noise may be few steps.
    """
    color = margin[0]
    if not smeared and np.ptp(color, axis=0).any():  # repeated
        same = np.median(np.abs(part[1] - color).max(-1)) <= STEP and is_noisy(part[:RING])
        return _Seam(0, same, same, same)
    away = away_from(part[: SEAM + RING], color)
    inside = np.median(away[SEAM:], axis=0)
    seen = inside > UNSEEN
    some, shown = seen.mean() >= SOME, bool(seen.mean() >= SEEN)
    first, straight, course = begin(away[:, seen], inside[seen]) if some else (0, False, np.ones(SEAM))
    if not (straight or shown) or (first > MIXED and not (compressed or smeared)):  # what is seen begins further in
        first = 0
    if smeared:
        found = straight and shown and is_soon(course, first)
        return _Seam(first, found, False, found)
    sharp = is_at_once(course, first, compressed)
    noisy = is_noisy(part[first : first + RING])
    differ = noisy or (compressed and varies(part[first + SEAM : first + SEAM + 2 * RING]))
    return _Seam(first, straight if shown else differ, differ and (sharp or not shown), noisy or shown)


def _is_near(color: Floats, part: Floats) -> bool:
    """Return whether a photograph has a backdrop of this color at its border."""
    backdrop = estimate_backdrop(part)
    surface = backdrop.luv((48, max(1, 48 * part.shape[1] // part.shape[0])))
    border = np.concatenate([surface[0], surface[-1], surface[:, 0], surface[:, -1]])
    away = np.linalg.norm(border - luv_from_srgb(color[None, None])[0], axis=-1)
    shown = backdrop.border_share >= SHOWN and backdrop.noise <= QUIET
    return bool(shown and away.min() <= NEAR and away.max() <= FAR)
