"""To a smaller copy of a picture and back to its pixels: where they lie between, and values that follow colors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit._ext.affine import apply_affine
from bgkit._ext.areas import reduce
from bgkit.threads import threads

__all__ = ["apply_functions", "between", "reduced"]

ALONE = 4_000_000  # pixels up to which one thread reduces: others would wait for their next turn longer than they work
BAND = 256  # rows that are done at a time, so that the interpolated functions stay small


def reduced(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return a copy of ``size``, rows and columns, each pixel the mean of the area that it covers.

    The same bits as OpenCV's ``INTER_AREA``, in less than half of its time where the picture has one channel or three
    and not both sides are divided by whole numbers.

    Parameters
    ----------
    picture : float32 array of shape (M, N) or (M, N, 3), or of any kind that OpenCV takes
    size : (int, int)
        What is larger than the picture is interpolated along that side.
    """
    scales = [whole / part for whole, part in zip(picture.shape, size, strict=False)]
    layout = picture.shape[2:], picture.strides[1:]
    usual = picture.dtype == np.float32 and layout in (((3,), (12, 4)), ((), (4,)))
    if not usual or min(scales) <= 1 or all(scale == round(scale) for scale in scales):
        return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    small = np.empty((*size, *picture.shape[2:]), np.float32)
    workers = threads() if picture.shape[0] * picture.shape[1] > ALONE else 1
    scratch = np.empty((workers, 3 * size[1] + 1), np.float32)
    rows, cols = (_covered(whole, part) for whole, part in zip(picture.shape, size, strict=False))
    if small.ndim == 2:
        reduce(picture[:, :, None], *rows, *cols, scratch, small[:, :, None], workers)
    else:
        reduce(picture, *rows, *cols, scratch, small, workers)
    return small


def _covered(whole: int, part: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return, for each of ``part`` cells of a row of ``whole`` pixels, the first pixel that it covers, and the weights.

    int32 (part,) the first, int32 (part,) where the cell's weights end, float32 the weights of all cells in turn.
    """
    scale = 1 / (part / whole)
    start = np.arange(part) * scale
    end, width = start + scale, np.minimum(scale, whole - start)
    last = np.minimum(np.floor(end), whole - 1)
    inner = np.minimum(np.ceil(start), last)
    before, after = inner - start > 1e-3, end - last > 1e-3  # as OpenCV has it: less of a pixel does not count
    first, stop = (inner - before).astype(np.int32), (last + after).astype(np.int32)
    cell = np.repeat(np.arange(part), stop - first)
    ends = np.cumsum(stop - first, dtype=np.int32)
    pixel = np.arange(len(cell)) - np.repeat(ends - (stop - first), stop - first) + first[cell]
    share = np.ones(len(cell))
    share = np.where(pixel < inner[cell], inner[cell] - start[cell], share)
    share = np.where(pixel >= last[cell], np.minimum(np.minimum(end - last, 1), width)[cell], share)
    return first, ends, (share / width[cell]).astype(np.float32)


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
    found, nobody = [], np.empty((0, 0), np.uint8)
    for top in range(0, len(image), BAND):
        rows = slice(top, top + BAND)
        if where is not None and not where[rows].any():
            continue
        band = out[rows] if where is None else out[: len(image[rows])]
        wanted = nobody if where is None else np.ascontiguousarray(where[rows]).view(np.uint8)
        apply_affine(image[rows], grid, upper[rows], down[rows], left, right, wanted, scratch, band, threads())
        if where is not None:
            found.append(band[where[rows]])
    return out if where is None else np.concatenate([out[:0, 0], *found])
