"""Alpha by the matting Laplacian.

In every 3 x 3 window alpha is asked to be an affine function of color (Levin, Lischinski and Weiss
2008). The sum of squared departures is a quadratic form in alpha; with alpha fixed where the trimap
knows it, its minimum is one sparse, positive definite linear system over the unknown pixels.

The band of unknown pixels is cut by nested dissection and factored by fronts (George 1973; Duff and
Reid 1983) in float32, and that factor preconditions conjugate gradients in float64: one iteration is
the rule, however large or ill-conditioned the system. Works on sRGB-encoded color, as published.
Where the background is known, what it says of each single pixel joins as a weak data term.
About 1 microsecond of processor time and 0.8 KB for each unknown pixel, next to nothing for the others.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Annotated

import numpy as np

from bgkit._ext.closed_form import ROOM, Tree, dissect, laplacian, multiply
from bgkit.backdrop import estimate_plate
from bgkit.errors import ConvergenceWarning, LayerError
from bgkit.known_background import local_background, sample_alpha
from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.plate import match_plate
from bgkit.stage import note, stage
from bgkit.threads import threads

LEAF = 16  # pixels that are not cut further; 10 to 32 take the same time
# Added to the diagonal for the factor alone, as shares of it: where large flat areas leave alpha nearly free, float32
# loses pivots, and each larger shift keeps more of them, for a few more iterations (Manteuffel 1980).
SHIFTS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@stage(gives="alpha")
def closed_form_matting(
    image: Array,
    trimap: Array,
    *,
    epsilon: Annotated[float, Range(1e-10, 10.0, ui=(1e-8, 1e-3))] = 1e-7,
    tolerance: Annotated[float, Range(1e-12, 0.1, ui=(1e-8, 1e-3))] = 1e-4,
    max_iterations: Annotated[int, Range(1, 100_000, ui=(10, 1000))] = 500,
    max_memory: Annotated[float, Range(0.001, 10_000, "GB", ui=(0.5, 64))] = 16.0,
) -> Array:
    """Solve for alpha where the trimap is unknown, by the matting Laplacian.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    trimap : uint8 array of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    epsilon : float
        Weight of the color line's slope; larger makes alpha smoother and forgives noise.
    tolerance : float
        Error of alpha, estimated, at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; one or two are usual.
    max_memory : float
        Memory that the solve may take; more allows wider unknown regions.

    Returns
    -------
    float32 array of shape (M, N)
        Alpha, 0..1; exactly 0 and 1 where the trimap is known.

    Warns
    -----
    ConvergenceWarning
        If the error is still above ``tolerance`` after ``max_iterations``; it names the residual.

    Raises
    ------
    LayerError
        If the unknown region would take more than ``max_memory``.

    Notes
    -----
    One unknown pixel takes 0.5 to 1 KB, more in wide regions; the known take 1 to 5 bytes inside the box around the
    unknown, and none outside. ``facts`` hold the residual, relative to the right side, and the iterations.

    With no foreground in the trimap the minimum is alpha = 0 in the unknown, with no background
    alpha = 1; a trimap that is unknown everywhere gives 0, for nothing says there is a subject.

    References
    ----------
    A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting. PAMI 30(2), 2008.

    Examples
    --------
    >>> image = np.ones((3, 5, 3)) * np.linspace(0, 1, 5)[:, None]
    >>> closed_form_matting(image, np.uint8([[0, 128, 128, 128, 255]] * 3))[1].round(2)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    alpha = np.zeros(trimap.shape, np.float32)
    alpha[trimap == FOREGROUND] = 1
    unknown = trimap == UNKNOWN
    if not unknown.any() or not (trimap == FOREGROUND).any():
        note(iterations=0, residual=0.0, error=0.0, unknown=int(unknown.sum()))
        return alpha
    if not (trimap == BACKGROUND).any():
        note(iterations=0, residual=0.0, error=0.0, unknown=int(unknown.sum()))
        return np.ones_like(alpha)
    solved = _solve(image, trimap, epsilon, tolerance, max_iterations, max_memory, threads())
    alpha[unknown] = np.clip(solved, 0, 1)
    return alpha


