"""What some networks see beside the picture, made of a sample's truth: a trimap, or a mask to be mended.

A trimap's unknown band is what is neither surely subject nor surely ground, widened by random amounts on either side,
as trimaps for matting are made (Xu et al. 2017). A mask to be mended is the truth, spoiled in the ways that coarse
masks are wrong (Cheng et al. 2020, section 3.4): its outline wobbles, holes and blobs appear, it was small once.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["spoil", "trimap_of"]

Map = NDArray[np.float32]
UNKNOWN = 128 / 255  # as a network's card hands a trimap in


def trimap_of(truth: Map, rng: np.random.Generator) -> Map:
    """Return a trimap (S, S) of 0, 128/255 and 1 that holds for a soft truth (S, S)."""
    widest = max(2, truth.shape[0] // 16)
    inner, outer = (int(width) for width in rng.integers(1, widest + 1, 2))
    subject = cv2.erode((truth >= 0.98).astype(np.uint8), _disk(inner))
    ground = cv2.erode((truth <= 0.02).astype(np.uint8), _disk(outer))
    return np.where(subject > 0, 1, np.where(ground > 0, 0, UNKNOWN)).astype(np.float32)


def _disk(radius: int) -> NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def spoil(truth: Map, rng: np.random.Generator) -> Map:
    """Return a mask (S, S), 0..1, that is wrong where coarse masks of ``truth`` (S, S) would be."""
    size = truth.shape[0]
    row, col = np.mgrid[:size, :size].astype(np.float32)
    reach = np.float32(rng.uniform(0, 0.05) * size)
    knots = rng.normal(0, 1, (2, 6, 6)).astype(np.float32)
    moved = [cv2.resize(each, (size, size), interpolation=cv2.INTER_CUBIC) * reach for each in knots]
    mask = cv2.remap(truth, col + moved[0], row + moved[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    for _ in range(int(rng.integers(0, 4))):  # a hole or a blob, on the outline where there is one
        outline = np.argwhere(cv2.morphologyEx((mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, _disk(1)))
        places = outline if len(outline) else np.array([[size // 2, size // 2]])
        middle = places[rng.integers(len(places))]
        axes = [max(1, int(size * share)) for share in rng.uniform(0.01, 0.08, 2)]
        place = (int(middle[1]), int(middle[0]))
        cv2.ellipse(mask, place, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.random() < 0.5), -1)
    width = int(rng.integers(-size // 32 - 1, size // 32 + 2))
    if width:
        mask = (cv2.dilate if width > 0 else cv2.erode)(mask, _disk(abs(width)))
    if rng.random() < 0.7:  # it came from a small map
        small = max(2, int(size / rng.uniform(2, 8)))
        down = cv2.resize(mask, (small, small), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(down, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.clip(mask, 0, 1).astype(np.float32)
