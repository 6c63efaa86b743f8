"""How large the subject is: what the sizes of stages refer to.

A radius or an area in shares of the picture would depend on how much canvas lies around the subject: on a canvas of
1:12 a band of 5 per mille of the picture swallows a chair's legs. In shares of the box around what was found, a shot
and the same shot padded are treated alike, and so are 0.3 and 24 megapixels.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.pieces import find_pieces

__all__ = ["subject_box"]

SIDE = 1000  # px, to which a larger mask is reduced before its pieces are looked for: 3 ms instead of 30 at 12 MP
SPECK = 0.01  # of the largest piece; what is smaller is no part of the subject


def subject_box(mask: NDArray[Any]) -> tuple[int, int]:
    """Return the rows and columns of the box around the subject.

    Parameters
    ----------
    mask : array of shape (M, N)
        Probability of foreground; the subject is all pieces of ``mask >= 0.5`` but for specks.

    Returns
    -------
    tuple of int
        Those of the picture where there is no subject.

    Examples
    --------
    >>> mask = np.zeros((30, 400))
    >>> mask[5:25, 40:90] = 1
    >>> subject_box(mask)
    (20, 50)
    """
    rows, cols = _found(mask)
    return rows.stop - rows.start, cols.stop - cols.start


def _found(mask: NDArray[Any]) -> tuple[slice, slice]:
    """Return the rows and columns of the box; all of them where there is no subject."""
    part = (mask if mask.dtype == bool else mask >= 0.5).view(np.uint8)
    box = slice(0, mask.shape[0]), slice(0, mask.shape[1])
    left, top, width, height = cv2.boundingRect(part)
    if width == 0:
        return box
    cut = slice(top, top + height), slice(left, left + width)
    while True:
        box = _within(box, cut)
        part = part[cut]
        cut = _without_specks(part)
        if part[cut].shape == part.shape:  # else: of a large canvas with specks, seen in finer detail
            return box


def _within(box: tuple[slice, slice], cut: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, cols = (
        slice(outer.start + inner.start, outer.start + min(inner.stop, outer.stop - outer.start))
        for outer, inner in zip(box, cut, strict=True)
    )
    return rows, cols


def _without_specks(part: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the box of the large pieces, by a reduced mask in which every pixel of ``part`` still shows."""
    seen, factor = np.ascontiguousarray(part), max(part.shape) / SIDE
    if factor > 1:
        cols, rows = (max(1, round(side / factor)) for side in part.shape[::-1])
        seen = cv2.resize(255 * seen, (cols, rows), interpolation=cv2.INTER_AREA)
    pieces = find_pieces(seen > 0, connectivity=8)
    pieces.area[0] = 0
    large = pieces.area >= max(SPECK * pieces.area.max(), 1)
    rows, cols = (
        slice(int(first[large].min() * scale), math.ceil((first + size)[large].max() * scale))
        for first, size, scale in (
            (pieces.top, pieces.height, part.shape[0] / seen.shape[0]),
            (pieces.left, pieces.width, part.shape[1] / seen.shape[1]),
        )
    )
    return rows, cols