@stage(gives="alpha")
def plate_matting(
    image: Array,
    trimap: Array,
    plate: Array | None = None,
    *,
    trust: Annotated[float, Range(0.0, 10.0, ui=(1e-4, 0.1))] = 0.01,
    epsilon: Annotated[float, Range(1e-10, 10.0, ui=(1e-8, 1e-3))] = 1e-7,
    tolerance: Annotated[float, Range(1e-12, 0.1, ui=(1e-8, 1e-3))] = 1e-4,
    max_iterations: Annotated[int, Range(1, 100_000, ui=(10, 1000))] = 1000,
    max_memory: Annotated[float, Range(0.001, 10_000, "GB", ui=(0.5, 64))] = 16.0,
) -> Array:
    """Solve for alpha where the trimap is unknown, the background's color being known.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    trimap : uint8 array of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    plate : float32 array of shape (M, N, 3), optional
        The same scene without its subject, sRGB-encoded. By default the smooth backdrop that the picture itself
        shows: for white and green screens.
    trust : float
        Weight of what the known background says of single pixels, against the matting Laplacian; larger follows
        fine hair more closely, and noise too. 0 is closed-form matting.
    epsilon : float
        Weight of the color line's slope; larger makes alpha smoother and forgives noise.
    tolerance : float
        Relative residual at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning.
    max_memory : float
        Memory that the solve may take; more allows wider unknown regions.

    Returns
    -------
    float32 array of shape (M, N)
        Alpha, 0..1; exactly 0 and 1 where the trimap is known.

    Raises
    ------
    LayerError
        If the unknown region would take more than ``max_memory``.

    Warns
    -----
    ConvergenceWarning
        If the residual is still above ``tolerance`` after ``max_iterations``.

    Notes
    -----
    The minimum of ``a' L a + trust * sum c (a - s)²``, with L the matting Laplacian, and s and c the alpha and its
    confidence that :func:`bgkit.known_background.sample_alpha` gives for each pixel.

    References
    ----------
    A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting. PAMI 30(2), 2008.
    J. Wang, M. F. Cohen: Optimized Color Sampling for Robust Matting. CVPR 2007 (samples as a data term).

    Examples
    --------
    >>> image = np.ones((3, 5, 3)) * np.linspace(0.9, 0.1, 5)[:, None]
    >>> plate_matting(image, np.uint8([[0, 128, 128, 128, 255]] * 3), np.full_like(image, 0.9))[1].round(2)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    unknown, subject = trimap == UNKNOWN, trimap == FOREGROUND
    alpha: Array = subject.astype(np.float32)
    if not unknown.any() or not subject.any():
        note(iterations=0, residual=0.0, error=0.0, unknown=int(unknown.sum()))
        return alpha
    behind = estimate_plate(image) if plate is None else match_plate(image, plate).plate
    behind = local_background(image, behind, trimap == BACKGROUND)
    likely, confidence = sample_alpha(image, behind, subject, unknown)
    prior = likely, trust * confidence
    solved = _solve(image, trimap, epsilon, tolerance, max_iterations, max_memory, threads(), prior)
    alpha[unknown] = np.clip(solved, 0, 1)
    return alpha


def _solve(
    image: Array,
    trimap: Array,
    epsilon: float,
    tolerance: float,
    max_iterations: int,
    max_memory: float,
    workers: int,
    prior: tuple[Array, Array] | None = None,
) -> Array:
    """Return alpha of the unknown pixels in raster order, by conjugate gradients, not clipped.

    ``prior``: for each of them a value that it is drawn to, and how much.
    """
    row, col = (where.astype(np.int32) for where in np.divmod(np.flatnonzero(trimap == UNKNOWN), trimap.shape[1]))
    top, left = int(row[0]), int(col.min())
    row -= top
    col -= left
    index = np.full((row[-1] + 5, int(col.max()) + 5), -1, np.int32)  # a margin of 2, see ext/stencil.h
    at = (row + 2) * np.int32(index.shape[1]) + col + 2
    index.ravel()[at] = np.arange(at.size, dtype=np.int32)
    matrix, right = np.zeros((at.size, 13)), np.zeros(at.size)
    laplacian(image, trimap, index, top, left, epsilon, matrix, right, workers)
    if prior is not None:
        matrix[:, 0] += prior[1]
        right += prior[1] * prior[0]
    if not right.any():  # no unknown pixel touches foreground
        note(iterations=0, residual=0.0, error=0.0, unknown=at.size)
        return right
    alpha, residual, product = np.zeros_like(right), right, np.empty_like(right)
    size = math.sqrt(_dot(right, right))
    for shift in SHIFTS:
        diagonal = matrix[:, 0].copy()
        matrix[:, 0] *= 1 + shift
        precondition = _factor(matrix, index, at, row, col, max_memory, workers)
        matrix[:, 0] = diagonal
        step = precondition(residual)
        if np.isfinite(step).all():
            break
    direction, largest, iterations = step.copy(), float(np.abs(step).max()), 0
    energy = _dot(residual, step)
    while True:
        multiply(matrix, index, at, direction, product, workers)
        length = energy / _dot(direction, product)
        product *= length
        residual -= product
        alpha += np.multiply(direction, length, out=product)
        iterations += 1
        before, previous = largest, energy
        step = precondition(residual)
        largest, energy = float(np.abs(step).max()), _dot(residual, step)
        # The step is nearly the error itself; once it is taken, what is left is smaller by as much again.
        error = largest * min(1.0, largest / before)
        if error <= tolerance or iterations == max_iterations:
            break
        direction *= energy / previous
        direction += step
    alpha += step
    reached = math.sqrt(_dot(residual, residual)) / size
    note(iterations=iterations, residual=reached, error=error, unknown=at.size)
    if error > tolerance:
        warnings.warn(
            f"closed_form_matting: residual {reached:.1e}, estimated error of alpha {error:.1e} after {iterations} "
            f"iterations, expected {tolerance:.1e}; raise max_iterations or epsilon",
            ConvergenceWarning,
            stacklevel=2,
        )
    return alpha


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
