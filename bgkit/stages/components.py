"""Mend a mask piece by piece: fill holes, remove specks, keep the largest.

All three are attribute filters: every level set of the mask is treated as a hard mask, and the results are stacked.
OpenCV's components do that for masks of 0 and 1, and for what is within a thousandth of either in soft ones; one
union-find pass over the sorted pixels does it for the rest. Areas are shares of the box around the subject, so that one
pipeline file serves 0.3 and 24 megapixels and any canvas.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated

import cv2
import numpy as np

from bgkit._ext.components import SETTLED, UNSEEN, join_bands, join_rest, sort_keys, spread_levels
from bgkit._ext.labels import look_up
from bgkit.extent import subject_box
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.pieces import find_pieces
from bgkit.stage import stage
from bgkit.threads import threads

Share = Annotated[float, Range(0, 100, "% of the box around the subject", ui=(0, 2))]

BAND = 64  # rows, at least, for a thread of its own
LEAST = np.float32(0.00101)  # so near to 0 or 1 is 0 or 1: networks and pools of odds give neither, and sorting is slow


@stage(gives="mask")
def fill_holes(mask: Array, *, max_area: Share = 0.1) -> Array:
    """Fill the background that the subject encloses, up to a size.

    The gap under a chair or between arm and body is enclosed as well, and is background. Only its color shows that, and
    a mask has no color; hence the limit. 100 fills every hole.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        Hard or soft. A hole is 4-connected and does not reach the picture's border.
    max_area : float
        Largest hole to fill; larger fills larger gaps, right or wrong.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Nowhere below ``mask``.

    References
    ----------
    M. Wilkinson and J. Roerdink, Fast morphological attribute operations using Tarjan's union-find algorithm,
    ISMM 2000.

    Examples
    --------
    >>> fill_holes([[1, 1, 1], [1, 0, 1], [1, 1, 0.0]], max_area=12)
    array([[1., 1., 1.],
           [1., 1., 1.],
           [1., 1., 0.]], dtype=float32)
    """
    limit = mask.size + 1 if max_area == 100 else math.floor(_share_of_box(mask, max_area)) + 1
    if _is_hard(mask):
        if limit > mask.size:
            return _fill_all(mask)
        return 1 - _open_ground(mask, limit)
    return _filter_levels(mask, limit, ground=1.0, diagonal=False, frame=True, core=_open_ground(mask, limit))


@stage(gives="mask")
def remove_small(mask: Array, *, area: Share = 0.05) -> Array:
    """Remove pieces of the mask that are smaller than an area.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        Hard or soft. Pieces are 8-connected.
    area : float
        Smallest piece that stays; larger removes larger pieces.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Nowhere above ``mask``.

    References
    ----------
    L. Vincent, Morphological area openings and closings for grey-scale images, NATO ASI Shape in Picture, 1994.

    Examples
    --------
    >>> remove_small([[1, 1, 0, 1], [1, 1, 0, 0.0]], area=20)
    array([[1., 1., 0., 0.],
           [1., 1., 0., 0.]], dtype=float32)
    """
    limit = math.ceil(_share_of_box(mask, area))
    if _is_hard(mask):
        return _large(mask, limit)
    return _filter_levels(mask, limit, ground=0.0, diagonal=True, core=_large(mask, limit))


@stage(gives="mask")
def keep_largest(mask: Array, *, count: Annotated[int, Range(1, 1000, "pieces", ui=(1, 10))] = 1) -> Array:
    """Keep the largest pieces of the mask, and what is connected to them.

    The pieces are those of ``mask >= 0.5``. On a soft mask, each level set keeps its components that reach a kept
    piece, so that soft hair stays and a soft speck elsewhere goes. A mask below 0.5 everywhere becomes 0.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        Hard or soft. Pieces are 8-connected; of equal ones the higher, then the one further left wins.
    count : int
        How many pieces to keep; more keep smaller ones, too.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Nowhere above ``mask``.

    References
    ----------
    L. Vincent, Morphological grayscale reconstruction in image analysis, IEEE Trans. Image Processing 2(2), 1993.

    Examples
    --------
    >>> keep_largest([[1, 1, 0, 1], [1, 1, 0, 0.0]])
    array([[1., 1., 0., 0.],
           [1., 1., 0., 0.]], dtype=float32)
    """
    pieces = find_pieces(mask >= 0.5, connectivity=8)
    ranks = np.lexsort((pieces.left[1:], pieces.top[1:], -pieces.area[1:]))
    stay = np.zeros(len(pieces.area), bool)
    stay[1 + ranks[:count]] = True
    core = _choose(pieces.label, stay)
    if _is_hard(mask):
        return np.where(core, mask, np.float32(0))
    return _filter_levels(mask, 1, ground=0.0, diagonal=True, core=core, unit=0)


def _share_of_box(mask: Array, percent: float) -> float:
    rows, cols = subject_box(mask)
    return percent / 100 * rows * cols


def _is_hard(mask: Array) -> bool:
    return bool(((mask == 0) | (mask == 1)).all())


def _fill_all(mask: Array) -> Array:
    """Fill what a flood from outside does not reach: OpenCV's, a third of the time of labels."""
    ground = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0).astype(np.uint8)
    cv2.floodFill(ground, None, (0, 0), 2, flags=4)
    return (ground[1:-1, 1:-1] != 2).astype(np.float32)


