"""Steady in time: the alpha of the frame before, moved along with the picture, meets the new one.

A matte found frame by frame flickers: noise and compression tip what is nearly undecided to one side or the other.
What the last frame showed is moved to where it is now by dense optical flow (Kroeger et al. 2016), found on a copy of
at most 640 px. It is believed where the flow leads there and back again and where the moved picture looks like the new
one; elsewhere, in what comes into view, the new alpha stays. The last frame's alpha was steadied itself, so this is a
recursive filter along the paths of motion. Cost: two flows on the small copy, and four passes over the picture.
"""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np

from bgkit.color import largest_channel, mean_channel
from bgkit.layers import Array, Layers
from bgkit.params import Range
from bgkit.stage import note, stage

WORKING = 640  # px, the longer side of the copy on which flow is found
SMALLEST = 24  # px, the shorter side of the smallest copy that has a flow: patches of 8 px on a scale of a half
ASTRAY = 0.7  # px of the copy between start and end of the way there and back, at which belief falls to 1/e
UNLIKE = 0.07  # between the moved picture and the new one, at which belief falls to 1/e
BLUR = 1.5  # px of the copy, before they are compared: noise is no difference


@stage(gives="alpha")
def steady(
    image: Array,
    alpha: Array,
    previous: Layers | None = None,
    *,
    strength: Annotated[float, Range(0, 0.98, ui=(0, 0.95))] = 0.85,
) -> Array:
    """Reduce the flicker of a film's alpha by the alpha of the frame before.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The frame.
    alpha : ndarray of shape (M, N), float32, 0..1
        Its opacity, found from this frame alone.
    previous : Layers, optional
        The frame before, with the alpha that it got in the end. Without it, as for the first frame and for a
        photograph, alpha stays as it is.
    strength : float
        Weight of the earlier alpha where the motion is certain; larger is steadier, and follows a change that motion
        does not explain more slowly: at 0.85 half of it is there after 4 frames.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Opacity of the subject.

    Notes
    -----
    With the flow v from this frame to the one before, out(p) = alpha(p) + s b(p) (previous(p + v) - alpha(p)), and
    b = exp(-(r / 0.7 px)² - (d / 0.07)²), where r is how far from its start a pixel ends that follows the flow there
    and back, d the largest difference of a channel between the moved picture and this one, and b is 0 for what comes
    from outside the frame.

    References
    ----------
    T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast optical flow using dense inverse search", ECCV 2016.
    N. Sundaram, T. Brox, K. Keutzer, "Dense point trajectories by GPU-accelerated large displacement optical flow",
    ECCV 2010: consistency forwards and backwards.

    Examples
    --------
    >>> steady(np.zeros((1, 2, 3)), [[0.25, 1.0]])
    array([[0.25, 1.  ]], dtype=float32)
    """
    if previous is None or previous.alpha is None or strength == 0:
        return alpha.copy()
    scale = min(1.0, WORKING / max(alpha.shape))
    now, before = (_small(each, scale) for each in (image, previous.image))
    if min(now.shape[:2]) < SMALLEST:
        return alpha.copy()
    back, belief = _flow(now, before)
    note(believed=float(belief.mean()))
    moved = _moved(previous.alpha, back)
    weight = np.float32(strength) * _enlarged(belief, alpha.shape)
    return np.clip(alpha + weight * (np.clip(moved, 0, 1) - alpha), 0, 1)


def _small(picture: Array, scale: float) -> Array:
    if scale == 1:
        return picture
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _flow(now: Array, before: Array) -> tuple[Array, Array]:
    """Return where each pixel was, columns and rows beside its place, px (M, N, 2), and its belief, 0..1 (M, N)."""
    gray, last = (np.rint(255 * mean_channel(each)).astype(np.uint8) for each in (now, before))
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    back, onwards = search.calc(gray, last, None), search.calc(last, gray, None)
    there = _grid(gray.shape) + back
    again = back + cv2.remap(onwards, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    looks = cv2.remap(before, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unlike = largest_channel(np.abs(cv2.GaussianBlur(looks - now, (0, 0), BLUR)))
    belief = np.exp(-(again**2).sum(-1) / np.float32(ASTRAY**2) - (unlike / np.float32(UNLIKE)) ** 2)
    last_pixel = np.array([gray.shape[1] - 1, gray.shape[0] - 1], np.float32)
    belief[((there < -0.5) | (there > last_pixel + 0.5)).any(-1)] = 0
    return back, belief


def _moved(alpha: Array, back: Array) -> Array:
    """Return the last alpha at its place in this frame. Cubic, since a straight line would soften edges each time."""
    scale = np.array([alpha.shape[1] / back.shape[1], alpha.shape[0] / back.shape[0]], np.float32)
    target = _grid(alpha.shape) + _enlarged(back, alpha.shape) * scale
    return cv2.remap(alpha, target, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _enlarged(array: Array, shape: tuple[int, ...]) -> Array:
    same = array.shape[:2] == shape
    return array if same else cv2.resize(array, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _grid(shape: tuple[int, ...]) -> Array:
    """Return column and row of each pixel, float32 (M, N, 2)."""
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack([cols, rows], -1)
