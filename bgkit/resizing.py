"""From a smaller copy of a picture back to its pixels: where they lie between, and values that follow their colors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit._ext.affine import apply_affine
from bgkit.threads import threads

__all__ = ["apply_functions", "between"]

BAND = 256  # rows that are done at a time, so that the interpolated functions stay small


def between(coarse: int, fine: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return, for each of ``fine`` pixel centers, the coarse one before it (int32) and the way to the next, 0..1.

    >>> between(2, 4)
    (array([0, 0, 0, 1], dtype=int32), array([0.  , 0.25, 0.75, 0.  ], dtype=float32))
    """
    at = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
    before = at.astype(np.int32)
    return before, (at - before).astype(np.float32)


def apply_functions(image: NDArray[Any], grid: NDArray[Any], where: NDArray[Any] | None = None) -> NDArray[Any]:
    """Evaluate affine functions of color, interpolated from a coarse grid, at every pixel of the picture.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        0..1.
    grid : float32 array of shape (R, C, 4)
        Factors of red, green and blue, and a constant.
    where : bool array of shape (M, N), optional
        The pixels that are wanted; by default all.

    Returns
    -------
    float32 array of shape (M, N), or one value for each pixel that is wanted
        Clipped to 0..1.
    """
    upper, down = between(grid.shape[0], image.shape[0])
    left, right = between(grid.shape[1], image.shape[1])
    out = np.empty((len(image) if where is None else min(BAND, len(image)), image.shape[1]), np.float32)
    scratch = np.empty((min(BAND, len(image)), 4 * grid.shape[1]), np.float32)
    found = []
    for top in range(0, len(image), BAND):
        rows = slice(top, top + BAND)
        if where is not None and not where[rows].any():
            continue
        band = out[rows] if where is None else out[: len(image[rows])]
        apply_affine(image[rows], grid, upper[rows], down[rows], left, right, scratch, band, threads())
        if where is not None:
            found.append(band[where[rows]])
    return out if where is None else np.concatenate([out[:0, 0], *found])
