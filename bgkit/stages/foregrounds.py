"""The subject's own color, without the old background in it.

Foreground and background color are fitted to the compositing equation, smooth where alpha is
smooth, from the coarsest scale to the finest (Germer, Uelwer, Conrad and Harmeling 2020).
Works on sRGB-encoded color.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

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
COLORS = 6  # three of the foreground, three of the background
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
    rows = Foreground(image, alpha, regularization, gradient_weight)
    return rows.made(0, len(alpha), threads())


class Foreground:
    """The foreground of a picture; ``foreground[top:end]`` makes the rows asked for: float32 (end - top, N, 3).

    All levels but the finest are fitted at once, that one tile by tile: so the whole never takes memory. Rows that are
    written a band at a time are read from the row of tiles that was made last.
    """

    dtype, ndim = np.dtype(np.float32), 3

    def __init__(self, image: Array, alpha: Array, regularization: float, gradient_weight: float) -> None:
        self.image, self.alpha, self.shape = image, alpha, image.shape
        self.weights = regularization, gradient_weight
        self._first, self._rows = 0, np.empty((0, *image.shape[1:]), np.float32)
        rows, cols = alpha.shape
        levels = math.ceil(math.log2(max(rows, cols)))
        shapes = [(round(rows ** (level / levels)), round(cols ** (level / levels))) for level in range(levels)]
        whole = [(height, width) for height, width in shapes if height * width <= WHOLE]
        level = _mean_colors(image, alpha)
        for shape in whole:
            level = self._level(shape, level, _tiles(shape))
        self._spread = level.whole()
        found = np.zeros((-(-rows // TILE), -(-cols // TILE), 4), np.int32)
        mixed_boxes(alpha, TILE, found, threads())
        wanted = [found[found[..., 2] > 0]]
        fine = (rows, cols)
        for shape in reversed(shapes[len(whole) :]):
            wanted.append(_under(wanted[-1], fine, shape))
            fine = shape
        for shape in shapes[len(whole) :]:
            level = self._level(shape, level, wanted.pop())
        self._boxes, self._coarse, self._finest = wanted.pop(), level, (rows, cols)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> Array:
        first, end = rows.start // TILE * TILE, min(len(self), -(-rows.stop // TILE) * TILE)
        if first < self._first or end > self._first + len(self._rows):
            self._first, self._rows = first, self.made(first, end, 1)  # so few that one thread is enough
        return self._rows[rows.start - self._first : rows.stop - self._first]

    def made(self, first: int, end: int, workers: int) -> Array:
        """Return rows ``first`` to ``end``, which must be those of whole tiles."""
        rows, image, alpha = slice(first, end), self.image[first:end], self.alpha[first:end]
        out = np.empty(image.shape, np.float32)
        (top, down), (left, along) = (
            between(coarse, fine) for coarse, fine in zip(self._spread.shape, self.shape[:2], strict=False)
        )
        blended = np.empty((workers, 3 * self._spread.shape[1] + 4), np.float32)
        spread(image, alpha, self._spread, top[rows], down[rows], left, along, blended, out, workers)
        boxes = self._boxes[(self._boxes[:, 0] >= first) & (self._boxes[:, 0] < end)]
        self._fit(self._finest, self._coarse, boxes, self._coarse.tiles[:0], out, first, workers)
        return out

    def _level(self, shape: tuple[int, int], coarse: _Level, boxes: Array) -> _Level:
        """Return a level of ``shape`` where there are boxes, each of a whole tile."""
        tiles = np.empty((len(boxes), TILE, TILE, COLORS), np.float32)
        self._fit(shape, coarse, boxes, tiles, self._rows, 0, threads())
        at = np.zeros([-(-size // TILE) for size in shape], np.int32)
        at[boxes[:, 0] // TILE, boxes[:, 1] // TILE] = np.arange(len(boxes))
        return _Level(shape, tiles, at)

    def _fit(
        self,
        shape: tuple[int, int],
        coarse: _Level,
        boxes: Array,
        tiles: Array,
        out: Array,
        first: int,
        workers: int,
    ) -> None:
        side = TILE + HALO + SWEEPS[0] + 1
        scratch = np.empty((workers, PLANES * side * side + COLORS * side), np.float32)
        fit_level(
            self.image, self.alpha, coarse.tiles, coarse.at, *coarse.shape, *shape, boxes, HALO,
            SWEEPS[max(shape) > SMALL], *self.weights, scratch, tiles, out, first, workers,
        )  # fmt: skip


class _Level(NamedTuple):
    """The colors of foreground and background at one level, in tiles: of most levels a few are needed."""

    shape: tuple[int, int]
    tiles: Array  # (T, TILE, TILE, 6)
    at: Array  # int32, the number of the tile at each place

    def whole(self) -> Array:
        """Return the colors of a level that has all its tiles, (*shape, 6)."""
        down, along = self.at.shape
        rows = self.tiles[self.at].swapaxes(1, 2).reshape(down * TILE, along * TILE, COLORS)
        return np.ascontiguousarray(rows[: self.shape[0], : self.shape[1]])


def _mean_colors(image: Array, alpha: Array) -> _Level:
    """Return the mean color of foreground and background as the coarsest level, of one pixel."""
    sums = np.zeros((len(image), 8))
    color_sums(image, alpha, sums, threads())
    means = [side[:3] / (side[3] + 1e-5) for side in (sums.sum(0)[:4], sums.sum(0)[4:])]
    tile = np.empty((1, TILE, TILE, COLORS), np.float32)
    tile[0, 0, 0] = np.concatenate(means)
    return _Level((1, 1), tile, np.zeros((1, 1), np.int32))


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
