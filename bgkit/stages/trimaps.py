"""Trimaps: where matting has to decide.

``make_trimap`` leaves unknown what the mask itself is unsure of, and a band around it. The band's width has a part
that follows the subject's size and a part that follows how wide the mask's own soft zone is around there: a few pixels
along a hard edge, wide where hair is. Two distance transforms and one box filter; time per pixel does not depend on
any width.

``strokes`` grows a few strokes into the same kind of trimap: along paths on which the subject's color model changes
little.
"""

from __future__ import annotations

import math
import warnings
from typing import Annotated

import cv2
import numpy as np

from bgkit.distance import distance_to
from bgkit.extent import subject_box
from bgkit.geodesic import color_probability, grow_between, reduce_stroke, reduced_shape
from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.resizing import reduced
from bgkit.stage import stage


@stage(gives="trimap")
def make_trimap(
    mask: Array,
    *,
    width: Annotated[float, Range(0, 200, "per mille of the subject's diagonal", ui=(0, 20))] = 6.0,
    spread: Annotated[float, Range(0, 10, "", ui=(0, 3))] = 0.25,
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

    The defaults were chosen by the error of ``closed_form_matting`` (``benchmarks/trimap_rule.py``).

    Examples
    --------
    >>> make_trimap([[0, 0, 0, 0.5, 1, 1, 1, 1]], width=130, spread=0)
    array([[  0, 128, 128, 128, 128, 255, 255, 255]], dtype=uint8)
    """
    inside = mask >= 0.5
    trimap = inside.view(np.uint8) * np.uint8(FOREGROUND)
    unsure = (mask > margin) & (mask < 1 - margin)
    seed = unsure | _contour(inside)
    if not seed.any():
        return trimap
    diagonal = math.hypot(*subject_box(mask))
    reach = spread * _soft_width(unsure, round(0.036 * diagonal))
    reach += np.float32(max(width / 1000 * diagonal, 1e-3))
    distance = distance_to(seed, float(reach.max()) + 1)
    np.copyto(trimap, UNKNOWN, where=distance <= reach)
    return _keep_both(trimap, mask, unsure)


@stage(gives="trimap")
def threshold_trimap(
    mask: Array,
    *,
    foreground: Annotated[float, Range(0, 1, "", ui=(0.5, 1))] = 0.94,
    background: Annotated[float, Range(0, 1, "", ui=(0, 0.5))] = 0.04,
    erosion: Annotated[float, Range(0, 200, "per mille of the picture's diagonal", ui=(0, 20))] = 5.0,
) -> Array:
    """Turn a mask into a trimap by two thresholds, and erode what is sure: as rembg and many scripts do.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        How likely each pixel is subject.
    foreground : float
        Above it a pixel is subject; larger leaves more to matting.
    background : float
        Below it a pixel is background; smaller leaves more to matting.
    erosion : float
        How far both sides are taken back from their edge (Chebyshev distance); larger leaves more to matting.

    Returns
    -------
    ndarray of shape (M, N), uint8
        0 background, 128 unknown, 255 foreground. Where erosion would remove all of the foreground or of the
        background, a core of it stays, as in :func:`make_trimap`.

    Notes
    -----
    The defaults are rembg's thresholds, 240 and 10 of 255. :func:`make_trimap` has the smaller errors: its band
    follows how unsure the mask is.

    Examples
    --------
    >>> threshold_trimap([[0, 0, 0, 0.2, 1, 1, 1, 1]], erosion=130)
    array([[  0,   0, 128, 128, 128, 255, 255, 255]], dtype=uint8)
    """
    reach = round(erosion / 1000 * math.hypot(*mask.shape))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    trimap = np.full(mask.shape, UNKNOWN, np.uint8)
    for value, sure in ((BACKGROUND, mask < background), (FOREGROUND, mask > foreground)):
        trimap[cv2.erode(sure.astype(np.uint8), kernel) > 0] = value
    return _keep_both(trimap, mask, (mask >= background) & (mask <= foreground))


@stage(gives="trimap")
def strokes(
    image: Array,
    strokes: Array,
    *,
    side: Annotated[int, Range(64, 2048, "px", ui=(200, 800))] = 400,
    width: Annotated[float, Range(0, 200, "per mille of the subject's diagonal", ui=(0, 20))] = 10.0,
    grow: bool = True,
) -> Array:
    """Grow strokes on subject and background into a trimap.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    strokes : ndarray of shape (M, N), uint8
        0 on background, 255 on the subject, 128 elsewhere.
    side : int
        Longer side of the reduced picture on which the strokes grow; larger follows finer parts, at more time.
    width : float
        Half-width of the band around the line where both meet; larger leaves more to matting.
    grow : bool
        Off, the trimap is the strokes alone, and all else is unknown. Matting then takes longer, and finds what no band
        around a contour holds, such as smoke or glass.

    Returns
    -------
    ndarray of shape (M, N), uint8
        0 background, 128 unknown, 255 foreground; as drawn under the strokes. Where strokes of one of the two sides
        are missing, everything but the strokes is unknown.

    Warns
    -----
    UserWarning
        Where strokes of one of the two sides are missing.

    Notes
    -----
    Color histograms under the strokes give each pixel's probability P of being subject. The distance D to a stroke is
    the least sum of changes of P along a path. The mask is P / D against (1 - P) / D of the other side (equation 5
    with r = 1), and :func:`make_trimap` draws the band.

    References
    ----------
    X. Bai and G. Sapiro, Geodesic matting: a framework for fast interactive image and video segmentation and matting,
    International Journal of Computer Vision 82, 2009, sections 2 and 3.

    Examples
    --------
    >>> drawn = np.array([[0, 128, 128, 128, 128, 128, 128, 255]], np.uint8)
    >>> strokes([[[0.1] * 3] * 4 + [[0.9] * 3] * 4], drawn, width=0)
    array([[  0,   0,   0, 128, 128, 255, 255, 255]], dtype=uint8)
    """
    trimap = strokes.copy()
    for missing, value in (("background", BACKGROUND), ("subject", FOREGROUND)):
        if not (strokes == value).any():
            warnings.warn(f"strokes: none on the {missing}; draw some there too", UserWarning, stacklevel=2)
            return trimap
    if not grow:
        return trimap
    shape = reduced_shape(strokes.shape, side)
    small = reduced(image, shape)
    drawn = [reduce_stroke(strokes == value, shape) for value in (BACKGROUND, FOREGROUND)]
    mask = grow_between(color_probability(small, *drawn), *drawn)
    mask = cv2.resize(mask, strokes.shape[::-1], interpolation=cv2.INTER_LINEAR)
    grown = make_trimap.stage.function(np.clip(mask, 0, 1), width=width)  # type: ignore[attr-defined]
    trimap[strokes == UNKNOWN] = grown[strokes == UNKNOWN]
    return trimap


def _contour(inside: Array) -> Array:
    """Return the pixels on both sides of every change from inside to outside."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.morphologyEx(inside.view(np.uint8), cv2.MORPH_GRADIENT, cross).view(bool)


def _soft_width(unsure: Array, reach: int) -> Array:
    """Return the mean width, in pixels, of the unsure zone within ``reach`` pixels.

    A zone of width w that crosses a window of side s covers w * s of its s * s pixels.
    """
    side = 2 * reach + 1
    covered = cv2.boxFilter(
        unsure.view(np.uint8), cv2.CV_32F, (side, side), normalize=False, borderType=cv2.BORDER_REPLICATE
    )
    covered /= np.float32(side)
    return covered


def _keep_both(trimap: Array, mask: Array, unsure: Array) -> Array:
    """Bring back a core of foreground and of background where the band has swallowed all of it.

    Matting cannot start from nothing; the pixels farthest from the contour are the safest guess.
    """
    for value in (FOREGROUND, BACKGROUND):
        if (trimap == value).any():
            continue
        sure = ((mask >= 0.5) == (value == FOREGROUND)) & ~unsure
        if sure.any():
            depth = cv2.distanceTransform(sure.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            trimap[sure & (depth >= 0.9 * depth.max())] = value
    return trimap
