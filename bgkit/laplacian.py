"""The linear system of the matting Laplacian over a band of unknown pixels, and its solution.

The minimum of a' L a with alpha fixed outside the band (Levin, Lischinski and Weiss 2008, equation 12)
is one sparse, positive definite system of the band's pixels, each tied to at most 24 others.
The band is cut by nested dissection and factored by fronts (George 1973; Duff and Reid 1983) in
float32, and that factor preconditions conjugate gradients in float64: one iteration is the rule,
however large or ill-conditioned the system. About 1 microsecond of processor time and 0.8 KB for each
unknown pixel, next to nothing for the others. Separate pieces of the band fall apart in the
dissection by themselves.

The elimination in a sketch. A strip S of two columns (or rows) cuts the band into A and B. Pixels further apart than
two are not tied, so A and B know nothing of each other; both are cut in the same way, down to ``LEAF`` pixels::

    . A A | S S | B B .                 S            last
    A A A | S S | B B B               /   \\
    A A . | S S | B . .              A     B         first

Strips and leaves are the *nodes* of a tree, which are eliminated from the leaves up. To eliminate a node ties all
later pixels that its subtree touches: its *border*. Its *front* is the dense symmetric matrix over both, of which the
node's own columns become columns of the factor, and the rest is added into the front of its parent::

              own  border
            +-----+------+
       own  |     |      |     own columns: factored, kept
            |     +------+
    border  |     | rest |     rest: handed to the parent, at ``place`` in the parent's front
            +-----+------+

Subtrees of up to a 32nd of the band are each done by one thread, the nodes above them one after another by all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bgkit._ext.closed_form import ROOM, Tree, dissect, laplacian, multiply
from bgkit._ext.runs import AROUND, LANES, multiply_runs, unfold
from bgkit.errors import LayerError
from bgkit.layers import UNKNOWN, Array

__all__ = ["solve"]

LEAF = 16  # pixels that are not cut further; 10 to 32 take the same time
SUBTREES = 32  # a subtree that one thread does holds at most so small a part of the band
SMALL = 1024  # pixels of a subtree that one thread does in any case
BEYOND = 64  # floats behind the end of an array, which loads of the kernels may touch (ext/front.h)
# Share of the Laplacian of infinite epsilon, whose windows know nothing of color and only ask for equal alpha. Where
# few colors leave alpha nearly free, float32 may lose pivots, and each larger share keeps more of them.
SMOOTHNESS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
PLACES, MARGIN = 13, 2  # of the matrix for each pixel, and of known pixels around the box: see ext/stencil.h
PATIENCE, LOST = 30, 1e-2  # iterations after which an error above LOST is a breakdown; one to six are usual
# Pixels from which the diagonal is the quicker preconditioner where data hold them: 0.3 s either way on one core.
MANY = 300_000
ROUGH = 10  # times the tolerance, the root mean square of the error where the data hold: a fourth of an 8-bit step
LOOSE, FEW = 0.1, 0.02  # of the mean weight: pixels below are not held by their data; at most so many may be loose
ENOUGH = 300  # iterations, after which the factor must do it; 60 to 120 are usual
FRESH = 8  # iterations over which the shrinking of the error is judged


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
        ``iterations``, ``residual`` (relative), ``error`` (estimated, of alpha), ``unknown``, ``smoothness`` where it
        was needed, and ``held`` where the data held all of a large band: then the error is a root mean square of at
        most ten times the tolerance.

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
    band = _Band.of(trimap == UNKNOWN)

    def assemble(epsilon: float) -> tuple[Array, Array]:
        matrix, right = np.zeros((band.at.size, PLACES)), np.zeros(band.at.size)
        laplacian(image, trimap, band.numbers, band.top, band.left, epsilon, matrix, right, workers)
        return matrix, right

    if prior is not None and band.at.size >= MANY and np.mean(prior[1] < LOOSE * prior[1].mean()) <= FEW:
        held, facts = _solve_held(lambda: assemble(epsilon), band, prior, ROUGH * tolerance, workers)
        if facts["error"] <= ROUGH * tolerance:
            return held, facts | {"unknown": band.at.size, "held": True}

    for smoothness in SMOOTHNESS:
        matrix, right = assemble(epsilon)
        if smoothness:
            for whole, colorless in zip((matrix, right), assemble(math.inf), strict=True):
                whole += smoothness * (colorless - whole)
        if prior is not None:
            matrix[:, 0] += prior[1]
            right += prior[1] * prior[0]
        if not right.any():  # no unknown pixel touches foreground
            return right, {"iterations": 0, "residual": 0.0, "error": 0.0, "unknown": band.at.size}
        precondition = _factor(matrix, band, max_memory, workers)

        def times(x: Array, out: Array, matrix: Array = matrix) -> None:
            multiply(matrix, band.numbers, band.at, x, out, workers)

        alpha, facts = _conjugate_gradients(times, right, precondition, tolerance, max_iterations)
        if math.isfinite(facts["error"]) and not (facts["iterations"] >= PATIENCE and facts["error"] > LOST):
            return alpha, facts | {"unknown": band.at.size} | ({"smoothness": smoothness} if smoothness else {})
    raise LayerError("image: the matting Laplacian has no finite solution; raise epsilon")


class _Band(NamedTuple):
    """The unknown pixels, numbered in raster order, and the box around them."""

    top: int
    left: int  # of the box in the picture
    row: Array  # int32 (U,): where each pixel stands in the box
    col: Array
    numbers: Array  # int32 (rows + 4, cols + 4): of each pixel of the box, -1 where known, and around it
    at: Array  # int32 (U,): where in the flattened `numbers` each pixel stands

    @classmethod
    def of(cls, unknown: Array) -> _Band:
        row, col = (where.astype(np.int32) for where in np.divmod(np.flatnonzero(unknown), unknown.shape[1]))
        top, left = int(row[0]), int(col.min())
        row -= top
        col -= left
        numbers = np.full((row[-1] + 1 + 2 * MARGIN, int(col.max()) + 1 + 2 * MARGIN), -1, np.int32)
        at = (row + MARGIN) * np.int32(numbers.shape[1]) + col + MARGIN
        numbers.ravel()[at] = np.arange(at.size, dtype=np.int32)
        return cls(top, left, row, col, numbers, at)


def _conjugate_gradients(
    times: Callable[[Array, Array], None],
    right: Array,
    precondition: Callable[[Array], Array],
    tolerance: float,
    max_iterations: int,
) -> tuple[Array, dict[str, Any]]:
    """Solve by preconditioned conjugate gradients; an error that is not finite means that they broke down."""
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


def _solve_held(
    assemble: Callable[[], tuple[Array, Array]],
    band: _Band,
    prior: tuple[Array, Array],
    tolerance: float,
    workers: int,
) -> tuple[Array, dict[str, Any]]:
    """Solve by conjugate gradients from what the data say, with the diagonal as preconditioner, in float32.

    Each step takes off its part of the error's energy e' A e (Hestenes and Stiefel 1952); what is left is judged by how
    fast the steps of the last iterations have shrunk (Golub and Meurant 2010). Where the data hold, e' A e is at least
    e' W e with their weights W, so the root mean square of e is at most the root of the energy by the sum of weights.
    """
    begins = np.flatnonzero(np.diff(band.at, prepend=-1) != 1).astype(np.int32)  # a margin divides the rows
    place, length = band.at[begins].astype(np.int64), np.diff(begins, append=np.int32(band.at.size))
    group = np.concatenate([[0], np.cumsum(-(-length // LANES))]).astype(np.int32)
    lane = np.arange(band.at.size, dtype=np.int32) + np.repeat(LANES * group[:-1] - begins, length)
    values = np.zeros((group[-1], AROUND, LANES), np.float32)
    matrix, right = assemble()  # here, so that no caller holds on to it
    matrix[:, 0] += prior[1]
    unfold(matrix, band.numbers, band.at, lane, values)
    del matrix  # before the grid comes
    target, alpha = np.zeros((2, LANES * group[-1]), np.float32)
    target[lane], alpha[lane] = right + prior[1] * prior[0], np.clip(prior[0], 0, 1)
    diagonal = values[:, AROUND // 2].ravel()
    inverse = np.divide(1, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
    rows, cols = band.numbers.shape
    grid, product = np.zeros((rows + 2, cols), np.float32), np.empty_like(target)  # lanes reach over the end

    def times(x: Array) -> Array:
        multiply_runs(values, place, length, group, x, product, grid, workers)
        return product

    residual = target - times(alpha)
    step = residual * inverse
    direction, energy = step.copy(), _dot32(residual, step)
    taken: list[float] = []  # of the error's energy, by each step
    error, total = math.inf, float(prior[1].sum(dtype=np.float64))
    while energy > 0 and len(taken) < ENOUGH and error > tolerance:
        times(direction)
        pace = energy / _dot32(direction, product)
        taken.append(pace * energy)
        alpha += np.multiply(direction, np.float32(pace), out=step)
        residual -= np.multiply(product, np.float32(pace), out=step)
        np.multiply(residual, inverse, out=step)
        previous, energy = energy, _dot32(residual, step)
        direction *= np.float32(energy / previous)
        direction += step
        if len(taken) >= 2 * FRESH:
            last, before = sum(taken[-FRESH:]), sum(taken[-2 * FRESH : -FRESH])
            error = math.sqrt(last * last / max(before - last, 1e-30) / total) if last < before else math.inf
    reached = math.sqrt(_dot32(residual, residual) / _dot32(target, target))
    return alpha[lane], {"iterations": len(taken), "residual": reached, "error": error if energy > 0 else 0.0}


def _dot32(one: Array, other: Array) -> float:
    """Return the inner product of float32, summed in short pieces and these in float64."""
    whole = one.size // 1024 * 1024
    pieces = np.einsum("ij,ij->i", one[:whole].reshape(-1, 1024), other[:whole].reshape(-1, 1024))
    return float(pieces.sum(dtype=np.float64)) + float(np.einsum("i,i->", one[whole:], other[whole:]))


def _dot(one: Array, other: Array) -> float:
    """Return the inner product, summed by one thread: BLAS may cut the sum by the cores it finds."""
    return float(np.einsum("i,i->", one, other))


class _Nodes(NamedTuple):
    """The tree of the dissection: int32 arrays with one entry for each node, children before their parent."""

    first: Array  # the first node of the subtree
    begin: Array  # the node's own pixels: from this place in the order of elimination
    end: Array  # up to this one
    left: Array  # children, or -1
    right: Array

    @property
    def sizes(self) -> Array:
        """How many pixels each subtree holds."""
        return self.end - self.begin[self.first]


class _Fronts(NamedTuple):
    """Which pixels each node's front consists of, and where its part of the factor stands."""

    order: Array  # int32 (U,): the pixels in the order of elimination
    position: Array  # int32 (U,): where in that order each pixel stands
    tree: Array  # int32 (5, N): what _Nodes names
    border_at: Array  # int64 (N + 1,): where each node's border starts in `border` and `place`
    factor_at: Array  # int64 (N + 1,): where each node's columns start in the factor
    border: Array  # int32: positions of the border's pixels, rising
    place: Array  # int32: where each of them stands in the front of the parent

    @property
    def nodes(self) -> _Nodes:
        return _Nodes(*self.tree)


