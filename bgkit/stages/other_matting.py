"""Alpha by the other published methods, through PyMatting: for comparison, and for pictures that one of them suits.

Each poses its own sparse system over the whole picture and solves it by conjugate gradients (shared
matting samples colors instead). Values go in as sRGB. They take seconds at 1 MP and gigabytes at 12 MP,
and PyMatting brings numba: the first use compiles for half a minute. ``closed_form_matting`` is bgkit's own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from bgkit.errors import ConvergenceWarning, MissingPartError
from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.stage import note, stage

__all__ = ["knn_matting", "large_kernel_matting", "learning_matting", "random_walk_matting", "shared_matting"]

Tolerance = Annotated[float, Range(1e-12, 0.1, ui=(1e-8, 1e-3))]
Iterations = Annotated[int, Range(1, 100_000, ui=(10, 5000))]
LEAST = 7  # pixels a side that every method can work on; smaller pictures are continued beyond their border


@stage(gives="alpha")
def knn_matting(
    image: Array,
    trimap: Array,
    *,
    neighbors: Annotated[int, Range(1, 100, "pixels", ui=(5, 40))] = 20,
    tolerance: Tolerance = 1e-6,
    max_iterations: Iterations = 2000,
) -> Array:
    """Solve for alpha by likeness to pixels anywhere in the picture.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    trimap : ndarray of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    neighbors : int
        Nearest pixels in color and place that each is tied to, and half as many nearer in place. More
        joins what is far apart, and costs time and memory.
    tolerance : float
        Relative residual at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; more allow harder pictures, at more time.

    Returns
    -------
    ndarray of shape (M, N)
        Opacity, float32, 0..1; exactly 0 and 1 where the trimap says so.

    References
    ----------
    Q. Chen, D. Li, C.-K. Tang, "KNN matting", PAMI 35(9), 2013.
    """
    # Never more neighbors than pixels.
    most = max(1, min(neighbors, max(image.shape[0], LEAST) * max(image.shape[1], LEAST) - 1))
    options = {"n_neighbors": [most, max(1, most // 2)]}
    return _estimate("knn", image, trimap, options, (tolerance, max_iterations))


@stage(gives="alpha")
def learning_matting(
    image: Array,
    trimap: Array,
    *,
    epsilon: Annotated[float, Range(1e-10, 10, ui=(1e-8, 1e-3))] = 1e-7,
    tolerance: Tolerance = 1e-6,
    max_iterations: Iterations = 2000,
) -> Array:
    """Solve for alpha by a color model learned in each window.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    trimap : ndarray of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    epsilon : float
        Regularization of each window's model; larger makes alpha smoother.
    tolerance : float
        Relative residual at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; more allow harder pictures, at more time.

    Returns
    -------
    ndarray of shape (M, N)
        Opacity, float32, 0..1; exactly 0 and 1 where the trimap says so.

    References
    ----------
    Y. Zheng, C. Kambhamettu, "Learning based digital matting", ICCV 2009.
    """
    return _estimate("lbdm", image, trimap, {"epsilon": epsilon}, (tolerance, max_iterations))


@stage(gives="alpha")
def random_walk_matting(
    image: Array,
    trimap: Array,
    *,
    sigma: Annotated[float, Range(1e-4, 10, ui=(0.01, 0.2))] = 0.033,
    tolerance: Tolerance = 1e-6,
    max_iterations: Iterations = 2000,
) -> Array:
    """Solve for alpha as the chance that a random walk reaches the foreground first.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    trimap : ndarray of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    sigma : float
        Color difference that a walk still crosses; larger makes alpha smoother across edges.
    tolerance : float
        Relative residual at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; more allow harder pictures, at more time.

    Returns
    -------
    ndarray of shape (M, N)
        Opacity, float32, 0..1; exactly 0 and 1 where the trimap says so.

    References
    ----------
    L. Grady, T. Schiwietz, S. Aharon, R. Westermann, "Random walks for interactive alpha-matting", VIIP 2005.
    """
    return _estimate("rw", image, trimap, {"sigma": sigma}, (tolerance, max_iterations))


@stage(gives="alpha")
def large_kernel_matting(
    image: Array,
    trimap: Array,
    *,
    radius: Annotated[int, Range(1, 100, "px", ui=(1, 30))] = 10,
    epsilon: Annotated[float, Range(1e-10, 10, ui=(1e-6, 1e-2))] = 1e-4,
    tolerance: Tolerance = 1e-4,
    max_iterations: Iterations = 500,
) -> Array:
    """Solve for alpha by the matting Laplacian of large windows.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    trimap : ndarray of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    radius : int
        Half the window; larger reaches across wide bands and small holes. Limited by the picture.
    epsilon : float
        Weight of the color line's slope; larger makes alpha smoother.
    tolerance : float
        Relative residual at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; more allow harder pictures, at more time.

    Returns
    -------
    ndarray of shape (M, N)
        Opacity, float32, 0..1; exactly 0 and 1 where the trimap says so.

    References
    ----------
    K. He, J. Sun, X. Tang, "Fast matting using large kernel matting Laplacian matrices", CVPR 2010.
    """
    side = max(min(trimap.shape), LEAST)
    options = {"radius": min(radius, (side - 1) // 4), "epsilon": epsilon}  # PyMatting needs 4 r + 1 pixels
    return _estimate("lkm", image, trimap, options, (tolerance, max_iterations))


@stage(gives="alpha")
def shared_matting(image: Array, trimap: Array) -> Array:
    """Choose for each pixel the pair of known colors that explains it best.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    trimap : ndarray of shape (M, N)
        0 background, 128 unknown, 255 foreground.

    Returns
    -------
    ndarray of shape (M, N)
        Opacity, float32, 0..1; exactly 0 and 1 where the trimap says so.

    References
    ----------
    E. S. L. Gastal, M. M. Oliveira, "Shared sampling for real-time alpha matting", Eurographics 2010.
    """
    return _estimate("sm", image, trimap, None, None)


def _estimate(
    name: str, image: Array, trimap: Array, options: dict[str, Any] | None, limits: tuple[float, int] | None
) -> Array:
    """Run one of PyMatting's methods; a trimap that leaves nothing to solve is answered as closed form does."""
    alpha = np.zeros(trimap.shape, np.float32)
    alpha[trimap == FOREGROUND] = 1
    if not (trimap == UNKNOWN).any() or not (trimap == FOREGROUND).any():
        return alpha
    if not (trimap == BACKGROUND).any():
        return np.ones_like(alpha)
    try:
        import pymatting
    except ImportError:
        raise MissingPartError.of("matting", "this method, which is PyMatting's,") from None

    method: Callable[..., Array] = getattr(pymatting, f"estimate_alpha_{name}")
    margin = [(0, max(0, LEAST - side)) for side in trimap.shape]
    color = np.pad(image, (*margin, (0, 0)), "edge").astype(np.float64)
    share = np.pad(trimap, margin, "edge") / 255
    found = method(color, share) if options is None or limits is None else _solve(method, color, share, options, limits)
    unknown = trimap == UNKNOWN
    alpha[unknown] = np.clip(np.nan_to_num(found[: trimap.shape[0], : trimap.shape[1]][unknown]), 0, 1)
    return alpha


def _solve(
    method: Callable[..., Array], color: Array, share: Array, options: dict[str, Any], limits: tuple[float, int]
) -> Array:
    """Run a method that solves a system, keeping what it reached should it not converge."""
    last: dict[str, Any] = {}

    def follow(_matrix: Any, solution: Array, _right: Array, right_size: float, _rest: Array, rest_size: float) -> None:
        last.update(solution=solution, residual=float(rest_size / right_size), iterations=last.get("iterations", 0) + 1)

    tolerance, most = limits
    solver = {"rtol": tolerance, "maxiter": most, "callback": follow}
    try:
        found = method(color, share, laplacian_kwargs=options, cg_kwargs=solver)
    except ValueError as error:
        if "converge" not in str(error) or not last:
            raise
        found = last["solution"].reshape(share.shape)
        warnings.warn(
            f"residual {last['residual']:.1e} after {most} iterations, expected {tolerance:.1e}; "
            "raise max_iterations, or use closed_form_matting",
            ConvergenceWarning,
            stacklevel=4,
        )
    note(residual=last.get("residual", 0.0), iterations=last.get("iterations", 0))
    return found
