"""Boundary metrics: how well the outline of a yes-or-no mask is met."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bgkit.evaluate.salient import check_pair

__all__ = ["boundary_iou", "inner_band", "mean_boundary_accuracy"]

Mask = NDArray[np.bool_]


def boundary_iou(mask: Mask, truth: Mask, *, share: float = 0.02) -> float:
    """Return intersection over union of the inner bands of both masks (Cheng et al. 2021).

    Parameters
    ----------
    mask, truth : bool array of shape (M, N)
    share : float
        Width of the band as a share of the diagonal, at least 1 px; wider forgives more.

    Returns
    -------
    float
        0..1; two empty masks agree on nothing and get 0, as in :func:`bgkit.evaluate.salient.iou`.
    """
    check_pair(mask, truth)
    width = max(1, round(share * float(np.hypot(*truth.shape))))
    ours, true = inner_band(mask, width), inner_band(truth, width)
    union = np.count_nonzero(ours | true)
    return np.count_nonzero(ours & true) / union if union else 0.0


def inner_band(mask: Mask, width: int) -> Mask:
    """Return the pixels of ``mask`` within ``width`` px (chessboard) of its outline or of the frame.

    >>> inner_band(np.ones((3, 3), bool), 1).astype(int)
    array([[1, 1, 1],
           [1, 0, 1],
           [1, 1, 1]])
    """
    import cv2

    solid = np.pad(mask.astype(np.uint8), 1)  # beyond the frame there is no subject
    core = cv2.erode(solid, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return np.asarray(mask & (core == 0))


def mean_boundary_accuracy(mask: Mask, truth: Mask) -> float:
    """Return the mean accuracy within five bands along the true outline (Cheng et al. 2020, CascadePSP).

    The bands reach from 1 px to 1/300 of width and height together on either side. Without an
    outline (all or nothing is subject) it is NaN.
    """
    import cv2

    check_pair(mask, truth)
    widest = sum(truth.shape) / 300
    solid = truth.astype(np.uint8)
    right = mask == truth
    accuracies = []
    for step in range(5):
        radius = 1 + int((widest - 1) / 5 * step)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        band = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, disk) > 0
        if not band.any():
            return float("nan")
        accuracies.append(right[band].mean())
    return float(np.mean(accuracies))
