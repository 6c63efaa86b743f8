"""Faint things: what differs from the backdrop by little, or in light alone, but has a hard contour.

A white shirt before white may be seven levels darker than the paper, less than a key's tolerance: noise, uneven light
and shadows differ as much. But they have no edges. So pieces that differ a little are held against what lies
around them, by medians over rings along the contour, in which the noise of single pixels cancels: where the step
between 2 and 6 px on both sides is nearly the whole step between 10 and 16 px, the contour is hard and the piece is a
thing. A shadow's edge takes more than that. A white mug is one piece with the shadow in which it stands: what lies
nearer to a soft part of the contour than to an edge is left out.

What is large in all directions and differs in light alone may be fainter still, down to two levels. The fitted backdrop
passes between such a thing and its ground, and is drawn to the ground first. Noise is blurred away as far as it takes.
Where a plate is an exact copy of the scene, one level is enough, if it is one all over: a soft shadow has steps of one.

Done on a copy of 1000 px diagonal; some twenty passes over it, and a few over the surroundings of each piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.surface import leveled
from bgkit.color import dot, largest_channel, luv_of_picture
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced

__all__ = ["FAINTER", "drawn", "noise_of", "outlined", "steepness"]

Floats = NDArray[Any]
Bools = NDArray[np.bool_]

DIAGONAL = 1000  # px, of the copy
BLURS = 2, 4, 8  # px, before a difference is held against a level: the next one where noise is left
LEVELS, LOWER = (0.8, 1.25, 1.8), 1.5  # of the step: what lies above one of them is a piece; so much lower the next
HIGHEST = 3.0  # times such a lower level: of a higher step, the contour lies wide of it
NOISY, APART = 4.0, 4  # no step is less than so many times the noise that a blur leaves between pixels 4 blurs apart
FAINTER = 3.2  # times: so much fainter may be what is deep and differs in light, 0.5 dE*uv, more than a level
DEEP, GRAY = 16, 2.0  # px of depth in the median; times as much light as color: JPEG's steps of a wall have neither
NEAR, FAR = (0, 4), (8, 14)  # px from the contour, and the blur, for it lies within that
AGREE, DRAWN = 3.0, 0.25  # times what a plate differs by all over, and dE*uv, less than a level: no thing is fainter
LEVEL, EVEN = 0.5, 0.6  # dE*uv, more than a level: a soft shadow comes in steps of one, and is deeper inside
GROUND = 0.25  # of the step, by which what is beyond it differs from the backdrop at most
HARD = 0.8  # of the step between the far rings that there is between the near ones
WIDER, FADES = 3, 2.0  # times the blur, at which a step's gradient is a third and a shadow's nearly the same
EDGE = 0.7  # of the gradient of the least step
EDGED = 0.6  # of the contour that is left
SMALLEST = 0.005  # of the picture
THICK = 8  # px of depth in the median: blotches of compression and the shade beside a subject are thinner
FEW = 40  # px of a ring, or of a line, that tell something
FREE = 0.2  # of a piece's contour that borders on backdrop, away from what was found already
AWAY = 8  # px from it: its own blur and its shadow reach less far
FRAMED = 0.5  # of the picture's border: what takes more of it is the ground
FOUND = 0.5  # mask from which something was found
ENOUGH = 250_000  # pixels that tell the noise, all of some rows
ROUNDING = 1.7 / 255  # code: rounding of picture and plate explains no more


def outlined(
    image: Floats, plate: Floats, mask: Floats, step: float, deep: float | None = None, fitted: bool = True
) -> Bools:
    """Return the pieces of a key's background that have a hard contour to the rest of it.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        The picture, sRGB, 0..1.
    plate : float32 array of shape (M, N, 3), or of a reduced copy's
        The backdrop alone.
    mask : float32 array of shape (M, N)
        What was found already, 0..1.
    step : float
        Least difference across the contour, dE*uv.
    deep : float, optional
        The same of what is large in all directions and differs in light rather than color, by default ``step``.
    fitted : bool
        Whether the plate is a surface fitted to the picture, which may pass between a faint thing and its ground.

    Returns
    -------
    bool array of shape (M, N)
    """
    factor = max(1.0, math.hypot(*mask.shape) / DIAGONAL)
    size = tuple(max(1, round(side / factor)) for side in mask.shape[::-1])
    color, behind, found = (
        each if each.shape[1::-1] == size else reduced(each, size[::-1]) for each in (image, plate, mask)
    )
    things = _things(color, behind, found, step, step if deep is None else deep, fitted)
    if factor == 1:
        return things
    return cv2.resize(things.view(np.uint8), mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def drawn(image: Floats, plate: Floats, step: float) -> Bools:
    """Return the things in a drawing of which the plate is an exact copy, however little they differ from it.

    Parameters
    ----------
    image, plate : float32 array of shape (M, N, 3)
        The drawing and its empty scene, sRGB, 0..1, without noise or JPEG.
    step : float
        Least difference at the contour, dE*uv.

    Returns
    -------
    bool array of shape (M, N)
        What differs, but for what is reached from the empty scene without a step, as a soft shadow is.
    """
    difference = image - plate
    luv = luv_of_picture(image) - luv_of_picture(plate)
    differs = (largest_channel(np.abs(difference)) > ROUNDING) & (dot(luv, luv) > step**2)
    edge = np.zeros(differs.shape, bool)
    for axis in (0, 1):
        steep = largest_channel(np.abs(np.diff(difference, axis=axis))) > ROUNDING
        edge |= np.pad(steep, [(0, 1 - axis), (0, axis)]) | np.pad(steep, [(1 - axis, 0), (axis, 0)])
    count, label = cv2.connectedComponents((~edge).view(np.uint8), connectivity=4)
    empty = np.zeros(count, bool)
    empty[label[~differs]] = True
    empty[0] = False
    return differs & ~empty[label]


def steepness(color: Floats) -> Floats:
    """Return how fast a picture changes, the length of the gradient of all its channels, per px.

    >>> round(float(steepness(np.float32(np.mgrid[:3, :3].transpose(1, 2, 0)))[1, 1]), 3)
    1.414
    """
    across, down = (cv2.Sobel(color, cv2.CV_32F, *axes, ksize=3, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    length: Floats = np.sqrt(dot(across, across) + dot(down, down))
    return length


class _Seen(NamedTuple):
    """What is known of a picture, or of a part of it."""

    difference: Floats  # from the backdrop, dE*uv, (M, N, 3)
    smooth: Floats  # the same, blurred
    found: Bools  # already
    away: Bools  # from what was found
    blur: int  # px

    def part(self, where: tuple[slice, slice]) -> _Seen:
        return _Seen(self.difference[where], self.smooth[where], self.found[where], self.away[where], self.blur)


def _things(image: Floats, plate: Floats, mask: Floats, step: float, deep: float, fitted: bool) -> Bools:
    # Specks found within a thing, and hair, do not part it from the backdrop.
    found = cv2.morphologyEx((mask >= FOUND).view(np.uint8), cv2.MORPH_OPEN, _disk(3))
    away = cv2.distanceTransform(cv2.erode(1 - found, np.ones((3, 3), np.uint8)), cv2.DIST_L2, 5) > AWAY
    difference = luv_of_picture(image) - luv_of_picture(plate)
    seen = _Seen(difference, _blurred(difference, BLURS[0], away), found > 0, away, BLURS[0])
    least = max(step, _noise(seen))
    things, edges = np.zeros(mask.shape, bool), _edges(seen.smooth, least)
    for level in LEVELS:
        for inside, where in _pieces(seen, level * least):
            things[where] |= _thing(inside, edges[where], seen.part(where), least)
    if fitted:
        difference = leveled(difference, found > 0)
    else:
        deep = min(deep, max(DRAWN, AGREE * _disagreement(difference, away)))
    return things | _deep_things(seen._replace(difference=difference), LEVELS[0] * least, deep)


def _deep_things(seen: _Seen, level: float, step: float) -> Bools:
    """Return the deep things that differ in light by ``step`` or more, and by less than ``level`` tells."""
    things = np.zeros(seen.found.shape, bool)
    for blur in BLURS:
        seen = seen._replace(smooth=_blurred(seen.difference, blur, seen.away), blur=blur)
        noise = _noise(seen)
        least = max(step, noise)
        while level > LEVELS[0] * least:
            level = max(level / LOWER, LEVELS[0] * least)
            for inside, where in _pieces(seen, level):
                part = seen.part(where)
                if _is_deep(inside, part) and _hard(inside, _depth(inside), part, least, HIGHEST * level):
                    things[where] |= inside
        if noise <= step:
            break
    return things


def _noise(seen: _Seen) -> float:
    """Return the step, dE*uv, up to which noise may pass for one."""
    apart = APART * seen.blur
    return NOISY * noise_of(seen.smooth[::apart, ::apart])


def _disagreement(difference: Floats, away: Bools) -> float:
    """Return by how much a picture differs from its plate, dE*uv, in half of what was not found, but for noise.

    Nothing where the plate is an exact copy; a few tenths where lamps and camera were a little different.
    """
    smooth = _blurred(difference, BLURS[-1], away)[away]
    return float(np.median(np.sqrt(dot(smooth, smooth)))) if len(smooth) else 0.0


def _blurred(difference: Floats, blur: float, away: Bools) -> Floats:
    """Return the difference, blurred; wider than AWAY allows, without what was found."""
    if 4 * blur <= AWAY:  # to where a Gaussian ends
        return cv2.GaussianBlur(difference, (0, 0), blur)
    weight = away.astype(np.float32)
    total, share = (cv2.GaussianBlur(each, (0, 0), blur) for each in (difference * weight[..., None], weight))
    smooth: Floats = total / np.maximum(share, np.float32(0.01))[..., None]
    return smooth


def _pieces(seen: _Seen, level: float) -> Iterator[tuple[Bools, tuple[slice, slice]]]:
    """Yield the large pieces that differ by more than ``level``, each with the part of the picture it is given in."""
    differs = (dot(seen.smooth, seen.smooth) > level**2).view(np.uint8) & ~seen.found
    differs = cv2.morphologyEx(cv2.morphologyEx(differs, cv2.MORPH_CLOSE, _disk(2)), cv2.MORPH_OPEN, _disk(4))
    label, *boxes = find_pieces(differs, connectivity=4)
    beside = FAR[1] + seen.blur
    for number, (left, top, width, height, area) in enumerate(zip(*boxes, strict=True)):
        if number > 0 and area >= SMALLEST * label.size and _framed(label == number) <= FRAMED:
            where = np.s_[max(0, top - beside) : top + height + beside, max(0, left - beside) : left + width + beside]
            yield label[where] == number, where


def _thing(inside: Bools, edges: Bools, seen: _Seen, step: float) -> Bools:
    """Return what of a piece has a hard contour to the backdrop: all but its shadow, all, or nothing."""
    depth = _depth(inside)
    trimmed = _trimmed(inside, depth, edges, seen.away)
    if trimmed is not None and _hard(trimmed, _depth(trimmed), seen, step):
        return trimmed
    return inside if _hard(inside, depth, seen, step) else np.zeros_like(inside)


def _trimmed(inside: Bools, depth: Floats, edges: Bools, away: Bools) -> Bools | None:
    """Return a piece without what is nearer to a soft contour than to an edge, like a mug's shadow; None if all is."""
    edges = edges & away  # those of what was found already are not its own
    if not edges.any():
        return None
    near = cv2.dilate(edges.view(np.uint8), _disk(4)) > 0
    soft = _long(inside & (depth <= 1.5) & away & ~near)
    if not soft.any():
        return None
    to_edge, to_soft = (cv2.distanceTransform((~each).view(np.uint8), cv2.DIST_L2, 5) for each in (edges, soft))
    kept = cv2.morphologyEx((inside & (to_edge < to_soft)).view(np.uint8), cv2.MORPH_OPEN, _disk(4)) > 0
    contour = kept & (_depth(kept) <= 1.5) & away
    return kept if np.count_nonzero(contour & near) > EDGED * np.count_nonzero(contour) else None


