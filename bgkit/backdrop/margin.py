"""The margin of one color, or of repeated pixels, that a shop or a layout program puts around a finished photograph.

It is no part of the scene. A backdrop that is fitted to it differs from the photograph's own, whose light, noise and
rounding it does not have, and a subject that the frame cuts goes on in it as stripes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.surface import estimate_backdrop
from bgkit.color import luv_from_srgb
from bgkit.deblocking import NONE, blockiness

__all__ = ["Frame", "find_frame", "is_photograph"]

Floats = NDArray[Any]

LEAST = 8  # px of a margin on one side
SMALLEST = 64  # px of the shorter side of what it surrounds
RING = 16  # px along the edge of the photograph, which are to show noise
QUIET, SHOWN = 2.5, 0.25  # dE*uv of noise at most, share of the border at least: the photograph shows a backdrop
NEAR, FAR = 12.0, 25.0  # dE*uv from the color to the backdrop along the border, where it is nearest and farthest
UNSEEN = 2.0  # dE*uv of a seam that nobody sees
SEAM = 16  # px of a JPEG's block with its chroma, by which it may smear a seam
GROUP = 8  # px along a side, whose median says how far colors are from the margin's
SOME, SEEN = 0.1, 0.5  # of the groups that a seam shows in: some, or all along
STRAIGHT, FEWER = 0.7, 0.25  # of these that begin within a pixel of it; that begin before it, if it is not straight
SHARP = 0.7  # of a seam, what happens from one row to the next
SHARPER = 0.85, 0.15  # the same behind the end of a margin in a JPEG: after and before the first row
STEP = 4 / 255  # median difference of two neighboring rows of a photograph
PARTS = 8  # of its length; all but one, where it may be clipped, show noise, which a drawn wall beside a subject lacks
TURNS = 0.02  # of pixels that differ from both neighbors in one direction: photographs 0.08 to 0.25, drawn walls 0
FOUND, FREE, ANY = 0.5, 0.5, 0.01  # a probability of subject; of a side without one, less; of what shows one, more
DEEP = 16  # th part of the shorter side: how deep a side is looked at


class Frame(NamedTuple):
    """What margins surround."""

    part: tuple[slice, slice]  # its rows and columns
    sure: bool  # whether it is a photograph by its pixels, or may be a thing that fills a rectangle


def find_frame(image: Floats) -> Frame | None:
    """Return the photograph within a margin, or what may be one.

    A side has a margin if its outermost 8 rows or more are equal: of one color, or each pixel the one beside it. The
    photograph may begin up to 15 px later, as JPEG smears the seam, but all along the side in the same row.

    It surely is one where it has noise all along, which a drawn wall beside a subject lacks, and a backdrop near the
    margin's color, and begins from one row to the next: a pale box on white, however straight it stands, was seen by a
    lens and has softer edges. Repeated rows count if the first one that is not is of the same scene. In a JPEG, values
    that differ stand for noise if a seam is seen on some side. The rest is for :func:`is_photograph` to tell.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.

    Returns
    -------
    Frame or None
        None where there is no margin.
    """
    top, bottom = _sides(image)
    if top + bottom > len(image) - SMALLEST:
        return None
    rows = slice(top, len(image) - bottom)
    across = image[rows].swapaxes(0, 1)
    left, right = _sides(across)
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
    compressed = blockiness(image) > NONE
    seams = [_seam(*each, compressed) if len(each[0]) else None for each in beyond]
    found = [seam for seam in seams if seam is not None]
    least = max(1, len(found) - 1)  # one side may be a cut subject's
    if sum(seam.straight or seam.sure for seam in found) < least or not any(seam.told for seam in found):
        return None
    up, down, before, after = (0 if seam is None else seam.first for seam in seams)
    where = slice(top + up, rows.stop - down), slice(left + before, cols.stop - after)
    colors = [margin[0, 0] for margin, _ in beyond if len(margin) and not np.ptp(margin[0], axis=0).any()]
    alike = sum(seam.sure for seam in found) >= least and any(seam.sure and seam.told for seam in found)
    return Frame(where, alike and all(_is_near(color, image[where]) for color in colors))


def is_photograph(mask: Floats, frame: Frame) -> bool:
    """Return whether what margins surround shows a subject, and is none: of its sides, half at least are free of one.

    Parameters
    ----------
    mask : float32 array of shape (M, N)
        What a network gives of the whole picture: the probability of foreground.
    frame : Frame
        As :func:`find_frame` gives it.
    """
    found = mask[frame.part] > FOUND
    depth = max(1, min(found.shape) // DEEP)
    sides = found[:depth], found[-depth:], found[:, :depth], found[:, -depth:]
    return bool(found.mean() > ANY and sum(side.mean() < FREE for side in sides) >= len(sides) / 2)


def _sides(image: Floats) -> tuple[int, int]:
    """Return how many of the first and of the last rows are a margin; a first row that differs is the photograph's."""
    counts = []
    for rows in (image, image[::-1]):
        equal = next((index for index in range(1, len(rows)) if (rows[index] != rows[0]).any()), len(rows))
        margin = equal if not np.ptp(rows[0], axis=0).any() else equal - 1
        counts.append(margin if margin >= LEAST else 0)
    return counts[0], counts[1]