def _large(mask: Array, limit: int) -> Array:
    """Return 1 in the pieces of what is 1 that have ``limit`` pixels, elsewhere 0."""
    pieces = find_pieces(mask >= 1 - LEAST, connectivity=8)
    stay = pieces.area >= limit
    stay[0] = False
    return _choose(pieces.label, stay)


def _open_ground(mask: Array, limit: int) -> Array:
    """Return 1 in the pieces of what is 0 that have ``limit`` pixels or reach the frame, elsewhere 0."""
    pieces = find_pieces(mask <= LEAST, connectivity=4)
    stay = pieces.area >= limit
    stay[pieces.label[[0, -1], :]] = stay[pieces.label[:, [0, -1]]] = True
    stay[0] = False  # the subject
    return _choose(pieces.label, stay)


def _choose(labels: Array, chosen: Array) -> Array:
    out = np.empty(labels.shape, np.float32)
    look_up(labels, chosen.astype(np.float32), out, threads())
    return out


def _filter_levels(
    mask: Array, limit: int, *, ground: float, diagonal: bool, frame: bool = False, core: Array, unit: int = 1
) -> Array:
    """Lower each pixel towards ``ground`` to the level where its component has ``limit`` pixels or more.

    Enough is also to touch the frame, where ``frame`` counts, or the ``core``, which is 1 in whole components of a
    level, so that what touches them from above belongs to them. A pixel outside the core counts ``unit``.
    """
    state = np.full((mask.shape[0] + 2, mask.shape[1] + 2), UNSEEN, np.int32)
    if frame:
        state[[0, -1], :] = state[:, [0, -1]] = SETTLED
    settled = core != 0
    np.copyto(state[1:-1, 1:-1], SETTLED, where=settled)
    pending = (mask < 1 - LEAST if ground else mask > LEAST) & ~settled
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(pending, axis=1))])
    if start[-1]:
        _join(mask, pending, start, state, highest_first=not ground, diagonal=diagonal, unit=unit, limit=limit)
    out = np.empty_like(mask)
    spread_levels(mask, ground, state, out)
    return out


def _join(
    mask: Array,
    pending: Array,
    start: Array,
    state: Array,
    *,
    highest_first: bool,
    diagonal: bool,
    unit: int,
    limit: int,
) -> None:
    """Fill in ``state``: a band of rows for each thread, then what bands had to put off."""
    bands = max(1, min(threads(), mask.shape[0] // BAND))
    rows = np.arange(bands + 1) * mask.shape[0] // bands
    scratch, keys = np.empty((2, start[-1]), np.uint64)
    sort_keys(mask.view(np.uint32), pending.view(np.uint8), start, rows, highest_first, scratch, keys, bands)
    parts = [keys[first:last] for first, last in itertools.pairwise(start[rows])]
    put_off = np.zeros(bands, np.intp)
    edges = np.concatenate([[0], rows[1:-1] + 1, [state.shape[0]]])
    join_bands(keys, start[rows], edges, diagonal, unit, limit, state, np.empty(len(keys), np.int32), put_off, bands)
    rest = np.sort(np.concatenate([part[:count] for part, count in zip(parts, put_off, strict=True)]))
    join_rest(rest, mask, highest_first, diagonal, limit, state)
