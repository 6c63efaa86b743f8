"""The window in which a subject that is small on a plain backdrop is looked at, as if that were the picture.

What the steps of a chain know of a backdrop (its surface and noise, how far shadows reach, the copy they work on) would
come from the whole canvas otherwise, and a network would see little of the subject.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.outlined import outlined
from bgkit.backdrop.surface import estimate_backdrop
from bgkit.color import dot, luv_of_picture
from bgkit.deblocking import SIDE
from bgkit.extent import subject_box
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced

__all__ = ["subject_window"]

LONG = 1000  # px, long side of the copy on which the subject is looked for
DIFFERENT = 3.0  # dE*uv from the backdrop: less than any key's tolerance, noise apart
FAINT = 0.6  # dE*uv across a hard contour: less than any key takes for a thing
SPECK = 1e-4  # of the box around the large pieces: what is smaller, chains take for dirt too (remove_small)
MARGIN = 0.15  # of the box's longer side: backdrop that the window shows around its subject
SMALL = 0.5  # of the picture, that the window covers at most; those of our studio shots cover 0.58 and more
LEAST = 64  # px, shorter side of a window that shows enough backdrop to fit one


def subject_window(image: NDArray[Any]) -> tuple[slice, slice] | None:
    """Return the rows and columns of a window around all that differs from a plain backdrop.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.

    Returns
    -------
    tuple of slice or None
        The box around all pieces but specks, with 15 % of its longer side on each side, in whole blocks of 8 px. None
        where that is more than half of the picture, the backdrop is not plain, or there is no subject, and where more
        of it, so faint that only its hard contour shows, is beyond the window: a white shirt around a dark tie.
    """
    if min(image.shape[:2]) < LEAST or not estimate_backdrop(image).plain:
        return None
    small, different = _different(image)
    box = _box(different, image.shape)
    if box is None:
        return None
    margin = MARGIN * max(side.stop - side.start for side in box)
    rows, cols = (
        slice(
            max(0, math.floor((side.start - margin) / SIDE) * SIDE),
            min(length, math.ceil((side.stop + margin) / SIDE) * SIDE),
        )
        for side, length in zip(box, image.shape[:2], strict=True)
    )
    height, width = rows.stop - rows.start, cols.stop - cols.start
    if height * width > SMALL * image.shape[0] * image.shape[1] or min(height, width) < LEAST:
        return None
    things = outlined(small, estimate_backdrop(image).plate(small.shape), different.astype(np.float32), FAINT)
    down, across = np.divide(small.shape[:2], image.shape[:2])
    things[
        int(rows.start * down) : math.ceil(rows.stop * down), int(cols.start * across) : math.ceil(cols.stop * across)
    ] = 0
    return None if things.any() else (rows, cols)


def _different(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a copy of at most 1000 px, and where it differs from the backdrop."""
    backdrop, (rows, cols) = estimate_backdrop(image), image.shape[:2]
    scale = min(1.0, LONG / max(rows, cols))
    size = max(1, round(cols * scale)), max(1, round(rows * scale))
    small = reduced(image, size[::-1]) if scale < 1 else image
    off = luv_of_picture(cv2.blur(small, (3, 3))) - backdrop.luv(small.shape[:2]).astype(np.float32)
    return small, dot(off, off) > DIFFERENT**2 + backdrop.noise**2


def _box(different: NDArray[Any], shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the box around what differs, px of a picture of ``shape``, of which ``different`` is a copy."""
    if not different.any():
        return None
    pieces = find_pieces(different, connectivity=8)
    kept = (pieces.area >= SPECK * math.prod(subject_box(different)))[pieces.label] & different
    spans = (np.flatnonzero(kept.any(axis)) for axis in (1, 0))
    top, left = (
        slice(int(span[0] * whole / part), math.ceil((span[-1] + 1) * whole / part))
        for span, whole, part in zip(spans, shape[:2], different.shape, strict=True)
    )
    return top, left
