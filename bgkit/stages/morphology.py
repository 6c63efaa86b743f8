"""Open and close a mask with a disk.

The disk is flat and Euclidean, the footprint of ``skimage.morphology.disk``; what lies outside the picture is left out
of account, so that a subject that the frame cuts off is not eaten from there. Works on soft masks by least and
greatest values, which on masks of 0 and 1 is the usual erosion and dilation. The radius is a share of the diagonal, so
that one pipeline file serves 0.3 and 24 megapixels. Cost per pixel: a few nanoseconds; on masks of 0 and 1 it does not
depend on the radius.
"""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np

from bgkit._ext.disk import STRIP, disk_extreme
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage
from bgkit.threads import threads

Radius = Annotated[float, Range(0, 200, "per mille of the picture's diagonal", ui=(0, 10))]

# From here on two distance transforms beat the chords of the disk; they need a mask of 0 and 1. At 1 MP on two threads
# a radius of 5 takes 1 ms by chords and 10 by distance, one of 40 about the same, one of 400 five times longer.
WIDE = 40  # px


@stage(gives="mask")
def opening(mask: Array, *, radius: Radius = 1.0) -> Array:
    """Take away what is too narrow to hold a disk.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        Hard or soft.
    radius : float
        Of the disk, rounded to whole pixels; larger takes away wider threads and specks.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Nowhere above ``mask``.

    References
    ----------
    P. Soille, Morphological Image Analysis, 2nd ed., 2003, chapter 4.

    Examples
    --------
    >>> opening([[0, 1, 0, 1, 1, 1.0]], radius=180)
    array([[0., 0., 0., 1., 1., 1.]], dtype=float32)
    """
    pixels = _pixels(radius, mask)
    return _spread(_shrink(mask, pixels), pixels)


@stage(gives="mask")
def closing(mask: Array, *, radius: Radius = 1.0) -> Array:
    """Fill what is too narrow for a disk to pass.

    Parameters
    ----------
    mask : ndarray of shape (M, N), float32, 0..1
        Hard or soft.
    radius : float
        Of the disk, rounded to whole pixels; larger joins wider gaps.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Nowhere below ``mask``.

    References
    ----------
    P. Soille, Morphological Image Analysis, 2nd ed., 2003, chapter 4.

    Examples
    --------
    >>> closing([[1, 1, 0, 1, 1.0]], radius=180)
    array([[1., 1., 1., 1., 1.]], dtype=float32)
    """
    pixels = _pixels(radius, mask)
    return _shrink(_spread(mask, pixels), pixels)


def _pixels(radius: float, mask: Array) -> int:
    return round(radius / 1000 * math.hypot(*mask.shape))


def _shrink(mask: Array, radius: int) -> Array:
    """Return the erosion: the least value within the disk."""
    if radius > WIDE and _is_hard(mask):
        return _farther(mask != 0, radius).astype(np.float32)
    return _extreme(mask, radius, greatest=False)


def _spread(mask: Array, radius: int) -> Array:
    """Return the dilation: the greatest value within the disk."""
    if radius > WIDE and _is_hard(mask):
        return (~_farther(mask == 0, radius)).astype(np.float32)
    return _extreme(mask, radius, greatest=True)


def _extreme(mask: Array, radius: int, *, greatest: bool) -> Array:
    bands = -(-mask.shape[0] // 64)
    half = _chords(radius)
    scratch = np.empty((bands, (2 * radius + 1).bit_length(), STRIP + 2 * radius), np.float32)
    out = np.empty_like(mask)
    disk_extreme(mask, half, greatest, scratch, out, min(threads(), bands))
    return out


def _chords(radius: int) -> Array:
    """Return half the length of the disk's chord at each distance 0..radius from its middle."""
    return np.array([math.isqrt(radius * radius - away * away) for away in range(radius + 1)], np.int32)


def _is_hard(mask: Array) -> bool:
    return bool(((mask == 0) | (mask == 1)).all())


def _farther(inside: Array, radius: int) -> Array:
    """Tell which pixels lie farther than ``radius`` from any pixel that is not ``inside``."""
    if inside.all():
        return inside
    distance = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    far: Array = distance > math.sqrt(radius * radius + 0.5)  # squared distances are whole numbers
    return far
