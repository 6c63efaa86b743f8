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
Part = tuple[slice, slice]

LINE, THIN = 16, 2  # px of a line along the edge at most; of one along one side alone at least
EVEN, DISTINCT = 6.0, 10.0  # L* within a line at most, and from it to what it surrounds at least
MOST = 0.9  # of the groups of a line's first row that have its color
LEAST = 8  # px of a margin on one side
SMEARED, FEW = 4 / 255, 0.01  # by which lossy compression changes one color; of a row's pixels that differ by more
SMALLEST = 64  # px of the shorter side of what it surrounds
RING = 16  # px along the edge of the photograph, which are to show noise
QUIET, SHOWN = 2.5, 0.25  # dE*uv of noise at most, share of the border at least: the photograph shows a backdrop
NEAR, FAR = 12.0, 25.0  # dE*uv from the color to the backdrop along the border, where it is nearest and farthest
UNSEEN, CLEAR = 2.0, 5.0  # dE*uv of a seam that nobody sees; of one that no slow change of light makes
SEAM = 20  # px of a JPEG's block with its chroma, by which it may smear a seam, and of one that was scaled besides
GROUP = 8  # px along a side, whose median says how far colors are from the margin's
SOME, SEEN = 0.1, 0.5  # of the groups that a seam shows in: some, or all along
STRAIGHT, FEWER = 0.7, 0.25  # of these that begin within a pixel of it; the fewest that say what the ground is
SHARP = 0.7  # of a seam, what happens from one row to the next
SHARPER = 0.85, 0.15  # the same behind the end of a margin in a JPEG: after and before the first row
STEP = 4 / 255  # median difference of two neighboring rows of a photograph
PARTS = 8  # of its length; all but one, where it may be clipped, show noise, which a drawn wall beside a subject lacks
TURNS = 0.02  # of pixels that differ from both neighbors in one direction: photographs 0.08 to 0.25, drawn walls 0
FOUND = 0.5  # a probability of subject
FREE, ANY, MUCH = 0.5, 0.01, 0.02  # of a side without one, less; of what shows one, more; of it, beyond, at most
DEEP = 16  # th part of the shorter side: how deep a side is looked at


class Frame(NamedTuple):
    """What margins surround."""

    part: Part  # its rows and columns
    sure: bool  # whether it is a photograph by its pixels, or may be a thing that fills a rectangle


def find_frame(image: Floats) -> Frame | None:
    """Return the photograph within a margin, or what may be one.

    A line along the edge, as people draw around pictures and scanners leave, surely is none of it: up to 16 px of one
    color that end from one row to the next, all along.

    Otherwise a side has a margin if its outermost 8 rows or more are equal: of one color, which lossy compression may
    have smeared, or each pixel the one beside it. The photograph may begin up to 20 px later, as JPEG smears the seam,
    but all along the side in the same row.

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
    part, sure = (slice(0, image.shape[0]), slice(0, image.shape[1])), True
    for within in (_within_lines, _within_any, _within_lines):
        found = within(image[part])
        if found is not None:
            rows, cols = (slice(o.start + i.start, o.start + i.stop) for o, i in zip(part, found.part, strict=True))
            part, sure = (rows, cols), sure and found.sure
    return Frame(part, sure) if image[part].shape != image.shape else None


def _within_lines(image: Floats) -> Frame | None:
    """Return what is within lines along the edge, on some side at least."""
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
    if np.count_nonzero(lines) > 1:  # of a frame, which goes on before what is as dark
        width, color = int(np.median(lines[lines > 0])), sides[int(np.argmax(lines > 0))][0]
        goes_on = np.array([np.mean(_away(side[:1], color, light_alone=True) <= EVEN) >= MOST for side in sides])
        lines[goes_on & (lines == 0)] = width
    top, bottom, left, right = (int(line) for line in lines)
    return Frame((slice(top, len(image) - bottom), slice(left, image.shape[1] - right)), True)


def _line(rows: Floats, most: float) -> int:
    """Return how many rows a line takes whose color so much of the first row has, and the photograph has not; or 0."""
    away = _away(rows[: LINE + RING], rows[0], light_alone=True)
    if np.mean(away[0] <= EVEN) < most:
        return 0
    inside = np.median(away[LINE:], axis=0)
    seen = inside > DISTINCT
    if seen.mean() < STRAIGHT:
        return 0
    first, straight, course = _begin(away[:, seen], inside[seen])
    if not straight or first == 0 or not _is_soon(course, first):
        return 0
    return first if course[first] >= SHARPER[0] else first + 1


def _within_any(image: Floats) -> Frame | None:
    """Return what is within margins, whose rows are equal to the bit or, where that tells nothing, nearly so."""
    exact = _within_margins(image, 0.0)
    return exact if exact is not None and exact.sure else _within_margins(image, SMEARED) or exact


def _within_margins(image: Floats, by: float) -> Frame | None:
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
    compressed = blockiness(image) > NONE
    seams = [_seam(*each, by > 0, compressed) if len(each[0]) else None for each in beyond]
    found = [seam for seam in seams if seam is not None]
    least = max(1, len(found) - 1)  # one side may be a cut subject's
    if sum(seam.straight or seam.sure for seam in found) < least or not any(seam.told for seam in found):
        return None
    up, down, before, after = (0 if seam is None else seam.first for seam in seams)
    where = slice(top + up, rows.stop - down), slice(left + before, cols.stop - after)
    colors = [margin[0, 0] for margin, _ in beyond if len(margin) and _is_plain(margin[0], by)]
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
    beyond = np.count_nonzero(mask > FOUND) - np.count_nonzero(found)
    if found.mean() <= ANY or beyond > MUCH * np.count_nonzero(found):
        return False
    depth = max(1, min(found.shape) // DEEP)
    sides = found[:depth], found[-depth:], found[:, :depth], found[:, -depth:]
    return sum(bool(side.mean() < FREE) for side in sides) >= len(sides) / 2


def _sides(image: Floats, by: float) -> tuple[int, int]:
    """Return how many of the first and of the last rows are a margin; a first row that differs is the photograph's."""
    counts = []
    for rows in (image, image[::-1]):
        if _is_plain(rows[0], by):
            color = np.median(rows[0], axis=0)
            margin = next((index for index in range(1, len(rows)) if not _is_plain(rows[index], by, color)), len(rows))
        elif by == 0:
            equal = next((index for index in range(1, len(rows)) if (rows[index] != rows[0]).any()), len(rows))
            margin = equal - 1
        else:
            margin = 0
        counts.append(margin if margin >= LEAST else 0)
    return counts[0], counts[1]


