"""Run a network over overlapping tiles of a large picture, so that memory follows the tile.

Tiles overlap; each answer is weighted by a ramp that falls to nothing at the tile's inner edges, so
that no seam shows. The weights of a grid are separable: one row and one column of sums divide them
out, and the only arrays of the picture's size are the layers and the answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.models.resampling import resample
from bgkit.models.session import Network

__all__ = ["run_shrunk", "run_tiled", "starts"]

Array = NDArray[Any]

# Pixels that go through the network in one call where its graph takes several tiles and something else than the
# processor runs it: on two cores, six pictures in one call take 148 ms and one by one 125 (the embedded network).
TOGETHER = 2**20


def run_tiled(
    chosen: Network,
    layers: Mapping[str, Array],
    *,
    tile: int,
    overlap: int,
    skip: Callable[[Mapping[str, Array]], Array | None],
) -> tuple[Array, int]:
    """Return the map, float32 (M, N), and how many tiles the network saw.

    Parameters
    ----------
    chosen : Network
        What runs on each tile.
    layers : mapping of str to array
        The layers it needs, of one size.
    tile : int
        Rows and columns of a tile, at most.
    overlap : int
        Least pixels that neighbors share, below ``tile``.
    skip : callable
        Receives a tile's layers; what it returns, if anything, is the answer without a run.
    """
    rows, cols = layers["image"].shape[:2]
    found = np.zeros((rows, cols), np.float32)
    down, across = list(_profiles(rows, tile, overlap)), list(_profiles(cols, tile, overlap))
    batches = chosen.batches and chosen.provider != "cpu"
    together = max(1, TOGETHER // (len(down[0][1]) * len(across[0][1]))) if batches else 1
    waiting: list[tuple[tuple[slice, slice], Array, dict[str, Array]]] = []
    runs = 0

    def look() -> None:
        """Let the network see the tiles that wait."""
        for (where, weights, _), answer in zip(waiting, chosen.run_batch([part for *_, part in waiting]), strict=True):
            found[where] += answer * weights
        waiting.clear()

    for (top, vertical), (left, horizontal) in itertools.product(down, across):
        where = np.s_[top : top + len(vertical), left : left + len(horizontal)]
        weights = vertical[:, None] * horizontal
        part = {name: np.ascontiguousarray(layer[where]) for name, layer in layers.items()}
        answer = skip(part)
        if answer is not None:
            found[where] += answer * weights
            continue
        waiting.append((where, weights, part))
        runs += 1
        if len(waiting) == together:
            look()
    if waiting:
        look()
    found /= _sum(down, rows)[:, None]
    found /= _sum(across, cols)
    return found, runs


def run_shrunk(chosen: Network, layers: Mapping[str, Array], *, long_side: int) -> Array:
    """Return the map, float32 (M, N), of the layers seen at no more than ``long_side`` pixels; no trimaps."""
    shape = layers["image"].shape[:2]
    scale = min(1.0, long_side / max(shape))
    small = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    answer = chosen.run({name: resample(layer, small, "area") for name, layer in layers.items()})
    return resample(answer, (shape[0], shape[1]), "bilinear")


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """Return where tiles start so that they cover ``side`` evenly and share at least ``overlap``.

    >>> starts(20, 10, 2)
    [0, 5, 10]
    """
    if side <= tile:
        return [0]
    count = -(-(side - overlap) // (tile - overlap))
    return [round(i * (side - tile) / (count - 1)) for i in range(count)]


def _profiles(side: int, tile: int, overlap: int) -> Iterator[tuple[int, Array]]:
    """Yield (start, weights) of the tiles along one side: 1 inside, a ramp over the overlap."""
    length = min(side, tile)
    position = np.arange(length) + 0.5
    ramp = np.minimum(position, length - position) / max(overlap, 1)
    for start in starts(side, tile, overlap):
        yield start, np.minimum(ramp, 1).astype(np.float32)


def _sum(profiles: list[tuple[int, Array]], side: int) -> Array:
    total = np.zeros(side, np.float32)
    for start, weights in profiles:
        total[start : start + len(weights)] += weights
    return total
