"""The photograph within what was put around it: lines, margins, one within the other.

A thing that fills a rectangle, straight on one color, looks the same as a photograph within a margin: a box, a book's
cover, a picture in its frame. Where the pixels do not tell, a network does, by what it finds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.line import within_lines
from bgkit.backdrop.margin import within_margins
from bgkit.backdrop.seam import Part

__all__ = ["Photograph", "find_photograph", "shows_subject"]

Floats = NDArray[Any]

FOUND = 0.5  # a probability of subject
FREE, ANY, MUCH = 0.5, 0.01, 0.02  # of a side without one, less; of what shows one, more; of it, beyond, at most
DEEP = 16  # th part of the shorter side: how deep a side is looked at


class Photograph(NamedTuple):
    """What lines and margins surround."""

    part: Part  # its rows and columns
    sure: bool  # whether it is one by its pixels, or may be a thing that fills a rectangle


def find_photograph(image: Floats) -> Photograph | None:
    """Return what lines along the edge surround, and margins within them, and lines within these.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.

    Returns
    -------
    Photograph or None
        None where nothing was put around.
    """
    whole = slice(0, image.shape[0]), slice(0, image.shape[1])
    part, sure = _inside(whole, within_lines(image)), True
    found = within_margins(image[part])
    if found is not None:
        part, sure = _inside(part, found[0]), found[1]
    part = _inside(part, within_lines(image[part]))
    return None if part == whole else Photograph(part, sure)


def _inside(part: Part, within: Part | None) -> Part:
    """Return the rows and columns of a part of a part."""
    if within is None:
        return part
    rows, cols = (slice(o.start + i.start, o.start + i.stop) for o, i in zip(part, within, strict=True))
    return rows, cols


def shows_subject(mask: Floats, part: Part) -> bool:
    """Return whether a part shows a subject, and is none: of its sides, half at least are free of one.

    Parameters
    ----------
    mask : float32 array of shape (M, N)
        What a network gives of the whole picture: the probability of foreground.
    part : tuple of slice
        As :func:`find_photograph` gives it.
    """
    found = mask[part] > FOUND
    beyond = np.count_nonzero(mask > FOUND) - np.count_nonzero(found)
    if found.mean() <= ANY or beyond > MUCH * np.count_nonzero(found):
        return False
    depth = max(1, min(found.shape) // DEEP)
    sides = found[:depth], found[-depth:], found[:, :depth], found[:, -depth:]
    return sum(bool(side.mean() < FREE) for side in sides) >= len(sides) / 2
