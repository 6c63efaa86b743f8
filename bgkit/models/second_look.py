"""A second look: where the subject is small, a network of fixed size sees it in few pixels.

The window around what the first look found goes through the network alone, enlarged; at the
window's inner edges the second answer fades into the first, so that no seam shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Window", "find_window"]

Array = NDArray[Any]

FOUND = 0.5  # a probability above it is subject
MARGIN = 0.3  # of what was found, seen around it on each side
SIDE = 512  # the map is searched at about this many rows and columns


@dataclass(frozen=True)
class Window:
    """Part of a picture: ``slices`` of rows and columns, and the weight (m, n) of what is seen in it."""

    slices: tuple[slice, slice]
    weights: Array


def find_window(mask: Array, share: float) -> Window | None:
    """Return the window around what is above 0.5 in a map (M, N) and three tenths of its size on each side.

    None if there is nothing above 0.5, or if the window covers more than ``share`` of the map.
    """
    step = max(1, max(mask.shape) // SIDE)
    subject = mask[::step, ::step] > FOUND
    if not subject.any():
        return None
    sides = [_side(np.flatnonzero(subject.any(1 - axis)) * step, step, mask.shape[axis]) for axis in (0, 1)]
    slices = (sides[0][0], sides[1][0])
    if np.prod([each.stop - each.start for each in slices]) > share * mask.size:
        return None
    return Window(slices, sides[0][1][:, None] * sides[1][1])


def _side(hits: NDArray[np.intp], step: int, end: int) -> tuple[slice, Array]:
    """Return the window along one side and its weights: 1 on what was found, falling to 0 over the margins."""
    first, last = int(hits[0]), min(end, int(hits[-1]) + step)
    margin = int(np.ceil(MARGIN * (last - first)))
    start, stop = max(0, first - margin), min(end, last + margin)
    position = np.arange(start, stop) + 0.5
    weights = np.ones(stop - start, np.float32)
    if start > 0:  # at the picture's border there is no seam
        weights = np.minimum(weights, (position - start) / (first - start))
    if stop < end:
        weights = np.minimum(weights, (stop - position) / (stop - last))
    return slice(start, stop), weights.astype(np.float32)
