"""Steady in time: the alpha of the frame before, moved along with the picture, meets the new one.

A matte found frame by frame flickers: noise and compression tip what is nearly undecided to one side or the other.
What the last frame showed is moved to where it is now by dense optical flow (Kroeger et al. 2016), found on a copy of at
most 640 px. It is believed where the flow leads there and back again and where the moved picture looks like the new
one; elsewhere, in what comes into view, the new alpha stays. The last frame's alpha was steadied itself, so this is a
recursive filter along the paths of motion. Cost: two flows on the small copy, and four passes over the picture.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np

from bgkit.layers import Array, Layers
from bgkit.params import Range
from bgkit.stage import note, stage

WORKING = 640  # px, the longer side of the copy on which flow is found
SMALLEST = 24  # px, the shorter side of the smallest copy that has a flow: DIS looks at patches of 8
ASTRAY = 1.0  # px of the copy between the start and the end of the way there and back: weight 1/e
UNLIKE = 0.06  # between the moved picture and the new one, seen through a blur: weight 1/e


@stage(gives="alpha")
def steady(
    image: Array,
    alpha: Array,
    previous: Layers | None = None,
    *,
    strength: Annotated[float, Range(0, 0.95, ui=(0, 0.9))] = 0.7,
) -> Array:
    """Steady the alpha of a film's frame by that of the frame before, moved along with the picture."""
    if previous is None or previous.alpha is None or strength == 0:
        return alpha.copy()
    moved, belief = _moved(image, previous)
    belief *= np.float32(strength)
    return np.clip(alpha + belief * (moved - alpha), 0, 1)


def _moved(image, previous):
    scale = min(1.0, WORKING / max(alpha_shape := image.shape[:2]))
    one, other = (_small(each, scale) for each in (image, previous.image))
    gray, before = (np.rint(255 * each.mean(-1)).astype(np.uint8) for each in (one, other))
    search = cv2.DISOpticalFlow_create(PRESET)
    back, onwards = search.calc(gray, before, None), search.calc(before, gray, None)
    rows, cols = np.mgrid[: gray.shape[0], : gray.shape[1]].astype(np.float32)
    grid = np.dstack([cols, rows])
    there = grid + back
    again = back + cv2.remap(onwards, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    astray = np.sqrt((again**2).sum(-1))
    inside = ((there >= -0.5) & (there <= np.array([gray.shape[1] - 0.5, gray.shape[0] - 0.5]))).all(-1)
    looks = cv2.remap(other, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unlike = np.abs(cv2.GaussianBlur(looks - one, (0, 0), BLUR)).max(-1)
    belief = np.exp(-((astray / ASTRAY) ** 2) - (unlike / UNLIKE) ** 2) * inside
    size = image.shape[1::-1]
    if scale < 1:
        back = cv2.resize(back, size, interpolation=cv2.INTER_LINEAR) / np.float32(scale)
        belief = cv2.resize(belief, size, interpolation=cv2.INTER_LINEAR)
        rows, cols = np.mgrid[: size[1], : size[0]].astype(np.float32)
        grid = np.dstack([cols, rows])
    moved = cv2.remap(previous.alpha, grid + back, None, HOW, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved, 0, 1), belief.astype(np.float32)

PRESET, BLUR, HOW = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, 1.5, cv2.INTER_CUBIC

def _small(picture: Array, scale: float) -> Array:
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
