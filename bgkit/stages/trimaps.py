"""Trimaps: where matting has to decide.

``make_trimap`` leaves unknown what the mask itself is unsure of, and a band around it. The band's width has a part
that follows the picture's size and a part that follows how wide the mask's own soft zone is around there: a few pixels
along a hard edge, wide where hair is. Two distance transforms and one box filter; time per pixel does not depend on
any width.
"""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np

from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.stage import stage


@stage(gives="trimap")
def make_trimap(
    mask: Array,
    *,
    width: Annotated[float, Range(0, 200, "per mille of the picture's diagonal", ui=(0, 20))] = 5.0,
    spread: Annotated[float, Range(0, 10, "", ui=(0, 3))] = 0.5,
    margin: Annotated[float, Range(0, 0.49, "", ui=(0.01, 0.3))] = 0.1,
) -> Array:
    """Turn a mask into background, foreground and the band between that matting decides.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        Values between ``margin`` and 1 - ``margin`` are unsure.
    width : float
        Half-width of the band around the contour and around unsure pixels; larger leaves more to matting, at more time.
    spread : float
        How much wider the band gets where the mask is soft, as a share of the soft zone's own width there.
    margin : float
        How far from 0 and 1 the mask may be and still be sure; larger leaves less to matting.

    Returns
    -------
    ndarray of shape (M, N), uint8
        0 background, 128 unknown, 255 foreground. A mask that is nowhere, or everywhere, at least 0.5 and has no
        unsure pixel gives a trimap of one value.

    Notes
    -----
    A pixel is unknown if it is at most ``width + spread * w`` away from an unsure pixel or from the contour
    ``mask = 0.5``, with w the mean width of the soft zone in the neighborhood.

    Examples
    --------
    >>> make_trimap([[0, 0, 0, 0.5, 1, 1, 1, 1]], width=130, spread=0)
    array([[  0, 128, 128, 128, 128, 255, 255, 255]], dtype=uint8)
    """
    inside = mask >= 0.5
    trimap = np.where(inside, np.uint8(FOREGROUND), np.uint8(BACKGROUND))
    unsure = (mask > margin) & (mask < 1 - margin)
    seed = (unsure | _contour(inside)).view(np.uint8)
    if not seed.any():
        return trimap
    diagonal = math.hypot(*mask.shape)
    distance = cv2.distanceTransform(1 - seed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    reach = max(width / 1000 * diagonal, 1e-3) + spread * _soft_width(unsure, inside, round(0.03 * diagonal))
    unknown = distance <= reach
    trimap[unknown] = UNKNOWN
    return _keep_both(trimap, mask, unsure)


def _contour(inside: Array) -> Array:
    """Return the pixels on both sides of every change from inside to outside."""
    edge = np.zeros(inside.shape, bool)
    step = inside[1:] != inside[:-1]
    edge[1:] |= step
    edge[:-1] |= step
    step = inside[:, 1:] != inside[:, :-1]
    edge[:, 1:] |= step
    edge[:, :-1] |= step
    return edge


def _soft_width(unsure: Array, inside: Array, reach: int) -> Array:
    """Return the mean width, in pixels, of the unsure zone within ``reach`` pixels.

    A zone of width w that crosses a window of side s covers w * s of its s * s pixels.
    """
    side = 2 * reach + 1
    share = cv2.blur(unsure.astype(np.float32), (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.maximum(share, 0) * np.float32(side)  # type: ignore[no-any-return]


def _keep_both(trimap: Array, mask: Array, unsure: Array) -> Array:
    """Bring back a core of foreground and of background where the band has swallowed all of it.

    Matting cannot start from nothing; the pixels farthest from the contour are the safest guess.
    """
    inside = mask >= 0.5
    for value, side in ((FOREGROUND, inside), (BACKGROUND, ~inside)):
        sure = side & ~unsure
        if sure.any() and not (trimap == value).any():
            depth = cv2.distanceTransform(sure.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            trimap[sure & (depth >= 0.9 * depth.max())] = value
    return trimap
