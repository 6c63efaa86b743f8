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

__all__ = ["without_margin"]

Floats = NDArray[Any]

LEAST = 8  # px of a margin on one side
SMALLEST = 64  # px of the shorter side of what it surrounds
RING = 16  # px along the edge of the photograph, which are to show noise
QUIET, SHOWN = 2.5, 0.25  # dE*uv of noise at most, share of the border at least: the photograph shows a backdrop
NEAR, FAR = 12.0, 25.0  # dE*uv from the color to the backdrop along the border, where it is nearest and farthest
UNSEEN, SHARP = 2.0, 0.7  # dE*uv of a seam that nobody sees; of any other, what happens from one row to the next
SEAM = 16  # px of a JPEG's block with its chroma
SHARPER = np.array([0.85, 0.15])  # of any other seam, after and before it, behind the end of a margin in a JPEG
MOST = 0.9  # of a row that shows something: the rest may be as the margin
STEP = 4 / 255  # median difference of two neighboring rows of a photograph
PARTS = 8  # of its length; all but one, where it may be clipped, show noise, which a drawn wall beside a subject lacks
TURNS = 0.02  # of pixels that differ from both neighbors in one direction: photographs 0.08 to 0.25, drawn walls 0


def without_margin(image: Floats) -> tuple[slice, slice] | None:
    """Return the rows and columns of the photograph within a margin.

    A side has a margin if its outermost 8 rows or more are equal: of one color, or each pixel the one beside it.
    All along it the photograph must have noise: beside a subject, a drawn wall has none. One color counts only if the
    photograph has a backdrop near this color and begins from one row to the next: a pale box on white, however straight
    it stands, was seen by a lens and has softer edges. Repeated rows count if the first one that is not is of the same
    scene. In a JPEG the photograph may begin up to 15 px later, and values that differ stand for noise if a seam is
    seen on some side.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.

    Returns
    -------
    tuple of slice or None
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
    margins = [each for each in beyond if len(each[0])]
    seams = [_seam(*each, compressed) for each in margins]
    found = [seam for seam in seams if seam is not None]
    if len(found) < max(1, len(seams) - 1) or not any(seam.sure for seam in found):  # one side may be a cut subject's
        return None
    firsts = iter(seam.first if seam else _shown(*each, compressed) for seam, each in zip(seams, margins, strict=True))
    up, down, before, after = (next(firsts) if len(margin) else 0 for margin, _ in beyond)
    rows, cols = slice(top + up, rows.stop - down), slice(left + before, cols.stop - after)
    colors = [margin[0, 0] for margin, _ in beyond if len(margin) and not np.ptp(margin[0], axis=0).any()]
    return (rows, cols) if all(_is_near(color, image[rows, cols]) for color in colors) else None


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
    sure: bool  # it has noise, or is seen to begin


def _seam(margin: Floats, part: Floats, compressed: bool) -> _Seam | None:
    """Return where a photograph begins behind a margin; None if none does.

    Both run inwards, (rows, N, 3). In a JPEG the blocks that hold the seam are no longer of one color, and what is left
    of noise may be few steps.
    """
    color = margin[-1]
    if np.ptp(color, axis=0).any():  # repeated
        same = np.median(np.abs(part[1] - color).max(-1)) <= STEP
        return _Seam(0, True) if same and _is_noisy(part[:RING]) else None
    rows = np.median(part[: SEAM + RING], axis=1)[:, None]
    away = np.linalg.norm(luv_from_srgb(rows)[:, 0] - luv_from_srgb(color[None, :1])[0], axis=-1)
    unseen = bool(away[:RING].max() <= UNSEEN)
    first = _shown(margin, part, compressed) if unseen else _first_sharp(away, compressed)
    if first is None:
        return None
    noisy = _is_noisy(part[first : first + RING])
    behind = part[first + SEAM : first + SEAM + 2 * RING]
    return _Seam(first, noisy or not unseen) if noisy or (compressed and _varies(behind)) else None


def _first_sharp(away: Floats, compressed: bool) -> int | None:
    """Return the row in which colors leave the margin's at once, from their distances row by row."""
    if away[0] >= SHARP * np.median(away[:RING]) and (away[0] >= UNSEEN / 2 or not compressed):
        return 0
    for row in range(1, SEAM if compressed else 1):
        after, before = SHARPER * np.median(away[row : row + RING])
        if away[row] >= max(after, UNSEEN / 2) and away[row - 1] <= before:
            return row
    return None


def _shown(margin: Floats, part: Floats, compressed: bool) -> int:
    """Return how many rows after the end of a margin something shows all along, also where a subject is cut; or 0."""
    if not compressed or np.ptp(margin[-1], axis=0).any():
        return 0
    away = np.linalg.norm(luv_from_srgb(part[:SEAM]) - luv_from_srgb(margin[-1:, :1]), axis=-1)
    return int(np.argmax((away > UNSEEN / 2).mean(1) >= MOST))


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
