"""Regions of a picture and what surrounds them: selective search's tree (Uijlings et al. 2013), cut or taken whole.

A picture falls into small regions of one color (Felzenszwalb and Huttenlocher 2004). The two neighbors that are most
alike become one, again and again, until one is left. What is alike: histograms of color and of texture, both small,
and one filling the gap in the other (equations 1 to 4 of the paper, added). The merges make a tree: every node of it
is a proposal, which may be an object; and cut where so many regions are left, it is a segmentation.

A network sees such regions as *windows*: how many of the region's pixels, of those around it, and of the picture lie in
each cell of its feature map, as shares. The mean of the features in a window is then a product of matrices.

References
----------
J. R. R. Uijlings, K. E. A. van de Sande, T. Gevers, A. W. M. Smeulders, "Selective search for object recognition",
IJCV 2013. P. F. Felzenszwalb, D. P. Huttenlocher, "Efficient graph-based image segmentation", IJCV 2004.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "Tree", "context_windows", "cut_tree", "grow_tree", "level_counts", "neighbors_of", "proposals"]

Array = NDArray[Any]
Shape = tuple[int, int]

COLORS = 25  # bins of a channel
ORIENTATIONS, STRENGTHS = 8, 10  # directions of a derivative, and bins of each
FINE, SMOOTH, LEAST = 60.0, 0.8, 30  # of the first regions: scale, Gaussian in px, fewest pixels
FEWEST, MOST = 20, 300  # regions of the coarsest and the finest segmentation
SMALLEST, LARGEST = 0.01, 0.95  # of the picture: proposals are no smaller and no larger


@dataclass(frozen=True)
class Tree:
    """First regions and how they were merged.

    ``labels`` (M, N) numbers the first regions, the leaves, from 0. Row t of ``merges`` holds the two nodes that became
    node ``leaves`` + t. ``boxes`` (2 leaves - 1, 4) are each node's first row and column and the ones after the last.
    """

    labels: Array
    merges: Array
    boxes: Array

    @property
    def leaves(self) -> int:
        return len(self.merges) + 1


def level_counts(levels: int) -> list[int]:
    """Return how many regions each of several segmentations has, fine to coarse, evenly spaced in their logarithm.

    >>> level_counts(3)
    [300, 77, 20]
    """
    return [round(count) for count in np.geomspace(MOST, FEWEST, levels)]


def grow_tree(image: Array) -> Tree:
    """Merge the regions of a picture (M, N, 3), sRGB, 0..1, until one is left."""
    labels = _first_regions(image)
    count = int(labels.max()) + 1
    nodes = 2 * count - 1
    facts = _Facts(image, labels, nodes)
    merges = np.zeros((count - 1, 2), np.intp)
    beside: list[set[int]] = [set() for _ in range(nodes)]
    queue = []
    for one, other in neighbors_of(labels):
        beside[one].add(int(other))
        beside[other].add(int(one))
    for one in range(count):
        later = [other for other in sorted(beside[one]) if other > one]
        queue += [(-alike, one, other) for alike, other in zip(facts.alike(one, later), later, strict=True)]
    heapq.heapify(queue)
    alive = np.zeros(nodes, bool)
    alive[:count] = True
    for made in range(count, nodes):
        while True:
            _, one, other = heapq.heappop(queue)
            if alive[one] and alive[other]:
                break
        merges[made - count] = one, other
        facts.join(one, other, made)
        alive[[one, other]], alive[made] = False, True
        around = sorted(node for node in beside[one] | beside[other] if alive[node])
        beside[made] = set(around)
        for node in around:
            beside[node].add(made)
        for alike, node in zip(facts.alike(made, around), around, strict=True):
            heapq.heappush(queue, (-alike, node, made))
    return Tree(labels, merges, facts.boxes)


def _first_regions(image: Array) -> Array:
    """Return labels (M, N) of small regions of one color, each connected, numbered without gaps."""
    from skimage.segmentation import felzenszwalb

    if min(image.shape[:2]) < 2:  # which has neighbors in one direction only
        return np.zeros(image.shape[:2], np.intp)
    find: Callable[..., Array] = felzenszwalb
    labels = find(image, scale=FINE, sigma=SMOOTH, min_size=LEAST, channel_axis=2)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def neighbors_of(labels: Array) -> Array:
    """Return the pairs (P, 2) of labels that touch, the smaller first, without repetition."""
    down = np.stack([labels[:-1].ravel(), labels[1:].ravel()])
    across = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()])
    pairs = np.sort(np.concatenate([down, across], 1), axis=0)
    return np.unique(pairs[:, pairs[0] != pairs[1]], axis=1).T


class _Facts:
    """Color, texture, size and box of every node; those of a merged one follow from its two parts."""

    def __init__(self, image: Array, labels: Array, nodes: int) -> None:
        count, pixels = int(labels.max()) + 1, labels.size
        lab = cv2.cvtColor(np.ascontiguousarray(image, np.float32), cv2.COLOR_RGB2Lab)
        scaled = np.stack([lab[..., 0] / 100, (lab[..., 1] + 128) / 256, (lab[..., 2] + 128) / 256], 2)
        color = [_histograms(scaled[..., c], labels, count, COLORS) for c in range(3)]
        texture = []
        for c in range(3):
            down, across = (cv2.Sobel(scaled[..., c], cv2.CV_32F, *order, scale=0.25) for order in ((0, 1), (1, 0)))
            for turn in range(ORIENTATIONS):
                angle = 2 * np.pi * turn / ORIENTATIONS
                slope = np.maximum(np.cos(angle) * across + np.sin(angle) * down, 0)
                texture.append(_histograms(np.minimum(8 * slope, 1), labels, count, STRENGTHS))
        self.pixels = pixels
        self.size = np.zeros(nodes)
        self.size[:count] = np.bincount(labels.ravel(), minlength=count)
        self.color, self.texture = (np.zeros((nodes, len(each) * each[0].shape[1])) for each in (color, texture))
        self.color[:count] = np.concatenate(color, 1) / 3
        self.texture[:count] = np.concatenate(texture, 1) / (3 * ORIENTATIONS)
        self.boxes = np.zeros((nodes, 4), np.intp)
        self.boxes[:count] = _boxes(labels, count)

    def alike(self, one: int, others: list[int]) -> list[float]:
        """Return how much a node resembles each of some others: the sum of four numbers in 0..1."""
        color = np.minimum(self.color[one], self.color[others]).sum(1)
        texture = np.minimum(self.texture[one], self.texture[others]).sum(1)
        sizes = self.size[one] + self.size[others]
        start = np.minimum(self.boxes[one, :2], self.boxes[others, :2])
        end = np.maximum(self.boxes[one, 2:], self.boxes[others, 2:])
        gap = (end - start).prod(1) - sizes
        found: list[float] = (color + texture + 1 - sizes / self.pixels + 1 - gap / self.pixels).tolist()
        return found

    def join(self, one: int, other: int, made: int) -> None:
        sizes = self.size[[one, other]]
        self.size[made] = sizes.sum()
        for held in (self.color, self.texture):
            held[made] = sizes @ held[[one, other]] / sizes.sum()
        self.boxes[made, :2] = self.boxes[[one, other], :2].min(0)
        self.boxes[made, 2:] = self.boxes[[one, other], 2:].max(0)


def _histograms(values: Array, labels: Array, count: int, bins: int) -> Array:
    """Return for each label the share of its pixels (count, bins) whose values, 0..1, lie in each bin."""
    place = np.minimum((values * bins).astype(np.intp), bins - 1).clip(0)
    held = np.bincount((labels * bins + place).ravel(), minlength=count * bins).reshape(count, bins)
    return held / held.sum(1, keepdims=True)


def _boxes(labels: Array, count: int) -> Array:
    """Return the first row and column of each label and the ones after its last, (count, 4)."""
    boxes = np.empty((count, 4), np.intp)
    boxes[:, :2], boxes[:, 2:] = max(labels.shape), 0
    row, col = np.indices(labels.shape)
    for which, places in enumerate((row, col)):
        np.minimum.at(boxes[:, which], labels.ravel(), places.ravel())
        np.maximum.at(boxes[:, which + 2], labels.ravel(), places.ravel() + 1)
    return boxes


def cut_tree(tree: Tree, count: int) -> Array:
    """Return for each leaf the number of its region, from 0, where ``count`` regions are left (or all leaves)."""
    root = np.arange(2 * tree.leaves - 1)
    done = max(0, tree.leaves - count)
    for made in reversed(range(done)):  # a later node's region is known before its parts'
        root[tree.merges[made]] = root[tree.leaves + made]
    return np.unique(root[: tree.leaves], return_inverse=True)[1]


def proposals(tree: Tree, grid: Shape) -> tuple[Array, Array]:
    """Return the nodes that may be objects, as leaves they hold (R, leaves) and as windows (R, 3, h, w).

    The windows are the region, its box, and the picture.
    """
    held = np.zeros((2 * tree.leaves - 1, tree.leaves), bool)
    held[: tree.leaves] = np.eye(tree.leaves, dtype=bool)
    for made, parts in enumerate(tree.merges):
        held[tree.leaves + made] = held[parts[0]] | held[parts[1]]
    share = held @ np.bincount(tree.labels.ravel(), minlength=tree.leaves) / tree.labels.size
    kept = (share >= SMALLEST) & (share <= LARGEST)
    if not kept.any():
        kept = share == share.max()  # one color: the picture as a whole
    inside = held[kept].astype(np.float32) @ _cells(tree.labels, tree.leaves, grid)
    boxes = _box_cells(tree.boxes[kept], tree.labels.shape, grid)
    whole = np.broadcast_to(_cells(np.zeros_like(tree.labels), 1, grid), inside.shape)
    return held[kept], _as_shares(np.stack([inside, boxes, whole], 1), grid)


def context_windows(labels: Array, grid: Shape) -> Array:
    """Return windows (R, 3, h, w) of the regions of a segmentation (M, N).

    They are the region, the box around it and its neighbors, and the picture, both without the region itself.
    """
    count = int(labels.max()) + 1
    inside = _cells(labels, count, grid)
    boxes = _boxes(labels, count)
    around = boxes.copy()
    for one, other in neighbors_of(labels):
        for place, beside in ((one, other), (other, one)):
            around[place, :2] = np.minimum(around[place, :2], boxes[beside, :2])
            around[place, 2:] = np.maximum(around[place, 2:], boxes[beside, 2:])
    whole = _cells(np.zeros_like(labels), 1, grid)
    return _as_shares(np.stack([inside, _box_cells(around, labels.shape, grid) - inside, whole - inside], 1), grid)


def _cells(labels: Array, count: int, grid: Shape) -> Array:
    """Return how many pixels of each label lie in each cell of a grid over the picture, (count, h w)."""
    row, col = (_cell_of(side, cells) for side, cells in zip(labels.shape, grid, strict=True))
    place = row[:, None] * grid[1] + col
    size = grid[0] * grid[1]
    return np.bincount((labels * size + place).ravel(), minlength=count * size).reshape(count, size).astype(np.float32)


def _box_cells(boxes: Array, shape: Shape, grid: Shape) -> Array:
    """The same for boxes (R, 4)."""
    counts = []
    for axis in range(2):
        within = np.zeros((shape[axis] + 1, grid[axis]), np.float32)  # before each row, how many lie in each cell
        within[np.arange(1, shape[axis] + 1), _cell_of(shape[axis], grid[axis])] = 1
        within = within.cumsum(0)
        counts.append(within[boxes[:, axis + 2]] - within[boxes[:, axis]])
    return (counts[0][:, :, None] * counts[1][:, None]).reshape(len(boxes), -1)


def _cell_of(side: int, cells: int) -> Array:
    return ((np.arange(side) + 0.5) * cells / side).astype(np.intp)


def _as_shares(counts: Array, grid: Shape) -> Array:
    """Make each window's numbers sum to 1; an empty one stays empty."""
    shares = counts / np.maximum(counts.sum(2, keepdims=True), 1)
    return shares.reshape(*counts.shape[:2], *grid).astype(np.float32)
