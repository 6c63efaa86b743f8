"""Geodesic distances from strokes, and what the colors under strokes say (Bai and Sapiro 2009).

Two stages grow what a user has drawn along paths on which the subject's color model changes little: ``strokes`` to a
trimap, ``retouch`` into the result so far.
"""

from __future__ import annotations

import cv2
import numpy as np

from bgkit.layers import Array

__all__ = ["color_probability", "grow_between", "reduce_stroke", "reduced_shape"]


def reduced_shape(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return rows and columns of a picture whose longer side is at most ``side``."""
    scale = min(1.0, side / max(shape[:2]))
    rows, cols = (max(1, round(length * scale)) for length in shape[:2])
    return rows, cols


def reduce_stroke(stroke: Array, shape: tuple[int, int]) -> Array:
    """Return which reduced pixels a stroke touches; a thin one must not get lost."""
    reduced: Array = cv2.resize(stroke.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA) > 0
    return reduced


def color_probability(image: Array, background: Array, subject: Array) -> Array:
    """Return each pixel's probability of being subject, by color histograms of the marked pixels.

    32 levels per CIELAB axis, smoothed by a Gaussian of 1.5 levels: a kernel density estimate on a grid.
    """
    from scipy.ndimage import gaussian_filter  # takes longer to import than all of bgkit

    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    levels = ((lab - (0, -100, -100)) / (100, 200, 200) * 31.99).clip(0, 31).astype(np.intp)
    place = np.ravel_multi_index(tuple(np.moveaxis(levels, 2, 0)), (32, 32, 32))
    likelihoods = []
    for drawn in (background, subject):
        counts = np.bincount(place[drawn], minlength=32**3).reshape(32, 32, 32)
        likelihoods.append(gaussian_filter(counts / counts.sum(), 1.5, truncate=3).ravel()[place] + 1e-7)
    share: Array = likelihoods[1] / (likelihoods[0] + likelihoods[1])
    return share


def grow_between(probability: Array, background: Array, subject: Array) -> Array:
    """Return the share of subject, 0..1, of each pixel between strokes on both.

    The distance D to a stroke is the least sum of changes of the probability P along a path; the share weighs P / D of
    the subject's strokes against (1 - P) / D of the background's (equation 5 of the paper with r = 1).
    """
    from skimage.graph import MCP_Geometric

    slope = np.hypot(*np.gradient(np.pad(probability, 1, mode="edge")))[1:-1, 1:-1]
    cost = slope + 1e-3  # where color tells nothing, the nearer stroke wins

    def distance(drawn: Array) -> Array:
        # All paths leave through the edge, and skimage looks at each start in Python: half the time of a stroke.
        inner = cv2.erode(drawn.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        costs: Array = MCP_Geometric(cost).find_costs(np.argwhere(drawn & ~inner))[0]
        costs[inner] = 0
        return costs

    to_background, to_subject = distance(background), distance(subject)
    for_subject, for_background = to_background * probability, to_subject * (1 - probability)
    share: Array = for_subject / np.maximum(for_subject + for_background, 1e-12)
    return share.astype(np.float32)
