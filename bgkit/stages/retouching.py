"""Strokes on a finished result: the brush.

A stroke marks subject or background in an alpha that is right elsewhere. How far it reaches is found in two steps.
Along geodesic paths (Bai and Sapiro 2009) it spreads to what looks like the pixels under it, against all that lies
farther away than ``reach``, where alpha stays as it is. Then the matting Laplacian (Levin, Lischinski and Weiss 2008)
is solved in a band around the contour that has moved, with the strokes and the alpha around it as known values. Both
work on a window around the strokes: the cost follows the strokes, not the picture.
"""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np

from bgkit.geodesic import color_probability, grow_between, reduce_stroke, reduced_shape
from bgkit.laplacian import solve
from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.stage import note, stage
from bgkit.threads import threads

EPSILON, TOLERANCE = 1e-7, 1e-3  # of the matting Laplacian and of its solution: a fourth of a step of 8 bits
HOLD = 1e4  # weight that keeps a pixel at its alpha; the Laplacian's own diagonal is at most 9
LEAN = 1e-3  # weight of what has grown, for parts of the band that no known pixel decides
LIMIT = 2  # widths; what is unsure farther from the contour takes the nearer side, which bounds the time
SURE = 0.9  # where the result so far takes a side


@stage(gives="alpha")
def retouch(
    image: Array,
    alpha: Array,
    strokes: Array | None = None,
    *,
    reach: Annotated[float, Range(0, 1000, "per mille of the picture's diagonal", ui=(0, 500))] = 200.0,
    width: Annotated[float, Range(0, 100, "per mille of the picture's diagonal", ui=(0, 20))] = 8.0,
    side: Annotated[int, Range(64, 2048, "px", ui=(200, 800))] = 300,
) -> Array:
    """Correct alpha by strokes, and solve it again around them.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity so far, from any stages.
    strokes : ndarray of shape (M, N), uint8, optional
        255 keeps, 0 removes, 128 elsewhere. Without strokes alpha stays as it is.
    reach : float
        How far from a stroke alpha may change; larger corrects larger parts by one stroke. 0 changes what is under
        the strokes and its edge.
    width : float
        Half-width of the band around a contour that has moved, where alpha is solved for; larger follows longer hair.
    side : int
        Longer side of the reduced window on which strokes spread; larger follows finer parts, at more time.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Exactly 1 where strokes keep and 0 where they remove; as it was beyond the reach of a stroke that it
        contradicts. Strokes that agree with alpha change nothing.

    Notes
    -----
    ``python -m benchmarks.strokes`` measures what the strokes of a simulated user correct, by ``reach``; the page about
    strokes has its table.

    References
    ----------
    X. Bai, G. Sapiro: Geodesic matting: a framework for fast interactive image and video segmentation and matting,
    IJCV 82, 2009. A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting, PAMI 30(2), 2008.

    Examples
    --------
    A dark subject of which only the left half was found, and one stroke on the other half:

    >>> col = np.arange(12)[None].repeat(12, 0)
    >>> image = np.where((col > 1) & (col < 10), 0.1, 0.9)
    >>> drawn = np.full((12, 12), 128, np.uint8)
    >>> drawn[4:8, 8] = 255
    >>> retouch(image, (col > 1) & (col < 6), drawn, reach=1000)[6].round(1)
    array([0., 0., 1., 1., 1., 1., 1., 1., 1., 1., 0., 0.], dtype=float32)
    """
    if strokes is None or (strokes == UNKNOWN).all():
        note(changed=0)
        return alpha.copy()
    diagonal = math.hypot(*alpha.shape)
    keep, remove = strokes == FOREGROUND, strokes == BACKGROUND
    spread = reach / 1000 * diagonal
    grown = np.maximum(alpha, _spread(image, alpha, keep, remove, spread, side))
    grown = np.minimum(grown, 1 - _spread(image, 1 - alpha, remove, keep, spread, side))
    grown[keep], grown[remove] = 1, 0
    solved = _solve_contour(image, alpha, grown, strokes, max(1.5, width / 1000 * diagonal))
    solved[keep], solved[remove] = 1, 0
    note(changed=int((np.abs(solved - alpha) > 1 / 255).sum()))
    return solved


