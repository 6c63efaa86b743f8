"""The subject's own color, without the old background in it.

Foreground and background color are fitted to the compositing equation, smooth where alpha is
smooth, from the coarsest scale to the finest (Germer, Uelwer, Conrad and Harmeling 2020).
Works on sRGB-encoded color.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from bgkit._ext.foreground import PLANES, color_sums, fit_level, mixed_tiles, spread
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.resizing import between
from bgkit.stage import stage
from bgkit.threads import threads

SMALL = 32  # pixels; levels up to this size are swept more often, as the paper's code does
SWEEPS = (10, 2)  # over small and over large levels
TILE, HALO = 64, 8  # pixels; tiles are independent, each with some of its neighbors computed again


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
    colors, workers = _mean_colors(image, alpha), threads()
    side = TILE + HALO + SWEEPS[0] + 1
    scratch = np.empty((workers, PLANES * side * side + 6 * side), np.float32)
    foreground, nothing = np.empty_like(image), np.empty((0, 0, 6), np.float32)
    for level in range(levels):
        shape = round(rows ** (level / levels)), round(cols ** (level / levels))
        fitted = np.empty((*shape, 6), np.float32)
        tiles = _where(np.ones([-(-size // TILE) for size in shape]))
        sweeps = SWEEPS[max(shape) > SMALL]
        fit_level(
            image, alpha, colors, tiles, TILE, HALO, sweeps, regularization, gradient_weight, scratch,
            fitted, foreground[:0], workers,
        )  # fmt: skip
        colors = fitted
    (top, down), (left, along) = between(len(colors), rows), between(colors.shape[1], cols)
    blended = np.empty((workers, 3 * cols + 3), np.float32)
    spread(image, alpha, colors, top, down, left, along, blended, foreground, workers)
    mixed = np.zeros((-(-rows // TILE), -(-cols // TILE)), np.uint8)
    mixed_tiles(alpha, TILE, mixed, workers)
    fit_level(
        image, alpha, colors, _where(mixed), TILE, HALO, SWEEPS[max(rows, cols) > SMALL],
        regularization, gradient_weight, scratch, nothing, foreground, workers,
    )  # fmt: skip
    return foreground


def _mean_colors(image: Array, alpha: Array) -> Array:
    """Return the mean color of foreground and background as the coarsest level, of one pixel."""
    sums = np.zeros((len(image), 8))
    color_sums(image, alpha, sums, threads())
    means = [side[:3] / (side[3] + 1e-5) for side in (sums.sum(0)[:4], sums.sum(0)[4:])]
    return np.concatenate(means, dtype=np.float32)[None, None]


def _where(chosen: Array) -> Array:
    """Return row and column of the tiles that are not 0, as the kernel takes them."""
    return np.ascontiguousarray(np.argwhere(chosen), np.int32)