def _factor(matrix: Array, band: _Band, max_memory: float, workers: int) -> Callable[[Array], Array]:
    """Factor the matrix in float32; return the function that solves with the factor."""
    fronts = _find_fronts(matrix, band)
    nodes, borders = fronts.nodes, np.diff(fronts.border_at)
    expected = 4 * (int(fronts.factor_at[-1]) + 3 * int(borders.max()) ** 2) + matrix.nbytes
    if expected > max_memory * 1e9:
        raise LayerError(
            f"trimap: expected an unknown region whose solve fits into max_memory = {max_memory:g} GB, got "
            f"{band.at.size} pixels that take {expected / 1e9:.2g} GB; mark more as known, or use a smaller picture"
        )
    factor = np.empty(int(fronts.factor_at[-1]) + BEYOND, np.float32)
    elimination = Tree(matrix, band.numbers, band.at, *fronts, factor)
    subtrees, above = _divide(nodes)
    tallest = int((borders + nodes.end - nodes.begin).max()) + 16  # rows of a front; 16 that loads may touch
    _eliminate(elimination, subtrees, above, nodes, borders, tallest, workers)
    x, sums = np.empty(band.at.size, np.float32), np.empty(fronts.border_at[-1] + 1, np.float32)
    front = np.empty((workers, tallest), np.float32)

    def solve(residual: Array) -> Array:
        out = np.empty_like(residual)
        elimination.solve(subtrees, above, residual, out, x, sums, front, workers)
        return out

    return solve


