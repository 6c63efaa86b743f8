"""What several results of one picture say of one another, without truth.

Methods that fail, fail in ways of their own; where they agree they are mostly right. The consensus is
the weighted mean of the alphas, cut at one half; the disagreement of a pixel is the weighted standard
deviation of the alphas, doubled, so that an even split between 0 and 1 gives 1. Variants of one
pipeline share its vote, else a sweep would outvote everyone.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["boundary_distance", "consensus", "overlap", "votes"]

Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]


def votes(bases: Sequence[str]) -> NDArray[np.float64]:
    """Return each variant's share of the votes: every base pipeline has one, split among its variants.

    >>> votes(["auto", "auto", "fast"]).tolist()
    [0.25, 0.25, 0.5]
    """
    shares = np.array([1 / bases.count(base) for base in bases])
    return np.asarray(shares / shares.sum())


def consensus(alphas: Sequence[Alpha], shares: Sequence[float] | NDArray[np.float64]) -> tuple[Alpha, Alpha]:
    """Return the weighted mean (M, N) of alphas and their disagreement (M, N), both 0..1.

    >>> mean, spread = consensus([np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)], [0.5, 0.5])
    >>> float(mean[0, 0]), float(spread[0, 0])
    (0.5, 1.0)
    """
    mean = sum((share * alpha for share, alpha in zip(shares, alphas, strict=True)), np.zeros_like(alphas[0]))
    square = sum((share * alpha**2 for share, alpha in zip(shares, alphas, strict=True)), np.zeros_like(alphas[0]))
    spread = 2 * np.sqrt(np.maximum(square - mean**2, 0))
    return np.asarray(mean, np.float32), np.asarray(np.clip(spread, 0, 1), np.float32)


def overlap(first: Mask, second: Mask) -> float:
    """Return intersection over union; two empty masks agree fully."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def boundary_distance(first: Mask, second: Mask) -> float:
    """Return the mean distance between two outlines, in per mille of the diagonal, both ways.

    Two masks without an outline are 0 apart; of one with and one without the distance is the
    whole diagonal.

    >>> mask = np.zeros((4, 30), bool)
    >>> mask[:, 10:] = True
    >>> round(boundary_distance(mask, np.roll(mask, -3, axis=1) | mask), 1)  # 3 px of a diagonal of 30.3
    99.1
    """
    diagonal = float(np.hypot(*first.shape))
    ours, theirs = _outline(first), _outline(second)
    if not ours.any() or not theirs.any():
        return 0.0 if ours.any() == theirs.any() else 1000.0
    to_theirs = cv2.distanceTransform((~theirs).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[ours]
    to_ours = cv2.distanceTransform((~ours).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[theirs]
    return float((to_theirs.mean() + to_ours.mean()) / 2 / diagonal * 1000)


def _outline(mask: Mask) -> Mask:
    """Return the pixels of a mask that touch what is not of it; the frame is no outline."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(mask & (core == 0))
