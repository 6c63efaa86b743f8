"""The linear system of the matting Laplacian over a band of unknown pixels, and its solution.

The minimum of a' L a with alpha fixed outside the band (Levin, Lischinski and Weiss 2008, equation 12)
is one sparse, positive definite system of the band's pixels, each tied to at most 24 others.
The band is cut by nested dissection and factored by fronts (George 1973; Duff and Reid 1983) in
float32, and that factor preconditions conjugate gradients in float64: one iteration is the rule,
however large or ill-conditioned the system. About 1 microsecond of processor time and 0.8 KB for each
unknown pixel, next to nothing for the others. Separate pieces of the band fall apart in the
dissection by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bgkit._ext.closed_form import ROOM, Tree, dissect, laplacian, multiply
from bgkit.errors import LayerError
from bgkit.layers import UNKNOWN, Array

__all__ = ["solve"]

LEAF = 16  # pixels that are not cut further; 10 to 32 take the same time
# Share of the Laplacian of infinite epsilon, whose windows know nothing of color and only ask for equal alpha. Where
# few colors leave alpha nearly free, float32 may lose pivots, and each larger share keeps more of them.
SMOOTHNESS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
PATIENCE, LOST = 30, 1e-2  # iterations after which an error above LOST is a breakdown; one to six are usual


def solve(
    image: Array,
    trimap: Array,
    epsilon: float,
    tolerance: float,
    max_iterations: int,
    max_memory: float,
    workers: int,
    prior: tuple[Array, Array] | None = None,
) -> tuple[Array, dict[str, Any]]:
    """Return alpha of the unknown pixels by conjugate gradients.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    trimap : uint8 array of shape (M, N)
        With unknown pixels, and some foreground.
    epsilon : float
        Regularization of the windows' color covariance.
    tolerance : float
        Estimated error of alpha at which to stop.
    max_iterations : int
        Of conjugate gradients.
    max_memory : float
        GB that the factor may take.
    workers : int
        Threads; the same bits for any number.
    prior : (values, weights), optional
        Of each unknown pixel in raster order: what it is drawn to, and how much.

    Returns
    -------
    alpha : float64 array of shape (U,)
        Of the unknown pixels in raster order, not clipped.
    facts : dict
        ``iterations``, ``residual`` (relative), ``error`` (estimated, of alpha), ``unknown``, and ``smoothness``
        where it was needed.

    Raises
    ------
    LayerError
        If the factor would take more than ``max_memory``, or if the system has no finite solution.

    Notes
    -----
    Where conjugate gradients break down, or are still far off after 30 iterations, the system is changed on purpose:
    every window's form is mixed with that of a window without color, which asks its pixels for equal alpha. The share
    of it, the smallest of ``SMOOTHNESS`` that is enough, is then among the facts as ``smoothness``.
    """
    row, col = (where.astype(np.int32) for where in np.divmod(np.flatnonzero(trimap == UNKNOWN), trimap.shape[1]))
    top, left = int(row[0]), int(col.min())
    row -= top
    col -= left
    index = np.full((row[-1] + 5, int(col.max()) + 5), -1, np.int32)  # a margin of 2, see ext/stencil.h
    at = (row + 2) * np.int32(index.shape[1]) + col + 2
    index.ravel()[at] = np.arange(at.size, dtype=np.int32)

    def assemble(epsilon: float) -> tuple[Array, Array]:
        matrix, right = np.zeros((at.size, 13)), np.zeros(at.size)
        laplacian(image, trimap, index, top, left, epsilon, matrix, right, workers)
        return matrix, right

    for smoothness in SMOOTHNESS:
        matrix, right = assemble(epsilon)
        if smoothness:
            for whole, colorless in zip((matrix, right), assemble(math.inf), strict=True):
                whole += smoothness * (colorless - whole)
        if prior is not None:
            matrix[:, 0] += prior[1]
            right += prior[1] * prior[0]
        if not right.any():  # no unknown pixel touches foreground
            return right, {"iterations": 0, "residual": 0.0, "error": 0.0, "unknown": at.size}
        precondition = _factor(matrix, index, at, row, col, max_memory, workers)

        def times(x: Array, out: Array, matrix: Array = matrix) -> None:
            multiply(matrix, index, at, x, out, workers)

        alpha, facts = _conjugate_gradients(times, right, precondition, tolerance, max_iterations)
        if math.isfinite(facts["error"]) and not (facts["iterations"] >= PATIENCE and facts["error"] > LOST):
            return alpha, facts | {"unknown": at.size} | ({"smoothness": smoothness} if smoothness else {})
    raise LayerError("image: the matting Laplacian has no finite solution; raise epsilon")


def _conjugate_gradients(
    times: Callable[[Array, Array], None],
    right: Array,
    precondition: Callable[[Array], Array],
    tolerance: float,
    max_iterations: int,
) -> tuple[Array, dict[str, Any]]:
    """Solve by preconditioned conjugate gradients; an error that is not finite tells that they broke down."""
    alpha, residual, product = np.zeros_like(right), right.copy(), np.empty_like(right)
    size = math.sqrt(_dot(right, right))
    step = precondition(residual)
    direction, largest, error, iterations = step.copy(), float(np.abs(step).max()), math.inf, 0
    energy = _dot(residual, step)
    while math.isfinite(energy):
        times(direction, product)
        curvature = _dot(direction, product)
        if not curvature > 0:  # neither for NaN
            error = math.nan
            break
        length = energy / curvature
        product *= length
        residual -= product
        alpha += np.multiply(direction, length, out=product)
        iterations += 1
        before, previous = largest, energy
        step = precondition(residual)
        largest, energy = float(np.abs(step).max()), _dot(residual, step)
        # The step is nearly the error itself; once it is taken, what is left is smaller by as much again.
        error = largest * min(1.0, largest / before)
        if error <= tolerance or iterations == max_iterations or (iterations >= PATIENCE and error > LOST):
            break
        direction *= energy / previous
        direction += step
    alpha += step
    reached = math.sqrt(_dot(residual, residual)) / size
    return alpha, {"iterations": iterations, "residual": reached, "error": error}


def _dot(one: Array, other: Array) -> float:
    """Return the inner product, summed by one thread: BLAS may cut the sum by the cores it finds."""
    return float(np.einsum("i,i->", one, other))


def _factor(
    matrix: Array, index: Array, at: Array, row: Array, col: Array, max_memory: float, workers: int
) -> Callable[[Array], Array]:
    """Factor the matrix in float32; return the function that solves with the factor."""
    count = at.size
    order, tree = np.arange(count, dtype=np.int32), np.empty((5, 2 * count), np.int32)
    spare = np.empty_like(order)
    in_row, in_col = np.zeros(index.shape[0], np.int32), np.zeros(index.shape[1], np.int32)
    nodes = dissect(row, col, order, spare, in_row, in_col, tree, LEAF)
    tree = tree[:, :nodes].copy()
    position = spare
    position[order] = np.arange(count, dtype=np.int32)
    border_at, factor_at = np.zeros((2, nodes + 1), np.int64)
    border, place = np.empty((2, 16 * count + 4096), np.int32)
    mark, done = np.full(count, -1, np.int32), 0
    while done < nodes:  # a border's length is known only once it is found
        whole = Tree(
            matrix, index, at, order, position, tree, border_at, factor_at, border, place, np.empty(1, np.float32)
        )
        done = whole.find_borders(done, nodes, mark, border.size)
        if done < nodes:
            border, place = (np.resize(each, 2 * each.size) for each in (border, place))
    borders = np.diff(border_at)
    expected = 4 * (int(factor_at[-1]) + 3 * int(borders.max()) ** 2) + matrix.nbytes
    if expected > max_memory * 1e9:
        raise LayerError(
            f"trimap: expected an unknown region whose solve fits into max_memory = {max_memory:g} GB, got {count} "
            f"pixels that take {expected / 1e9:.2g} GB; mark more as known, or use a smaller picture"
        )
    factor = np.empty(int(factor_at[-1]) + 64, np.float32)  # loads may run over the end, see ext/front.h
    whole = Tree(matrix, index, at, order, position, tree, border_at, factor_at, border, place, factor)
    first, begin, end, left, right = tree
    sizes = end - begin[first]
    roots, above, queue = [], [], [nodes - 1]
    while queue:
        node = queue.pop()
        if left[node] < 0 or sizes[node] <= max(1024, count // 32):
            roots.append(node)
        else:
            above.append(node)
            queue += [left[node], right[node]]
    below = np.array(sorted(roots, key=lambda node: -sizes[node]), np.int32)
    over = np.array(sorted(above), np.int32)
    rows = int((borders + end - begin).max()) + 16
    where, least = np.empty((workers, count), np.int32), np.empty((workers, rows), np.float32)
    room = np.empty((workers, ROOM), np.float32)
    rest_at = np.concatenate([[0], np.cumsum(borders[below] ** 2)])
    rests = np.empty(int(rest_at[-1]) + 64, np.float32)
    stack = np.empty((workers, max(whole.stack_room(node) for node in below) + 64), np.float32)
    whole.factor_subtrees(below, rests, rest_at, stack, where, least, room, workers)
    kept = {node: rests[rest_at[k] :] for k, node in enumerate(below.tolist())}
    del stack
    for node in over.tolist():
        rest = np.empty(int(borders[node]) ** 2 + 64, np.float32)
        whole.factor_node(node, kept.pop(left[node]), kept.pop(right[node]), rest, where, least, room, workers)
        kept[node] = rest
    x, sums = np.empty(count, np.float32), np.empty(border_at[-1] + 1, np.float32)
    front = np.empty((workers, rows), np.float32)

    def solve(residual: Array) -> Array:
        out = np.empty_like(residual)
        whole.solve(below, over, residual, out, x, sums, front, workers)
        return out

    return solve
