"""Change the size of an array as the authors of a network did.

``area``, ``bilinear``, ``bicubic`` and ``nearest`` are OpenCV's: all but ``area`` look at a few
pixels around each sample, so that strong shrinking skips most of the picture (what torch's
``interpolate`` and many published scripts do). ``smooth-bilinear``, ``smooth-bicubic`` and
``lanczos`` are Pillow's: the kernel widens with the shrinking. ``sparse-area`` and ``whole-area`` are bgkit's own, for
strong shrinking at the speed of memory; the second counts in whole numbers, so that a network which does so, too, is
given the same bits on every processor and in the browser. Float32 in, float32 out.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit._ext.areas import reduce
from bgkit.imagefile import resized
from bgkit.threads import limit_opencv, threads

__all__ = ["resample"]

Array = NDArray[Any]

SMOOTH = {"smooth-bilinear": "bilinear", "smooth-bicubic": "bicubic", "lanczos": "lanczos"}  # kind -> Pillow's filter
SPARSE = 4  # rows that sparse-area and whole-area look at
PARTS = 256  # of a pixel, in which whole-area weighs: 255 levels, rows and columns stay below 2**24, exact in float32
BAND = 32  # rows that whole-area makes at a time
PLAIN = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST_EXACT}


def resample(values: Array, shape: tuple[int, int], kind: str) -> Array:
    """Return ``values``, float32 (M, N) or (M, N, C), resized to ``shape`` (rows, columns).

    ``area`` means the mean of what a pixel covers where a side shrinks, bilinear where it grows;
    ``sparse-area`` the same, of at most four of the rows that it covers; ``whole-area`` that, of 256 levels.
    """
    if kind == "whole-area":
        return _whole_area(values, shape)
    if values.shape[:2] == tuple(shape):
        return values
    if kind in SMOOTH:
        return _smooth(values, shape, kind)
    limit_opencv()
    if kind == "sparse-area":
        if values.shape[0] > SPARSE * shape[0]:
            values = _fewer_rows(values, shape[0])
        kind = "area"
    if kind == "area":
        least = (min(values.shape[0], shape[0]), min(values.shape[1], shape[1]))
        if least != values.shape[:2]:
            values = _area(values, least)
        kind = "bilinear"
    return values if values.shape[:2] == tuple(shape) else _resize(values, shape, PLAIN[kind])


def _resize(values: Array, shape: tuple[int, int], flag: int) -> Array:
    return cv2.resize(values, (shape[1], shape[0]), interpolation=flag)


def _area(values: Array, shape: tuple[int, int]) -> Array:
    """Return the mean of what each pixel of ``shape`` covers; no side grows.

    OpenCV's INTER_AREA walks columns first and costs 22 ms for 12 MP to 256 x 256. Rows first, each a
    weighted sum of whole rows, is bound by memory alone: 8 ms with what is left for INTER_AREA to do.
    """
    step = values.shape[0] / shape[0]
    if step < 2:
        return _resize(values, shape, cv2.INTER_AREA)
    flat = values.reshape(values.shape[0], -1)
    fewer = np.empty((shape[0], flat.shape[1]), np.float32)
    for row in range(shape[0]):
        top, bottom = row * step, (row + 1) * step
        covered = np.arange(int(top), min(values.shape[0], math.ceil(bottom - 1e-9)))
        weights = np.minimum(covered + 1, bottom) - np.maximum(covered, top)
        weights = (weights / weights.sum()).astype(np.float32)
        np.matmul(weights, flat[covered[0] : covered[-1] + 1], out=fewer[row])
    return _resize(fewer.reshape(shape[0], *values.shape[1:]), shape, cv2.INTER_AREA)


def _fewer_rows(values: Array, rows: int) -> Array:
    """Return the means of four rows each, spread evenly over those that a row of the answer covers.

    Reading 12 MP whole takes half as long as the embedded network. A third of the rows, 48 of 144 MB, takes 2.6 ms
    in place of 7 on one thread, and moves the mask of noisy pictures by 0.0008 in the mean.
    """
    flat = values.reshape(values.shape[0], -1)
    seen = _spread(values.shape[0], rows)
    fewer = np.empty((rows, flat.shape[1]), np.float32)

    def add_rows(first: int, last: int) -> None:
        for row in range(first, last):
            np.add(flat[seen[row, 0]], flat[seen[row, 1]], out=fewer[row])
            for covered in seen[row, 2:]:
                fewer[row] += flat[covered]
        fewer[first:last] *= np.float32(1 / SPARSE)

    edges = np.linspace(0, rows, threads() + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(add_rows, edges[:-1], edges[1:]))
    return fewer.reshape(rows, *values.shape[1:])


def _spread(old: int, new: int) -> NDArray[np.intp]:
    """Return four of the rows that each of ``new`` rows covers of ``old``, evenly spread: (new, 4)."""
    step, place = old // (SPARSE * new), np.arange(new)[:, None]
    return ((2 * place + 1) * old - (SPARSE - 1) * step * new) // (2 * new) + step * np.arange(SPARSE)


def _whole_area(values: Array, shape: tuple[int, int]) -> Array:
    """Return means of levels 0..255 by weights in 256ths: sums are exact, in whatever order, until the last product."""
    sparse = values.shape[0] > SPARSE * shape[0]
    rows = _spread(values.shape[0], shape[0]).ravel() if sparse else np.arange(values.shape[0])
    picture = np.atleast_3d(values)
    sums = np.empty((*shape, picture.shape[2]), np.float32)
    first, ends, weights = _parts(len(rows), shape[0])
    across = _parts(values.shape[1], shape[1])

    def make_rows(top: int) -> None:
        band = slice(top, top + BAND)
        starts, begin = first[band], ends[top - 1] if top else 0
        stops = ends[band] - begin
        last = starts[-1] + stops[-1] - (stops[-2] if len(stops) > 1 else 0)
        levels = picture[rows[starts[0] : last]] * np.float32(255)
        np.rint(levels, out=levels)
        scratch = np.empty((1, 3 * shape[1] + 1), np.float32)
        reduce(levels, starts - starts[0], stops, weights[begin:], *across, scratch, sums[band], 1)

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(make_rows, range(0, shape[0], BAND)))
    sums *= np.float32(1 / (255 * PARTS**2))
    return sums.reshape(*shape, *values.shape[2:])


def _parts(old: int, new: int) -> tuple[Array, Array, Array]:
    """Return what each of ``new`` pixels is made of, as :func:`bgkit._ext.areas.reduce` wants it; weights in 256ths.

    The mean of what it covers where a side shrinks, linear where it grows.
    """
    place = np.arange(new)
    if old <= new:
        at = np.clip((2 * place + 1) * old - new, 0, 2 * new * (old - 1))  # in parts of a pixel, 2 * new of them
        first, rest = np.divmod(at, 2 * new)
        after = (PARTS * rest + new) // (2 * new)
        count = np.where(after > 0, 2, 1)
        weights = np.stack([PARTS - after, after], 1)[np.arange(2) < count[:, None]]
    else:
        first, count = place * old // new, -(-(place + 1) * old // new) - place * old // new
        start = np.repeat(place * old, count)  # in parts of a pixel, new of them
        pixel = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
        ends = np.clip(np.stack([pixel * new, (pixel + 1) * new]) - start, 0, old)
        before, until = (2 * PARTS * ends + old) // (2 * old)
        weights = until - before
    return first.astype(np.int32), np.cumsum(count, dtype=np.int32), weights.astype(np.float32)


def _smooth(values: Array, shape: tuple[int, int], kind: str) -> Array:
    """Pillow's resampling, channel by channel in float32.

    A side that shrinks more than 8 times is first brought to 4 times its new length by area, as
    Pillow's ``reducing_gap`` does (3 is "almost indistinguishable from fair resampling"): Lanczos alone
    would look at each of 12 million pixels six times.
    """
    least = [4 * new if old > 8 * new else old for old, new in zip(values.shape, shape, strict=False)]
    if least != list(values.shape[:2]):
        values = _area(values, (least[0], least[1]))
    with ThreadPoolExecutor(threads()) as pool:
        channels = np.moveaxis(np.atleast_3d(values), 2, 0)
        done = np.dstack(list(pool.map(lambda channel: resized(channel, shape, SMOOTH[kind]), channels)))
    return done if values.ndim == 3 else done[:, :, 0]