def _find_fronts(matrix: Array, band: _Band) -> _Fronts:
    """Order the pixels by nested dissection, and find which later pixels each node ties."""
    count = band.at.size
    order, tree = np.arange(count, dtype=np.int32), np.empty((len(_Nodes._fields), 2 * count), np.int32)
    spare, position = np.empty_like(order), np.empty_like(order)
    in_row, in_col = np.zeros(band.numbers.shape[0], np.int32), np.zeros(band.numbers.shape[1], np.int32)
    nodes = dissect(band.row, band.col, order, spare, in_row, in_col, tree, LEAF)
    tree = tree[:, :nodes].copy()
    position[order] = np.arange(count, dtype=np.int32)
    border_at, factor_at = np.zeros((2, nodes + 1), np.int64)
    border, place = np.empty((2, 16 * count + 4096), np.int32)
    mark, done = spare, 0
    mark.fill(-1)
    while True:  # how long a border is shows only when it is found
        fronts = _Fronts(order, position, tree, border_at, factor_at, border, place)
        search = Tree(matrix, band.numbers, band.at, *fronts, np.empty(1, np.float32))
        done = search.find_borders(done, nodes, mark, border.size)
        if done == nodes:
            return fronts
        border, place = (np.resize(each, 2 * each.size) for each in (border, place))


