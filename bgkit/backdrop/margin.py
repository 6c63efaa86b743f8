"""The margin of one color, or of repeated pixels, that a shop or a layout program puts around a finished photograph.

It is no part of the scene. A backdrop that is fitted to it differs from the photograph's own, whose light, noise and
rounding it does not have, and a subject that the frame cuts goes on in it as stripes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.surface import estimate_backdrop
from bgkit.color import luv_from_srgb

__all__ = ["without_margin"]

Floats = NDArray[Any]

LEAST = 8  # px of a margin on one side
SMALLEST = 64  # px of the shorter side of what it surrounds
RING = 16  # px along the edge of the photograph, which are to show noise
QUIET, SHOWN = 2.5, 0.25  # dE*uv of noise at most, share of the border at least: the photograph shows a backdrop
NEAR, FAR = 12.0, 25.0  # dE*uv from the color to the backdrop along the border, where it is nearest and farthest
UNSEEN, SHARP = 2.0, 0.7  # dE*uv of a seam that nobody sees; of any other, what happens from one row to the next
STEP = 4 / 255  # median difference of two neighboring rows of a photograph
PARTS = 8  # of its length; all but one, where it may be clipped, show noise, which a drawn wall beside a subject lacks
TURNS = 0.02  # of pixels that differ from both neighbors in one direction: photographs 0.08 to 0.25, drawn walls 0


def without_margin(image: Floats) -> tuple[slice, slice] | None:
    """Return the rows and columns of the photograph within a margin.

    A side has a margin if its outermost 8 rows or more are equal: of one color, or each pixel the one beside it.
    All along it the photograph must have noise: beside a subject, a drawn wall has none. One color counts only if the
    photograph has a backdrop near this color and begins from one row to the next: a pale box on white, however straight
    it stands, was seen by a lens and has softer edges. Repeated rows count if the first one that is not is of the same
    scene.

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
    continued = [_continues(margin, inner) for margin, inner in beyond if len(margin)]
    found = sum(continued) >= max(1, len(continued) - 1)  # a subject that the frame cuts may hold most of a side
    colors = [margin[0, 0] for margin, _ in beyond if len(margin) and not np.ptp(margin[0], axis=0).any()]
    return (rows, cols) if found and all(_is_near(color, part) for color in colors) else None


def _sides(image: Floats) -> tuple[int, int]:
    """Return how many of the first and of the last rows are a margin; a first row that differs is the photograph's."""
    counts = []
    for rows in (image, image[::-1]):
        equal = next((index for index in range(1, len(rows)) if (rows[index] != rows[0]).any()), len(rows))
        margin = equal if not np.ptp(rows[0], axis=0).any() else equal - 1
        counts.append(margin if margin >= LEAST else 0)
    return counts[0], counts[1]


def _continues(margin: Floats, part: Floats) -> bool:
    """Return whether a photograph begins where a margin ends; both run inwards, (rows, N, 3)."""
    color, ring = margin[-1], part[:RING]
    if not _is_noisy(ring):
        return False
    if np.ptp(color, axis=0).any():  # repeated
        return bool(np.median(np.abs(part[1] - color).max(-1)) <= STEP)
    away = np.linalg.norm(
        luv_from_srgb(np.median(ring, axis=1)[:, None])[:, 0] - luv_from_srgb(color[None, :1])[0], axis=-1
    )
    return bool(away.max() <= UNSEEN or away[0] >= SHARP * np.median(away))


def _is_noisy(ring: Floats) -> bool:
    """Return whether values go up and down from row to row all along, as those of a photograph do."""
    steps = np.diff(ring, axis=0)
    turns = (steps[1:] * steps[:-1] < 0).any(-1).mean(0)
    return sum(bool(each.mean() >= TURNS) for each in np.array_split(turns, PARTS)) >= PARTS - 1


def _is_near(color: Floats, part: Floats) -> bool:
    """Return whether a photograph has a backdrop of this color at its border."""
    backdrop = estimate_backdrop(part)
    surface = backdrop.luv((48, max(1, 48 * part.shape[1] // part.shape[0])))
    border = np.concatenate([surface[0], surface[-1], surface[:, 0], surface[:, -1]])
    away = np.linalg.norm(border - luv_from_srgb(color[None, None])[0], axis=-1)
    shown = backdrop.border_share >= SHOWN and backdrop.noise <= QUIET
    return bool(shown and away.min() <= NEAR and away.max() <= FAR)
