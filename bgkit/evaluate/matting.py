"""Matting metrics: how far an alpha is from the true alpha.

Each is taken over the unknown region of a trimap where one is given, else over the whole frame.
Nothing is stretched or rounded. ``sad`` is in thousands of pixels; ``grad`` and ``conn`` are plain
sums (papers often print them divided by 1000 too). A mean over no pixel is NaN.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import LayerError
from bgkit.evaluate.salient import check_pair

__all__ = ["conn", "dtssd", "foreground_mse", "grad", "mad", "mse", "sad"]

Array = NDArray[Any]

UNKNOWN = 128
NEARLY = 1e-6  # 0.7 in float32 lies below 7 * 0.1 in float64, and is meant to be the same level


def sad(alpha: Array, truth: Array, trimap: Array | None = None) -> float:
    """Return the sum of absolute differences, in thousands of fully wrong pixels.

    >>> sad(np.ones((50, 40)), np.zeros((50, 40)))
    2.0
    """
    return float(np.abs(_difference(alpha, truth, trimap)).sum() / 1000)


def mse(alpha: Array, truth: Array, trimap: Array | None = None) -> float:
    """Return the mean squared difference, 0..1."""
    return _mean(_difference(alpha, truth, trimap) ** 2)


def mad(alpha: Array, truth: Array, trimap: Array | None = None) -> float:
    """Return the mean absolute difference, 0..1."""
    return _mean(np.abs(_difference(alpha, truth, trimap)))


def grad(alpha: Array, truth: Array, trimap: Array | None = None, *, sigma: float = 1.4) -> float:
    """Return the gradient error: the sum of (|grad alpha| - |grad truth|) squared (Rhemann et al. 2009).

    The derivatives are those of a Gaussian of ``sigma`` px, cut off where it falls below 0.01 and
    scaled to unit energy, as in the authors' code; beyond the border the picture is continued by its outermost pixels.
    """
    check_pair(alpha, truth)
    error = (_slope(alpha, sigma) - _slope(truth, sigma)) ** 2
    return float(error[region(truth, trimap)].sum())


def conn(alpha: Array, truth: Array, trimap: Array | None = None, *, step: float = 0.1, theta: float = 0.15) -> float:
    """Return the connectivity error (Rhemann et al. 2009, p = 1).

    For every threshold the largest 4-connected piece where both are opaque is the source. A pixel's
    level is the last threshold up to which it belongs to it; how far alpha stands above that level,
    if by ``theta`` or more, is how disconnected it is; the error sums the differences of that.
    """
    check_pair(alpha, truth)
    levels = _connected_up_to(alpha, truth, step)
    error = np.abs(_disconnected(alpha, levels, theta) - _disconnected(truth, levels, theta))
    return float(error[region(truth, trimap)].sum())


def dtssd(
    alpha: Array, truth: Array, trimap: Array | None = None, *, before: tuple[Array, Array] | None = None
) -> float:
    """Return the error of alpha's change since the frame before (Erofeev et al. 2015), in percent; NaN without one.

    The root of the mean over pixels of ((alpha - alpha before) - (truth - truth before)) squared, times 100, as Lin et
    al. (2022) print it. Flicker counts in full, an error that lies still not at all.

    Parameters
    ----------
    before : pair of arrays of shape (M, N), optional
        Alpha and truth of the frame before.

    References
    ----------
    M. Erofeev, Y. Gitman, D. Vatolin, A. Fedorov, J. Wang, "Perceptually motivated benchmark for video matting",
    BMVC 2015. S. Lin, L. Yang, I. Saleemi, S. Sengupta, "Robust high-resolution video matting with temporal guidance",
    WACV 2022.

    >>> still, flash = np.zeros((2, 2)), np.full((2, 2), 0.5)
    >>> dtssd(flash, still, before=(still, still)), dtssd(flash, still, before=(flash, still))
    (50.0, 0.0)
    """
    if before is None:
        return float("nan")
    check_pair(before[0], truth)
    check_pair(before[1], truth)
    change = _difference(alpha, truth, trimap) - _difference(before[0], before[1], trimap)
    return 100 * _mean(change**2) ** 0.5


def foreground_mse(foreground: Array, truth: Array, alpha: Array) -> float:
    """Return the mean squared error of the subject's color, over channels, where the true alpha is above 0.

    Parameters
    ----------
    foreground, truth : array of shape (M, N, 3)
        Colors in 0..1, not multiplied by alpha.
    alpha : array of shape (M, N)
        The true opacity.
    """
    if foreground.shape != truth.shape or foreground.shape[:2] != alpha.shape:
        raise LayerError(
            f"foreground: expected the truth's shape {truth.shape} and alpha's size {alpha.shape}, "
            f"got {foreground.shape}"
        )
    seen = alpha > 0
    return _mean((foreground[seen].astype(np.float64) - truth[seen]) ** 2)


def region(truth: Array, trimap: Array | None) -> NDArray[np.bool_]:
    """Return the pixels to measure: the trimap's unknown ones (neither 0 nor 255), or all."""
    if trimap is None:
        return np.ones(truth.shape, np.bool_)
    if trimap.shape != truth.shape:
        raise LayerError(f"trimap: expected the truth's shape {truth.shape}, got {trimap.shape}")
    return np.asarray(trimap == UNKNOWN)


def _difference(alpha: Array, truth: Array, trimap: Array | None) -> NDArray[np.float64]:
    check_pair(alpha, truth)
    difference = alpha.astype(np.float64) - truth
    return difference.ravel() if trimap is None else difference[region(truth, trimap)]


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


@functools.cache
def _kernels(sigma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a Gaussian and its derivative, such that their outer product has unit energy."""
    half = int(np.ceil(sigma * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * sigma * 0.01))))
    offsets = np.arange(-half, half + 1.0)
    bell = np.exp(-(offsets**2) / (2 * sigma**2))
    slope = -offsets * bell
    return bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)


def _slope(alpha: Array, sigma: float) -> NDArray[np.float64]:
    import cv2

    bell, slope = _kernels(sigma)
    alpha = alpha.astype(np.float64)
    down = cv2.sepFilter2D(alpha, cv2.CV_64F, bell, slope, borderType=cv2.BORDER_REPLICATE)
    across = cv2.sepFilter2D(alpha, cv2.CV_64F, slope, bell, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(down, across))


def _connected_up_to(alpha: Array, truth: Array, step: float) -> NDArray[np.float64]:
    import cv2

    both = np.minimum(alpha, truth)
    levels = np.ones(both.shape)
    open_still = np.ones(both.shape, np.bool_)
    thresholds = np.arange(0, 1 + step / 2, step)
    for last, threshold in itertools.pairwise(thresholds):
        opaque = (both >= threshold - NEARLY).astype(np.uint8)
        # Counting labels ourselves takes a third of OpenCV's own statistics, which add up centroids too.
        _, labels = cv2.connectedComponents(opaque, connectivity=4)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        source = (labels == sizes.argmax()) & (opaque > 0)
        levels[open_still & ~source] = last
        open_still &= source
    return levels


def _disconnected(alpha: Array, levels: NDArray[np.float64], theta: float) -> NDArray[np.float64]:
    above = alpha.astype(np.float64) - levels
    return np.where(above >= theta - NEARLY, above, 0.0)