class _Seam(NamedTuple):
    first: int  # row in which the photograph begins, counted from the end of the margin
    straight: bool  # it begins there all along
    sure: bool  # as only a photograph does
    told: bool  # it has noise, or is seen to begin


def _seam(margin: Floats, part: Floats, compressed: bool) -> _Seam:
    """Return where a photograph begins behind a margin; both run inwards, (rows, N, 3).

    In a JPEG the blocks that hold the seam are no longer of one color, and what is left of noise may be few steps.
    """
    color = margin[-1]
    if np.ptp(color, axis=0).any():  # repeated
        same = np.median(np.abs(part[1] - color).max(-1)) <= STEP and _is_noisy(part[:RING])
        return _Seam(0, same, same, same)
    away = np.linalg.norm(luv_from_srgb(part[: SEAM + RING]) - luv_from_srgb(color[None, :1]), axis=-1)
    groups = np.array_split(away, max(1, away.shape[1] // GROUP), axis=1)
    away = np.stack([np.median(group, axis=1) for group in groups], axis=1)
    inside = np.median(away[SEAM:], axis=0)
    seen = inside > UNSEEN
    some, shown = seen.mean() >= SOME, bool(seen.mean() >= SEEN)
    first, straight, sharp = _begin(away[:, seen] / inside[seen], compressed) if some else (0, False, False)
    noisy = _is_noisy(part[first : first + RING])
    differ = noisy or (compressed and _varies(part[first + SEAM : first + SEAM + 2 * RING]))
    return _Seam(first, straight if shown else differ, differ and (sharp or not shown), noisy or shown)


def _begin(away: Floats, compressed: bool) -> tuple[int, bool, bool]:
    """Return in which row colors leave the margin's, whether they do all along, and whether at once.

    ``away`` is how far each group of each row has gone from the margin's color to the photograph's, (rows, groups).
    """
    course, begins = np.median(away, axis=1), np.argmax(away >= 0.5, axis=0)
    first = int(np.argmax(course >= 0.5))
    straight = (np.abs(begins - first) <= 1).mean() >= STRAIGHT
    if not straight:  # a dark part before black begins later
        first = int(np.percentile(begins, 100 * FEWER))
    if first > SEAM:
        return 0, False, False
    near = np.median(course[first : first + RING])
    after, before = SHARPER
    behind = compressed and first > 0 and course[first] >= after * near and course[first - 1] <= before * near
    return first, bool(straight), bool(behind or course[0] >= SHARP * np.median(course[:RING]))


def _is_noisy(ring: Floats) -> bool:
    """Return whether values go up and down from row to row all along, as those of a photograph do."""
    steps = np.diff(ring, axis=0)
    turns = (steps[1:] * steps[:-1] < 0).any(-1).mean(0)
    return sum(bool(each.mean() >= TURNS) for each in np.array_split(turns, PARTS)) >= PARTS - 1


def _varies(rows: Floats) -> bool:
    """Return whether values differ all along, by what a JPEG has left of light and noise."""
    return sum(bool(np.ptp(each, axis=(0, 1)).any()) for each in np.array_split(rows, PARTS, axis=1)) >= PARTS - 1


def _is_near(color: Floats, part: Floats) -> bool:
    """Return whether a photograph has a backdrop of this color at its border."""
    backdrop = estimate_backdrop(part)
    surface = backdrop.luv((48, max(1, 48 * part.shape[1] // part.shape[0])))
    border = np.concatenate([surface[0], surface[-1], surface[:, 0], surface[:, -1]])
    away = np.linalg.norm(border - luv_from_srgb(color[None, None])[0], axis=-1)
    shown = backdrop.border_share >= SHOWN and backdrop.noise <= QUIET
    return bool(shown and away.min() <= NEAR and away.max() <= FAR)