def _edges(smooth: Floats, step: float) -> Bools:
    """Return where a step is: the gradient is a step's, and fades with a wider blur as that of a shadow does not."""
    wide = cv2.GaussianBlur(smooth, (0, 0), math.sqrt(WIDER**2 - 1) * BLURS[0])
    sharp, soft = (steepness(each) for each in (smooth, wide))
    steep = (sharp > EDGE * step / (BLURS[0] * math.sqrt(2 * math.pi))) & (sharp > FADES * soft)
    return _long(steep)


def _long(lines: Bools) -> Bools:
    """Return lines without what is too short to be more than noise."""
    pieces = find_pieces(lines, connectivity=8)
    long = pieces.area >= FEW
    long[0] = False
    return long[pieces.label]


def _hard(inside: Bools, depth: Floats, seen: _Seen, least: float, most: float = math.inf) -> bool:
    """Return whether a piece has a hard contour where it borders on free backdrop, of a step from least to most.

    With a limit to the step, backdrop has to be seen beyond it.
    """
    away, contour = seen.away, inside & (depth <= 1.5)
    if np.count_nonzero(contour & away) <= FREE * np.count_nonzero(contour) or not _reaches(depth, THICK, inside):
        return False
    beyond = cv2.distanceTransform((~inside).view(np.uint8), cv2.DIST_L2, 5)
    color = _mean(seen.smooth, inside)
    color /= max(float(np.linalg.norm(color)), 1e-6)
    along = cv2.transform(seen.difference, color[None])

    def across(span: tuple[int, int]) -> tuple[float, float]:
        low, high = span[0] + seen.blur, span[1] + seen.blur
        sides = [along[away & (each > low) & (each <= high)] for each in (depth, beyond)]
        if min(map(len, sides)) < FEW:
            return math.nan, math.nan
        within, without = (float(np.median(side)) for side in sides)
        return within - without, without

    (near, ground), (far, _) = across(NEAR), across(FAR)
    if most < math.inf and abs(ground) > GROUND * near:
        return False
    if near < LEVEL and near < EVEN * np.percentile(seen.smooth[inside & away] @ color, 90):
        return False
    return least <= near <= most and (near >= HARD * far or math.isnan(far))


