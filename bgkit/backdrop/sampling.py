"""What a known background says of alpha, pixel by pixel.

With background B known, a pixel I = alpha F + (1 - alpha) B lies on the line from B to the subject's
color F. F is looked for among sure foreground nearby: the sample whose line passes nearest to I gives
alpha, and how well it fits, and how far F is from B, tells how far to trust it (Wang and Cohen 2007;
there B is sampled too, here it is known). Where light has changed since the plate, above all in the
subject's shadow, B is the plate times the ratio that the sure background around shows, carried into
the unknown by push and pull (Gortler et al. 1996). Works on sRGB-encoded color.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit._ext.sampling import choose_samples
from bgkit.color import dot, mean_channel
from bgkit.distance import distance_to
from bgkit.extent import subject_box
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced
from bgkit.threads import threads

__all__ = [
    "WITNESSES",
    "in_light",
    "is_dark",
    "local_light",
    "opacity",
    "push_pull",
    "ramp",
    "relit",
    "sample_alpha",
    "without_dim_holes",
    "witnesses",
]

Floats = NDArray[Any]
Bools = NDArray[np.bool_]

SINGLE_TREE = 4  # OpenCV has no name for FLANN's KDTREE_SINGLE, which is exact
SAMPLES, NEAREST, BLOCK = 4000, 40, 4  # samples in all, tried for each pixel; the px of a block try the same ones
NOISE = 0.016  # rms of a pixel's residual that noise explains
MISFIT = 0.05  # residual at which a sample is no longer believed
CONTRAST = 0.15  # distance of F from B at which half is believed
TEXTURE = 0.02  # distance from a sample at which a pixel may still be all subject, rms
MIXED = 1.5  # cost of being a mixture: most pixels are none
DARK = 0.15  # code of a background before which shades pass for mixtures
AROUND, FAINTEST = 0.007, 0.03  # of the diagonal, within which shades are smooth or not; difference that is none yet
ROUGH, STEEP, SOLID = 0.7, 10.0, 4.0  # deviation of the logarithm at which odds are even; their slope; their limit
GAP, FULL = 0.25, 0.9  # alpha that a gap before a dark background has somewhere; from which on nothing is missing
LITTLE = 0.1, 0.3  # of a sample's color: up to it a key that says solid knows better, from it on hair is mixed
BACKDROP = 0.06  # distance from B within which nothing speaks for subject

LIGHT, LIGHT_DIAGONAL = 0.01, 400  # light is smoothed over this share of the diagonal, on a copy of so many px
LEAST_LIGHT, DIM = 0.02, 0.06  # share of background that must be near; code below which a ratio says little

SURE = 0.88, 0.9  # expected alpha from which a pixel begins to pass for solid, and from which it is

BAND = 256  # rows that are averaged at a time, so that what is between stays small

DIAGONAL = 1000  # px, to which the subject is reduced before its greatest differences are looked for
NEAR = 0.007  # of the subject's diagonal: as far as a pixel's subject is looked for
DEEP = 0.05  # of the subject's diagonal: so far from all backdrop is the inside of the subject


def ramp(distance: Floats, tolerance: float, softness: float, contrast: float) -> Floats:
    """Return the mask of a difference from the background: 0 up to the tolerance, then rising to 1.

    Parameters
    ----------
    distance : float32 array of shape (M, N)
        Difference from the background, dE*uv.
    tolerance, softness : float
        Where the mask leaves 0, and over how much it rises to 1 at most, dE*uv.
    contrast : float
        Share of the greatest difference within 7 per mille of the subject that the rise takes where that is less
        than ``softness``, but 10 dE*uv at least; 0 for ``softness`` everywhere. A half covered pixel of a dark
        subject on white differs more than a covered one of a light subject; the most different pixel nearby decides.
        Away from all backdrop the share falls to three quarters (and 4 dE*uv), at 50 per mille of the subject: hair
        lets backdrop through somewhere near, a subject that resembles the backdrop does not.

    Returns
    -------
    float32 array of shape (M, N)
        0..1.
    """
    rise: Any = np.float32(max(softness, 1e-3))
    if contrast > 0:
        rise = _rise(distance, tolerance, rise, contrast)
    return np.clip((distance - np.float32(tolerance)) / rise, 0, 1)


def _rise(distance: Floats, tolerance: float, softness: float, contrast: float) -> Floats:
    """Return the difference over which the mask rises, for each pixel; found on a reduced picture."""
    small = _reduced(distance, math.hypot(*distance.shape))
    diagonal = math.hypot(*subject_box(small > tolerance))
    if small.shape != distance.shape:  # look closer where the subject fills little of the picture
        diagonal *= math.hypot(*distance.shape) / math.hypot(*small.shape)
        small = _reduced(distance, diagonal)
        diagonal *= math.hypot(*small.shape) / math.hypot(*distance.shape)
    reach = max(1, round(NEAR * diagonal))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    greatest = np.float32(contrast) * cv2.dilate(small, disk)
    near = np.minimum(softness, np.maximum(greatest, 10))
    inside = np.minimum(near, np.maximum(greatest * np.float32(0.75), 4))
    deep = np.float32(DEEP * diagonal)
    depth = np.minimum(_from_backdrop(small <= tolerance, 2e-5 * diagonal**2), deep) / deep
    rise: Floats = near + depth * (inside - near)
    if rise.shape != distance.shape:
        rise = cv2.resize(rise, distance.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return rise


def _reduced(distance: Floats, diagonal: float) -> Floats:
    """Return a smoothed copy in which ``diagonal`` is :data:`DIAGONAL` px, or no reduced one."""
    factor = max(1.0, diagonal / DIAGONAL)
    rows, cols = (max(1, round(side / factor)) for side in distance.shape)
    small = reduced(distance, (rows, cols)) if factor > 1 else distance
    smooth: Floats = cv2.blur(small, (3, 3))
    return smooth


def _from_backdrop(backdrop: Bools, speck: float) -> Floats:
    """Return each pixel's distance to the backdrop, px; pieces of less than ``speck`` pixels are none."""
    pieces = find_pieces(backdrop, connectivity=8)
    kept = pieces.area >= speck
    kept[0] = False
    return cv2.distanceTransform((~kept[pieces.label]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


# What speaks for an opaque pixel and against one, and the weight of each: a logistic model of alpha, fitted by
# benchmarks/plate_key.py, whose table also gives each weight's range when one subject is left out.
WITNESSES = {
    "1": -1.04,
    "log lit": 0.50,
    "log lit * log difference": 0.22,
    "log lit * near": 0.34,
    "log greatest": -0.80,
    "(share of the greatest)^2": 1.01,
    "(least / difference)^2": 0.55,
    "near": -0.19,
    "deep": 1.24,
    "share * near": 0.96,
    "share * middle": 1.26,
    "least * middle": 0.66,
    "mean * middle": 0.76,
    "log difference * middle": -0.67,
}


def opacity(difference: Floats, unshaded: Floats, tolerance: float) -> Floats:
    """Return the alpha to be expected where a picture differs from its known background.

    Opaque is the rule and transparency needs a witness: backdrop close by, a difference that falls to nothing within
    a few pixels, larger differences around. A white thread before white, inside a scarf or four pixels wide at its
    edge, is opaque: nothing around it is still less different.

    Parameters
    ----------
    difference : float32 array of shape (M, N)
        From the background, dE*uv.
    unshaded : float32 array of shape (M, N)
        The same when any shadow is granted: at most ``difference``.
    tolerance : float
        Difference up to which a pixel is background.

    Returns
    -------
    float32 array of shape (M, N)
        0..1; 0 where the difference is within the tolerance.
    """
    where = difference > tolerance
    total = np.zeros(np.count_nonzero(where), np.float32)
    for witness, weight in zip(witnesses(difference, unshaded, tolerance, where), WITNESSES.values(), strict=True):
        total += np.float32(weight) * witness
    chance = 1 / (1 + np.exp(-total))
    solid = np.clip((chance - np.float32(SURE[0])) / np.float32(SURE[1] - SURE[0]), 0, 1)
    alpha = np.zeros(difference.shape, np.float32)
    alpha[where] = chance + solid * (1 - chance)
    return alpha


def witnesses(difference: Floats, unshaded: Floats, tolerance: float, where: Bools) -> Iterator[Floats]:
    """Yield the witnesses of :data:`WITNESSES` in their order, float32, one value for each pixel in ``where``, (M, N).

    Lengths are in per mille of 1.2 times the diagonal of the subject: the greatest difference within 6, the mean
    within 8, the least within 2.5; depth is the distance to the nearest backdrop, up to 4, 12 and 40.
    """
    unit = 1.2 * math.hypot(*subject_box(difference > tolerance)) / 1000
    around, beside = max(1, round(6 * unit)), max(1, round(2.5 * unit))
    floor = np.float32(tolerance)
    here = np.maximum(difference[where], floor)
    greatest = np.maximum(cv2.dilate(cv2.blur(difference, (3, 3)), _disk(around))[where], floor)
    side = 2 * max(1, round(8 * unit)) + 1
    share = np.minimum(here / greatest, 1)
    least = np.minimum(cv2.erode(difference, _disk(beside), borderType=cv2.BORDER_REPLICATE)[where] / here, 1)
    mean = np.minimum(cv2.blur(difference, (side, side))[where] / greatest, 1)
    depth = np.minimum(_from_backdrop(difference <= tolerance, 10 * unit**2)[where], 1e6) / np.float32(unit)
    near, middle, deep = (np.minimum(depth, np.float32(reach)) / np.float32(reach) for reach in (4, 12, 40))
    clear, lit = np.log(here / floor), np.log(np.maximum(cv2.blur(unshaded, (3, 3))[where] / floor, np.float32(0.3)))
    yield np.ones_like(here)
    yield lit
    yield lit * clear
    yield lit * near
    yield np.log(greatest / floor)
    yield share**2
    yield least**2
    yield near
    yield deep
    yield share * near
    yield share * middle
    yield least * middle
    yield mean * middle
    yield clear * middle


def _disk(reach: int) -> NDArray[np.uint8]:
    disk: NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return disk


def local_light(image: Floats, plate: Floats, background: Bools) -> Floats:
    """Return how many times as bright as on the plate the background is in the picture, 0.2..1.2, float32 (M, N).

    Parameters
    ----------
    image, plate : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1; the plate's exposure matched.
    background : bool array of shape (M, N)
        Where the picture surely shows the plate; elsewhere the ratio of both is carried over from there. With none of
        it the ratio is 1 everywhere.

    References
    ----------
    S. J. Gortler, R. Grzeszczuk, R. Szeliski, M. F. Cohen, "The lumigraph", SIGGRAPH 1996, section 3.4.
    """
    if not background.any():
        return np.ones(background.shape, np.float32)
    ratio, sums = np.empty(background.shape, np.float32), np.ones((1, 3), np.float32)
    for top in range(0, len(ratio), BAND):
        rows = slice(top, top + BAND)
        seen, total = (cv2.transform(each[rows], sums) for each in (image, plate))
        np.divide(seen, np.maximum(total, 0.06, out=total), out=ratio[rows])
    return push_pull(np.clip(ratio, 0.2, 1.2, out=ratio), background.astype(np.float32))


def in_light(plate: Floats, light: Floats) -> Floats:
    """Return the colors of a plate, float32 (..., 3), in a :func:`local_light`, float32 (...): 0..1."""
    lit = plate * light[..., None]
    return np.clip(lit, 0, 1, out=lit)


def relit(image: Floats, plate: Floats, background: Bools) -> Floats:
    """Return the plate in the light that the picture shows around, float32 (M, N, 3), 0..1.

    The ratio of both, channel by channel, smoothed within 1 % of the diagonal where the picture surely shows the plate,
    and carried on from there to where it does not. Unlike :func:`local_light` it keeps the noise of single pixels.

    Parameters
    ----------
    image, plate : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1; the plate's exposure matched.
    background : bool array of shape (M, N)
        Where the picture surely shows the plate.
    """
    diagonal = math.hypot(*background.shape)
    scale = min(1.0, LIGHT_DIAGONAL / diagonal)
    rows, cols = (max(1, round(side * scale)) for side in background.shape)
    inside = background.view(np.uint8)  # copyTo: 0 outside, in a third of the time of a product
    smooth = [
        cv2.GaussianBlur(reduced(each, (rows, cols)), (0, 0), LIGHT * diagonal * scale)
        for each in (background.astype(np.float32), cv2.copyTo(image, inside), cv2.copyTo(plate, inside))
    ]
    known = smooth[0] > np.float32(LEAST_LIGHT)
    if not known.any():
        return plate
    lit, unlit = (each + np.float32(DIM) * smooth[0][..., None] for each in smooth[1:])
    ratio = np.where(known[..., None], lit / np.maximum(unlit, np.float32(1e-6)), np.float32(1))
    light = cv2.resize(push_pull(ratio, known.astype(np.float32)), plate.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    light *= plate
    return np.clip(light, 0, 1, out=light)


def push_pull(values: Floats, weight: Floats) -> Floats:
    """Return ``values`` where ``weight`` is 1, smoothly carried on to where it is 0.

    Parameters
    ----------
    values : float32 array of shape (M, N) or (M, N, C)
    weight : float32 array of shape (M, N)
        0..1, somewhere above 0.
    """
    share = weight if values.ndim == 2 else weight[..., None]
    if max(weight.shape) <= 2:
        total = float(weight.sum())
        mean = (values * share).sum((0, 1)) / total if total > 0 else np.float32(1)
        return np.where(share > 0, share * values + (1 - share) * mean, mean).astype(np.float32)
    known = values * share
    below = cv2.pyrDown(weight, borderType=cv2.BORDER_REFLECT_101)
    coarse = cv2.pyrDown(known, borderType=cv2.BORDER_REFLECT_101)
    least = np.maximum(below, 1e-6)
    coarse /= least if values.ndim == 2 else least[..., None]
    carried: Floats = cv2.pyrUp(push_pull(coarse, np.minimum(4 * below, 1)), dstsize=weight.shape[::-1])
    carried *= 1 - share
    carried += known
    return carried


def sample_alpha(
    image: Floats, behind: Floats, subject: Bools, unknown: Bools, expected: Floats | None = None
) -> tuple[Floats, Floats]:
    """Estimate alpha of the unknown pixels, one by one, from foreground samples and the known background.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    behind : float32 array of shape (K, 3)
        The background's color at each unknown pixel, in raster order, sRGB-encoded, 0..1.
    subject, unknown : bool array of shape (M, N)
        Sure foreground, at least one pixel; the pixels asked for, at least one.
    expected : float32 array of shape (M, N), optional
        The key's alpha, 0..1: the odds with which a pixel is taken for all subject, where both are possible, and what
        is believed where samples say nothing, for subjects next to the color of the background. That it is solid is
        not believed where a good part of a sample's color is to be seen: hair is mixed so.

    Returns
    -------
    alpha, confidence : float32 arrays, one value for each unknown pixel in raster order
        Both 0..1.

    References
    ----------
    J. Wang and M. F. Cohen, "Optimized color sampling for robust matting", CVPR 2007, section 3.1.
    """
    place, colors = _samples(image, subject, unknown)
    pixel = image[unknown]
    chosen, mixed, solid = _choose(place, colors, unknown, pixel, behind)
    difference = pixel - behind
    contrast = dot(chosen - behind, chosen - behind)
    _, misfit = _project(difference, chosen - behind)
    confidence = np.exp(-misfit / (2 * MISFIT**2)) * contrast / (contrast + CONTRAST**2)
    smooth = _smooth(chosen, confidence, image, subject, unknown)
    alpha, _ = _project(difference, smooth - behind)
    mixture = alpha.copy()
    # Logistic in twice the difference of both costs: the odds of all subject against a mix of a darker sample.
    odds = 2 * (mixed - solid + MIXED)
    differs = dot(difference, difference) > BACKDROP**2
    dark = is_dark(behind)
    if expected is None and dark.any():
        odds = np.where(dark, np.maximum(odds, _smooth_shades(difference, subject, unknown)), odds)
    if expected is not None:
        key = np.clip(expected[unknown], 0.01, 0.99)
        # Before black every darker shade of a sample is also a mixture of it: there a mixture that fits says nothing.
        odds = np.where(dark, np.maximum(odds, 0), odds) + np.log(key / (1 - key))
        differs |= key > 0.1
    alpha += (1 - alpha) * differs / (1 + np.exp(-np.clip(odds, -30, 30)))
    if expected is not None:  # near the background's own color samples say nothing, and a clear key does
        few = np.clip((LITTLE[1] - mixture) / (LITTLE[1] - LITTLE[0]), 0, 1)
        clear = (2 * key - 1) ** 2 * np.where(key > 0.5, few, np.float32(1))
        confidence, sampled = np.maximum(confidence, clear), confidence
        alpha = (sampled * alpha + clear * key) / np.maximum(sampled + clear, 1e-6)
    return alpha, confidence


def is_dark(background: Floats) -> Bools:
    """Return where a background, (M, N, 3), is so dark that shades of the subject pass for mixtures with it, (M, N)."""
    dark: Bools = mean_channel(background) < DARK
    return dark


def without_dim_holes(alpha: Floats, unknown: Bools, dark: Bools) -> Floats:
    """Return alpha of unknown pixels with what the subject encloses solid where it is nowhere clear, before the dark.

    A black eye before black passes for a mixture of the skin around it and what is behind. But nothing that is behind
    shows anywhere in it, as it does in a gap.

    Parameters
    ----------
    alpha : float32 array of shape (M, N)
        0..1; 0 or 1 where it is known.
    unknown : bool array of shape (M, N)
    dark : bool array of shape (K,)
        :func:`is_dark` of the background at each unknown pixel, in raster order.

    Returns
    -------
    float32 array of shape (K,)
    """
    left, top, width, height = cv2.boundingRect(unknown.view(np.uint8))
    # What is known background shows what is behind, and so does the picture's edge: no hole goes on outside the box.
    box = np.s_[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1]
    alpha, unknown = alpha[box], unknown[box]
    bright = np.zeros(alpha.shape, bool)
    bright[unknown] = ~dark
    label, left, top, width, height, _ = find_pieces(alpha < FULL, connectivity=8)
    hole = (left > 0) & (top > 0) & (left + width < alpha.shape[1]) & (top + height < alpha.shape[0])
    hole[0] = False
    hole[label[(alpha < GAP) | bright]] = False
    return np.where(hole[label[unknown]], np.float32(1), alpha[unknown])


def _smooth_shades(difference: Floats, subject: Bools, unknown: Bools) -> Floats:
    """Return the log odds that unknown pixels before a dark background are all subject, by how smooth they are.

    Before black a dark leaf has the colors of a bright one that is half clear. But what is clear is so for a reason:
    it is thin, like hair, and changes from pixel to pixel, or it ends there. A leaf does neither.
    """
    side = 2 * max(1, round(AROUND * math.hypot(*unknown.shape))) + 1
    length, deviation = np.sqrt(dot(difference, difference)), np.empty(len(difference), np.float32)
    for box, known, asked, found in _windows(unknown, side // 2):
        light = subject[box].astype(np.float32)
        light[unknown[box]] = length[known]
        light = np.log(np.maximum(light, np.float32(FAINTEST)))
        mean, square = (cv2.blur(each, (side, side))[asked] for each in (light, light * light))
        deviation[found] = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.minimum(STEEP * (ROUGH - deviation), SOLID)


def _windows(unknown: Bools, reach: int) -> Iterator[tuple[tuple[slice, slice], slice, Bools, slice]]:
    """Yield windows of a picture around its unknown pixels, a band of rows at a time.

    Rows and columns of the window, ``reach`` wider than what is asked for; which of the unknown pixels, in raster
    order, lie in it; where those are that the band asks for, and which these are.
    """
    before = np.concatenate([[0], np.cumsum(np.count_nonzero(unknown, axis=1))])
    for top in range(0, len(unknown), BAND):
        bottom = min(top + BAND, len(unknown))
        if before[top] == before[bottom]:
            continue
        first, last = max(0, top - reach), min(len(unknown), bottom + reach)
        cols = np.flatnonzero(unknown[first:last].any(axis=0))
        box = slice(first, last), slice(max(0, int(cols[0]) - reach), int(cols[-1]) + 1 + reach)
        asked = unknown[box].copy()
        asked[: top - first] = asked[bottom - first :] = False
        yield box, slice(before[first], before[last]), asked, slice(before[top], before[bottom])


def _choose(
    place: Floats, colors: Floats, unknown: Bools, pixel: Floats, behind: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return for each unknown pixel the sample's color that mixes best, and the costs as a mixture and as subject."""
    rows, cols = np.nonzero(unknown)
    blocks, block = np.unique((rows // BLOCK) * unknown.shape[1] + cols // BLOCK, return_inverse=True)
    center = (np.stack(np.divmod(blocks, unknown.shape[1]), -1) + 0.5) * BLOCK
    tried = min(NEAREST, len(place))
    # A k-d tree searched to the end; SciPy's is as quick, but takes 0.3 s to import.
    tree = cv2.flann.Index(place.astype(np.float32), {"algorithm": SINGLE_TREE})
    index, squared = tree.knnSearch(center.astype(np.float32), tried, params={"checks": -1})
    distance = np.sqrt(squared)
    penalty = (0.5 * distance / (distance[:, :1] + 1)).astype(np.float32)
    chosen, mixed, solid = np.empty_like(pixel), *np.empty((2, len(pixel)), np.float32)
    choose_samples(
        pixel, behind, block.astype(np.int32), index, penalty, np.ascontiguousarray(colors),
        1 / NOISE**2, 1 / TEXTURE**2, chosen, mixed, solid, threads(),
    )  # fmt: skip
    return chosen, mixed, solid


def _samples(image: Floats, subject: Bools, unknown: Bools) -> tuple[Floats, Floats]:
    """Return row, column and color of samples from the subject's rim, at most 4000 of them, evenly drawn."""
    wide = max(2.0, 0.01 * math.hypot(*subject_box(subject | unknown)))
    rim = subject & (distance_to(unknown, wide + 1) <= wide)
    place = np.argwhere(rim if rim.any() else subject)
    place = np.random.default_rng(0).permutation(place)[:SAMPLES]
    return place, _color_around(image, subject, place)


def _color_around(image: Floats, subject: Bools, place: NDArray[Any]) -> Floats:
    """Return the mean color of the subject's pixels within 3 x 3 px of each place; a picture's edge is mirrored."""
    color, count = np.zeros((len(place), 3), np.float32), np.zeros((len(place), 1), np.float32)
    for down, along in np.ndindex(3, 3):
        row, col = (
            np.abs(side - np.maximum(2 * (side - length + 1), 0))
            for side, length in zip((place + np.array([down - 1, along - 1])).T, subject.shape, strict=True)
        )
        row, col = np.minimum(row, subject.shape[0] - 1), np.minimum(col, subject.shape[1] - 1)  # of one row or column
        inside = subject[row, col, None]
        color += image[row, col] * inside
        count += inside
    return color / np.maximum(count, 1)


def _project(difference: Floats, line: Floats) -> tuple[Floats, Floats]:
    """Return where on the line ``difference`` falls, 0..1, and its squared distance from there."""
    along = dot(difference, line) / (dot(line, line) + np.float32(1e-6))
    alpha = np.clip(along, 0, 1)
    off = difference - alpha[:, None] * line
    return alpha, dot(off, off)


def _smooth(chosen: Floats, confidence: Floats, image: Floats, subject: Bools, unknown: Bools) -> Floats:
    """Return the chosen colors averaged with their neighbors', each by its confidence."""
    averaged = np.empty_like(chosen)
    for box, known, asked, found in _windows(unknown, 8):  # px; OpenCV's kernel of this width in float32 ends there
        here = unknown[box]
        weight = subject[box].astype(np.float32)
        weight[here] = confidence[known] + np.float32(1e-4)
        color = image[box] * weight[..., None]
        color[here] = chosen[known] * weight[here][:, None]
        sums, weights = (cv2.GaussianBlur(each, (0, 0), 2)[asked] for each in (color, weight))
        averaged[found] = sums / np.maximum(weights, 1e-9)[:, None]
    return averaged
