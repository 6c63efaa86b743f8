"""The subject's own color, without the old background in it.

Foreground and background color are fitted to the compositing equation, smooth where alpha is
smooth, from the coarsest scale to the finest (Germer, Uelwer, Conrad and Harmeling 2020).
Works on sRGB-encoded color.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from bgkit._ext.foreground import PLANES, color_sums, fit_level, mixed_boxes, spread
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.resizing import between
from bgkit.stage import stage
from bgkit.threads import threads

SMALL = 32  # pixels; levels up to this size are swept more often, as the paper's code does
SWEEPS = (10, 2)  # over small and over large levels
TILE, HALO = 64, 8  # pixels; tiles are independent, each with some of its neighbors computed again
WHOLE = 250_000  # pixels; larger levels are fitted only where something mixed is made of them


@stage(gives="foreground")
def estimate_foreground(
    image: Array,
    alpha: Array,
    *,
    regularization: Annotated[float, Range(1e-8, 1.0, ui=(1e-6, 1e-2))] = 1e-5,
    gradient_weight: Annotated[float, Range(0.0, 100.0, ui=(0.0, 10.0))] = 1.0,
) -> Array:
    """Estimate the color of the subject where it is mixed with the background.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    alpha : float32 array of shape (M, N)
        Opacity, 0..1.
    regularization : float
        Weight of smoothness everywhere; larger gives smoother color.
    gradient_weight : float
        Additional weight of smoothness where alpha changes; larger gives smoother color along edges.

    Returns
    -------
    float32 array of shape (M, N, 3)
        Subject color, 0..1, sRGB-encoded, not multiplied by alpha; the image's where alpha is 1.

    References
    ----------
    T. Germer, T. Uelwer, S. Conrad, S. Harmeling: Fast Multi-Level Foreground Estimation. ICPR 2020.

    Examples
    --------
    >>> image = np.float32([[[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]]] * 3)
    >>> estimate_foreground(image, np.float32([[1, 0.5, 0]] * 3))[1, 1].round(1)
    array([1., 0., 0.], dtype=float32)
    """
    rows, cols = alpha.shape
    levels = math.ceil(math.log2(max(rows, cols)))
    shapes = [(round(rows ** (level / levels)), round(cols ** (level / levels))) for level in range(levels)]
    colors, workers = _mean_colors(image, alpha), threads()
    side = TILE + HALO + SWEEPS[0] + 1
    scratch = np.empty((workers, PLANES * side * side + 6 * side), np.float32)
    foreground, nothing = np.empty_like(image), np.empty((0, 0, 6), np.float32)
    whole = [(height, width) for height, width in shapes if height * width <= WHOLE]

    def fit(coarse: Array, boxes: Array, size: int, level: Array, out: Array) -> None:
        sweeps = SWEEPS[size > SMALL]
        fit_level(
            image, alpha, coarse, boxes, TILE, HALO, sweeps, regularization, gradient_weight, scratch,
            level, out, workers,
        )  # fmt: skip

    for shape in whole:
        fitted = np.empty((*shape, 6), np.float32)
        fit(colors, _tiles(shape), max(shape), fitted, foreground[:0])
        colors = fitted
    (top, down), (left, along) = between(len(colors), rows), between(colors.shape[1], cols)
    blended = np.empty((workers, 3 * cols + 3), np.float32)
    spread(image, alpha, colors, top, down, left, along, blended, foreground, workers)

    found = np.zeros((-(-rows // TILE), -(-cols // TILE), 4), np.int32)
    mixed_boxes(alpha, TILE, found, workers)
    wanted = [found[found[..., 2] > 0]]
    fine = (rows, cols)
    for shape in reversed(shapes[len(whole) :]):
        wanted.append(_under(wanted[-1], fine, shape))
        fine = shape
    for shape in shapes[len(whole) :]:
        fitted = np.empty((*shape, 6), np.float32)
        fit(colors, wanted.pop(), max(shape), fitted, foreground[:0])
        colors = fitted
    fit(colors, wanted.pop(), max(rows, cols), nothing, foreground)
    return foreground


def _mean_colors(image: Array, alpha: Array) -> Array:
    """Return the mean color of foreground and background as the coarsest level, of one pixel."""
    sums = np.zeros((len(image), 8))
    color_sums(image, alpha, sums, threads())
    means = [side[:3] / (side[3] + 1e-5) for side in (sums.sum(0)[:4], sums.sum(0)[4:])]
    return np.concatenate(means, dtype=np.float32)[None, None]


def _tiles(shape: tuple[int, int], chosen: Array | None = None) -> Array:
    """Return the tiles of a level as boxes: first row and column, and those behind the last."""
    every = np.ones([-(-size // TILE) for size in shape]) if chosen is None else chosen
    first = np.argwhere(every) * TILE
    return np.ascontiguousarray(np.hstack([first, np.minimum(first + TILE, shape)]), np.int32)


def _under(boxes: Array, fine: tuple[int, int], shape: tuple[int, int]) -> Array:
    """Return the tiles of a level that are read when boxes of the next, finer one are fitted."""
    first = np.maximum(boxes[:, :2] - HALO, 0) * shape // fine // TILE
    last = (np.minimum(boxes[:, 2:] + SWEEPS[1], fine) - 1) * shape // fine // TILE
    read = np.zeros([-(-size // TILE) for size in shape], bool)
    for (top, left), (bottom, right) in zip(first, last, strict=True):
        read[top : bottom + 1, left : right + 1] = True
    return _tiles(shape, read)