def _is_deep(inside: Bools, seen: _Seen) -> bool:
    """Return whether a piece is large in all directions, what it encloses included, and differs in light.

    JPEG makes steps of a wall's color, and falling light has narrow ones of a level.
    """
    light, *color = _mean(seen.smooth, inside)
    return bool(abs(light) > GRAY * np.hypot(*color)) and _reaches(_depth(inside | seen.found), DEEP, inside)


def _mean(color: Floats, inside: Bools) -> Floats:
    """Return the mean color of a piece, float32 (3,)."""
    return np.array(cv2.mean(color, inside.view(np.uint8))[:3], np.float32)


def _reaches(depth: Floats, least: float, inside: Bools) -> bool:
    """Return whether half of a piece is so deep: whether its median is."""
    return bool(2 * np.count_nonzero(inside & (depth >= least)) >= np.count_nonzero(inside))


def _depth(inside: Bools) -> Floats:
    within = cv2.copyMakeBorder(inside.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)  # the frame is no contour
    return cv2.distanceTransform(within, cv2.DIST_L2, 5)[1:-1, 1:-1]


def noise_of(difference: Floats, hidden: float = 0.0) -> float:
    """Return the noise of single backdrop pixels against the plate, dE*uv; 0 for pictures too small to tell.

    From differences of neighbors, in which light and shadow cancel; the quietest quarter of them is backdrop.
    ``hidden`` is the share of the picture, 0..1, where no plate is known and the difference is 0.
    """
    if min(difference.shape[:2]) < 8:
        return 0.0
    rows = difference[:: max(1, difference[..., 0].size // ENOUGH)]
    step = rows[:, 1:] - rows[:, :-1]
    # For chi with 3 degrees of freedom the quarter lies at 1.10 of a channel's sigma, the rms at sqrt(3); the
    # difference of two pixels has twice the variance.
    return float(np.percentile(np.sqrt(dot(step, step)), 25 + 75 * hidden) / 1.10 * 1.5**0.5)


def _framed(inside: Bools) -> float:
    """Return the share of the picture's border that a piece takes."""
    return float(np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean())


def _disk(radius: int) -> Floats:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