def _is_plain(row: Floats, by: float, color: Floats | None = None) -> bool:
    """Return whether all pixels of a row but few have one color, which may be given, or differ ``by`` that little."""
    away = np.abs(row - (np.median(row, axis=0) if color is None else color)).max(-1)
    return bool(away.max() == 0 if by == 0 else (away > by).mean() <= FEW)


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
        same = np.median(np.abs(part[1] - color).max(-1)) <= STEP and _is_noisy(part[:RING])
        return _Seam(0, same, same, same)
    away = _away(part[: SEAM + RING], color)
    inside = np.median(away[SEAM:], axis=0)
    seen = inside > (CLEAR if smeared else UNSEEN)
    some, shown = seen.mean() >= SOME, bool(seen.mean() >= SEEN)
    first, straight, course = _begin(away[:, seen], inside[seen]) if some else (0, False, np.ones(SEAM))
    if smeared:
        found = straight and shown and _is_soon(course, first)
        return _Seam(first, found, False, found)
    sharp = _is_at_once(course, first, compressed)
    noisy = _is_noisy(part[first : first + RING])
    differ = noisy or (compressed and _varies(part[first + SEAM : first + SEAM + 2 * RING]))
    return _Seam(first, straight if shown else differ, differ and (sharp or not shown), noisy or shown)


def _away(rows: Floats, color: Floats, *, light_alone: bool = False) -> Floats:
    """Return how far colors are from the median of some, dE*uv or L*, by groups along the rows: (rows, groups).

    L* alone is for what is thin: JPEG smears its color over 16 px.
    """
    groups = np.array_split(rows, max(1, rows.shape[1] // GROUP), axis=1)
    medians = np.stack([np.median(group, axis=1) for group in groups], axis=1)
    off = luv_from_srgb(medians) - luv_from_srgb(np.median(color, axis=0)[None, None])
    return np.abs(off[..., 0]) if light_alone else np.linalg.norm(off, axis=-1)


def _begin(away: Floats, inside: Floats) -> tuple[int, bool, Floats]:
    """Return in which row colors leave the margin's, whether they do all along, and their course.

    ``away`` is how far each group of each row is from the margin's color, (rows, groups), ``inside`` each group of the
    photograph: of its ground, where it has both ground and subject.
    """
    away = away / np.minimum(inside, np.median(inside))
    course, begins = np.median(away, axis=1), np.argmax(away >= 0.5, axis=0)
    first = int(np.argmax(course >= 0.5))
    straight = bool((np.abs(begins - first) <= 1).mean() >= STRAIGHT)
    if not straight:  # a dark part before black begins later
        first = int(np.percentile(begins, 100 * FEWER))
    return (first, straight, course) if first <= SEAM else (0, False, course)


def _is_at_once(course: Floats, first: int, compressed: bool) -> bool:
    """Return whether colors go all the way from one row to the next, in a JPEG also behind the end of a margin."""
    if course[0] >= SHARP * np.median(course[:RING]):
        return True
    after, before = np.multiply(SHARPER, np.median(course[first : first + RING]))
    return bool(compressed and first > 0 and course[first] >= after and course[first - 1] <= before)


def _is_soon(course: Floats, first: int) -> bool:
    """Return whether colors go all the way within three rows."""
    after, before = np.multiply(SHARPER, np.median(course[first : first + RING]))
    return bool(course[first + 1] >= after and (first < 2 or course[first - 2] <= before))


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
