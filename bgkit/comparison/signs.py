"""Signs of trouble in a result, to be read without knowing the truth.

Each sign is a number that tends to be larger where a result is wrong: an unsure mask, islands,
holes, a subject cut by the frame, an outline that follows no edge of the picture, and witnesses that
say something else. Two witnesses look at a small copy of the picture, whatever pipeline made the
result: a color key (classical) and the embedded network (deep). :mod:`bgkit.comparison.confidence`
makes one number of the signs. All is computed on a copy of at most 384 px; about 0.1 s a picture, most
of it the witnesses, which are asked once for each picture of a process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.layers import Layers

__all__ = ["SIGNS", "signs", "witnesses"]

Array = NDArray[Any]

SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "unsure": "how undecided the alpha is: mean of 1 - abs(2 alpha - 1)",
        "mask_unsure": "the same of the mask before matting",
        "moved": "mean difference of mask and alpha, as a share of the subject",
        "small": "how far the subject is below 1 % of the picture, in powers of ten",
        "large": "how far the subject is above 60 % of the picture",
        "parts": "share of the subject that is not in its largest piece",
        "holes": "share of the filled subject that is holes",
        "border": "share of the frame that the subject touches",
        "rough": "outline longer than a disk's of the same area, log10",
        "faint": "share of the outline that follows no edge of the picture",
        "key_differs": "1 - IoU with the color key",
        "network_differs": "1 - IoU with the embedded network",
        "witnesses_differ": "1 - IoU of color key and network: classical and deep disagree",
        "network_unsure": "how undecided the network is, within the picture's likely subject",
        "unsolved": "by how many powers of ten the solver's residual misses 1e-5",
    }
)

SIDE = 384  # px


def witnesses(image: Array) -> tuple[Array, Array]:
    """Return the masks (m, n), float32, of color key and network for a copy of at most 384 px."""
    from bgkit import stages

    small = _small(image)
    return stages.luv_threshold(small, connected=True), stages.cnn_mask(small)


def signs(layers: Layers, seen: tuple[Array, Array] | None = None) -> dict[str, float]:
    """Return the signs of a result, each by its name in :data:`SIGNS`, larger meaning worse.

    Parameters
    ----------
    layers : Layers
        With an alpha; a mask and the facts of solvers are used where they are there.
    seen : pair of float arrays, optional
        What :func:`witnesses` returned for the same picture.
    """
    assert layers.alpha is not None
    image, alpha = _small(layers.image), _small(layers.alpha)
    mask = _small(layers.mask) if layers.mask is not None else alpha
    solid = alpha >= 0.5
    area = float(solid.mean())
    key, network = seen or witnesses(layers.image)
    likely = network >= 0.25
    islands, holes, length = _shape(solid)
    frame = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
    residuals = [float(fact["residual"]) for fact in layers.facts.values() if "residual" in fact]
    return {
        "unsure": float(np.mean(1 - np.abs(2 * alpha - 1))),
        "mask_unsure": float(np.mean(1 - np.abs(2 * mask - 1))),
        "moved": float(np.abs(mask - alpha).mean()) / max(area, 0.01),
        "small": max(0.0, math.log10(0.01 / max(area, 1e-4))),
        "large": max(0.0, area - 0.6),
        "parts": islands,
        "holes": holes,
        "border": float(frame.mean()),
        "rough": max(0.0, math.log10(max(length, 1.0) ** 2 / (4 * math.pi * solid.sum()))) if solid.any() else 0.0,
        "faint": _faint(image, solid),
        "key_differs": 1 - _iou(solid, key >= 0.5),
        "network_differs": 1 - _iou(solid, network >= 0.5),
        "witnesses_differ": 1 - _iou(key >= 0.5, network >= 0.5),
        "network_unsure": float((1 - np.abs(2 * network[likely] - 1)).mean()) if likely.any() else 1.0,
        "unsolved": max((math.log10(max(one, 1e-5) / 1e-5) for one in residuals), default=0.0),
    }


def _small(array: Array) -> Array:
    """Return a copy of at most ``SIDE`` px, by areas."""
    rows, cols = array.shape[:2]
    scale = min(1.0, SIDE / max(rows, cols))
    if scale == 1:
        return np.ascontiguousarray(array, np.float32)
    size = max(1, round(cols * scale)), max(1, round(rows * scale))
    return np.asarray(np.clip(cv2.resize(array, size, interpolation=cv2.INTER_AREA), 0, 1))


def _iou(a: Array, b: Array) -> float:
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 1.0


def _shape(solid: Array) -> tuple[float, float, float]:
    """Return the share outside the largest piece, the share of holes, and the outline's length in px."""
    if not solid.any():
        return 0.0, 0.0, 0.0
    padded = np.pad(solid.astype(np.uint8), 1)
    _, _, pieces, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
    sizes = pieces[1:, cv2.CC_STAT_AREA]
    outlines, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(padded), outlines, -1, 1, cv2.FILLED)
    length = sum(cv2.arcLength(outline, True) for outline in outlines)
    return (
        1 - float(sizes.max()) / float(sizes.sum()),
        1 - float(padded.sum()) / float(filled.sum()),
        float(length),
    )


def _faint(image: Array, solid: Array) -> float:
    """Return the share of the outline where the picture's slope is below its own median plus a hair."""
    cross = np.ones((3, 3), np.uint8)
    outline = cv2.morphologyEx(solid.astype(np.uint8), cv2.MORPH_GRADIENT, cross) > 0
    if not outline.any():
        return 1.0
    slope = np.zeros(solid.shape, np.float32)
    for channel in cv2.split(cv2.GaussianBlur(image, (0, 0), 1.0)):
        across, down = cv2.Sobel(channel, cv2.CV_32F, 1, 0), cv2.Sobel(channel, cv2.CV_32F, 0, 1)
        slope = np.maximum(slope, np.hypot(across, down))
    near = cv2.dilate(slope, cross, iterations=2)
    return float((near[outline] < np.median(slope) + 0.08).mean())