def _spread(image: Array, label: Array, stroke: Array, against: Array, reach: float, side: int) -> Array:
    """Return the share, 0..1, by which pixels follow a stroke.

    ``label`` is the opacity so far as the stroke would have it (1: nothing to change). The stroke competes with the
    strokes ``against`` it, and with what differs from it so far and lies beyond its reach. The colors that compete with
    its own are those of all that differs from it: what it should win has a part in them, but never the larger one.
    """
    followed = np.zeros(label.shape, np.float32)
    stroke = stroke & (label < SURE)  # the rest of it changes nothing
    if not stroke.any() or reach < 1:
        return followed
    window = _window(stroke, 1.25 * reach)
    shape = reduced_shape(label[window].shape, side)
    small, sofar = (cv2.resize(layer[window], shape[::-1], interpolation=cv2.INTER_AREA) for layer in (image, label))
    seeds = reduce_stroke(stroke[window], shape)
    others = reduce_stroke(against[window], shape) & ~seeds
    distance = cv2.distanceTransform((~seeds).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = distance * (max(label[window].shape) / max(shape)) > reach
    differs = (sofar < 1 - SURE) & ~seeds | others
    rivals = others | (beyond & (sofar < 0.5))
    if not rivals.any():  # everything is within reach: the farthest is the safest guess
        rivals = differs & (distance >= 0.9 * np.max(distance, where=differs, initial=0))
    if not rivals.any():
        return followed
    probability = color_probability(small, differs | rivals, seeds)
    if others.any():  # strokes against it say more of colors than all that is around
        probability = np.minimum(probability, color_probability(small, others, seeds))
    share = grow_between(probability, rivals, seeds)
    share[beyond] = 0
    shape = followed[window].shape
    followed[window] = np.clip(cv2.resize(share, shape[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)
    return followed


def _solve_contour(image: Array, alpha: Array, grown: Array, strokes: Array, width: float) -> Array:
    """Return alpha where it has moved: sure inside, solved in the band around the new contour, as before elsewhere."""
    moved = np.abs(grown - alpha) > 1 - SURE
    known: Array = np.where(moved, grown >= 0.5, alpha).astype(np.float32)
    if not moved.any():
        return known
    window = _window(moved, 2 * width + 4)
    inside, share = grown[window] >= 0.5, grown[window]
    contour = _contour(inside) | _contour(alpha[window] >= 0.5)  # the old one too, or its soft edge would stay
    unsure = (share > 1 - SURE) & (share < SURE) & moved[window] & _within(contour, LIMIT * width)
    band = _within(contour | unsure, width) & _within(moved[window], width) & (strokes[window] == UNKNOWN)
    if not band.any():
        return known
    # The solver's known pixels are 0 or 1, alpha around the band is any share. So a rim two pixels wide, as far as
    # windows of 3 x 3 reach, joins the unknown and is held at its alpha by weight.
    rim = cv2.dilate(band.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    drawn = np.where(rim, np.uint8(UNKNOWN), np.uint8(BACKGROUND))
    drawn_to = np.where(band, grown[window], known[window])[rim].astype(np.float64)
    weights = np.where(band[rim], LEAN, HOLD)
    picture = np.ascontiguousarray(image[window])
    found, facts = solve(picture, drawn, EPSILON, TOLERANCE, 100, 16.0, threads(), (drawn_to, weights))
    note(unknown=int(band.sum()), error=facts["error"])
    share = np.zeros(band.shape, np.float32)
    share[rim] = np.clip(found, 0, 1)
    known[window][band] = share[band]
    return known


def _contour(inside: Array) -> Array:
    """Return the pixels next to a change from inside to outside."""
    edge: Array = cv2.morphologyEx(inside.view(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return edge


def _window(where: Array, margin: float) -> tuple[slice, slice]:
    """Return the rows and columns of the box around what is marked, and ``margin`` pixels more."""
    rows, cols = (np.flatnonzero(where.any(axis)) for axis in (1, 0))
    (top, bottom), (left, right) = ((int(each[0] - margin), int(each[-1] + margin + 1)) for each in (rows, cols))
    return slice(max(0, top), bottom), slice(max(0, left), right)


def _within(where: Array, reach: float) -> Array:
    """Return the pixels that lie at most ``reach`` from one that is marked."""
    distance = cv2.distanceTransform((~where).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near: Array = distance <= reach
    return near