def _divide(nodes: _Nodes) -> tuple[Array, Array]:
    """Return the roots of the subtrees that one thread does each, largest first, and the nodes above, from below."""
    roots, above, queue = [], [], [len(nodes.first) - 1]
    sizes = nodes.sizes
    most = max(SMALL, nodes.end[-1] // SUBTREES)
    while queue:
        node = queue.pop()
        if nodes.left[node] < 0 or sizes[node] <= most:
            roots.append(node)
        else:
            above.append(node)
            queue += [nodes.left[node], nodes.right[node]]
    return np.array(sorted(roots, key=lambda node: -sizes[node]), np.int32), np.array(sorted(above), np.int32)


def _eliminate(
    elimination: Tree, subtrees: Array, above: Array, nodes: _Nodes, borders: Array, tallest: int, workers: int
) -> None:
    """Compute the factor: the subtrees side by side, then the nodes above them, each from what its children left."""
    where, least = np.empty((workers, nodes.end[-1]), np.int32), np.empty((workers, tallest), np.float32)
    room = np.empty((workers, ROOM), np.float32)
    rest_at = np.concatenate([[0], np.cumsum(borders[subtrees] ** 2)])
    rests = np.empty(int(rest_at[-1]) + BEYOND, np.float32)
    stack = np.empty((workers, max(elimination.stack_room(node) for node in subtrees) + BEYOND), np.float32)
    elimination.factor_subtrees(subtrees, rests, rest_at, stack, where, least, room, workers)
    del stack
    rest_of = {node: rests[rest_at[k] :] for k, node in enumerate(subtrees.tolist())}
    for node in above.tolist():
        rest = np.empty(int(borders[node]) ** 2 + BEYOND, np.float32)
        left, right = (rest_of.pop(child) for child in (nodes.left[node], nodes.right[node]))
        elimination.factor_node(node, left, right, rest, where, least, room, workers)
        rest_of[node] = rest
