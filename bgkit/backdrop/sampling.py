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
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from bgkit._ext.sampling import choose_samples
from bgkit.extent import subject_box
from bgkit.threads import threads

__all__ = ["local_background", "ramp", "sample_alpha"]

Floats = NDArray[Any]
Bools = NDArray[np.bool_]

SAMPLES, NEAREST, BLOCK = 4000, 40, 4  # samples in all, tried for each pixel; the px of a block try the same ones
NOISE = 0.016  # rms of a pixel's residual that noise explains
MISFIT = 0.05  # residual at which a sample is no longer believed
CONTRAST = 0.15  # distance of F from B at which half is believed
TEXTURE = 0.02  # distance from a sample at which a pixel may still be all subject, rms
MIXED = 1.5  # cost of being a mixture: most pixels are none
BACKDROP = 0.06  # distance from B within which nothing speaks for subject

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
        subject on white differs more than a covered one of a light subject; the most different pixel nearby tells.
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
    small = cv2.resize(distance, (cols, rows), interpolation=cv2.INTER_AREA) if factor > 1 else distance
    smooth: Floats = cv2.blur(small, (3, 3))
    return smooth


def _from_backdrop(backdrop: Bools, speck: float) -> Floats:
    """Return each pixel's distance to the backdrop, px; pieces of less than ``speck`` pixels are none."""
    _, label, stats, _ = cv2.connectedComponentsWithStats(backdrop.view(np.uint8), connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] >= speck
    kept[0] = False
    return cv2.distanceTransform((~kept[label]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


def local_background(image: Floats, plate: Floats, background: Bools) -> Floats:
    """Return the plate in the light that falls on it in the picture, float32 (M, N, 3).

    Parameters
    ----------
    image, plate : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1; the plate's exposure matched.
    background : bool array of shape (M, N)
        Where the picture surely shows the plate; elsewhere the ratio of both is carried over from there.

    References
    ----------
    S. J. Gortler, R. Grzeszczuk, R. Szeliski, M. F. Cohen, "The lumigraph", SIGGRAPH 1996, section 3.4.
    """
    if not background.any():
        return plate
    ratio = image.sum(-1) / np.maximum(plate.sum(-1), 0.06)
    light = _push_pull(np.clip(ratio, 0.2, 1.2).astype(np.float32), background.astype(np.float32))
    return np.clip(plate * light[..., None], 0, 1)


def _push_pull(values: Floats, weight: Floats) -> Floats:
    """Return ``values`` where ``weight`` is 1, smoothly carried on to where it is 0."""
    if max(values.shape) <= 2:
        total = float(weight.sum())
        mean = float((values * weight).sum() / total) if total > 0 else 1.0
        return np.where(weight > 0, weight * values + (1 - weight) * mean, mean).astype(np.float32)
    below = cv2.pyrDown(weight, borderType=cv2.BORDER_REFLECT_101)
    coarse = cv2.pyrDown(values * weight, borderType=cv2.BORDER_REFLECT_101) / np.maximum(below, 1e-6)
    filled = _push_pull(coarse, np.minimum(4 * below, 1))
    smooth = cv2.pyrUp(filled, dstsize=values.shape[::-1])
    return weight * values + (1 - weight) * smooth


def sample_alpha(image: Floats, background: Floats, subject: Bools, unknown: Bools) -> tuple[Floats, Floats]:
    """Estimate alpha of the unknown pixels, one by one, from foreground samples and the known background.

    Parameters
    ----------
    image, background : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    subject, unknown : bool array of shape (M, N)
        Sure foreground, at least one pixel; the pixels asked for, at least one.

    Returns
    -------
    alpha, confidence : float32 arrays, one value for each unknown pixel in raster order
        Both 0..1.

    References
    ----------
    J. Wang and M. F. Cohen, "Optimized color sampling for robust matting", CVPR 2007, section 3.1.
    """
    place, colors = _samples(image, subject, unknown)
    pixel, behind = image[unknown], background[unknown]
    chosen, mixed, solid = _choose(place, colors, unknown, pixel, behind)
    difference = pixel - behind
    contrast = ((chosen - behind) ** 2).sum(-1)
    _, misfit = _project(difference, chosen - behind)
    confidence = np.exp(-misfit / (2 * MISFIT**2)) * contrast / (contrast + CONTRAST**2)
    smooth = _smooth(chosen, confidence, image, subject, unknown)
    alpha, _ = _project(difference, smooth - behind)
    # Logistic in twice the difference of both costs: the odds of all subject against a mix of a darker sample.
    odds = 1 / (1 + np.exp(np.clip(2 * (solid - mixed - MIXED), -30, 30)))
    alpha += (1 - alpha) * odds * ((difference**2).sum(-1) > BACKDROP**2)
    return alpha, confidence


def _choose(
    place: Floats, colors: Floats, unknown: Bools, pixel: Floats, behind: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return for each unknown pixel the sample's color that mixes best, and the costs as a mixture and as subject."""
    rows, cols = np.nonzero(unknown)
    blocks, block = np.unique((rows // BLOCK) * unknown.shape[1] + cols // BLOCK, return_inverse=True)
    center = (np.stack(np.divmod(blocks, unknown.shape[1]), -1) + 0.5) * BLOCK
    tried = min(NEAREST, len(place))
    distance, index = (found.reshape(-1, tried) for found in cKDTree(place).query(center, k=tried))
    penalty = (0.5 * distance / (distance[:, :1] + 1)).astype(np.float32)
    chosen, mixed, solid = np.empty_like(pixel), *np.empty((2, len(pixel)), np.float32)
    choose_samples(
        pixel, behind, block.astype(np.int32), index.astype(np.int32), penalty, np.ascontiguousarray(colors),
        1 / NOISE**2, 1 / TEXTURE**2, chosen, mixed, solid, threads(),
    )  # fmt: skip
    return chosen, mixed, solid


def _samples(image: Floats, subject: Bools, unknown: Bools) -> tuple[Floats, Floats]:
    """Return row, column and color of samples from the subject's rim, at most 4000 of them, evenly drawn."""
    distance = cv2.distanceTransform((~unknown).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rim = subject & (distance <= max(2.0, 0.01 * math.hypot(*subject_box(subject | unknown))))
    place = np.argwhere(rim if rim.any() else subject)
    place = np.random.default_rng(0).permutation(place)[:SAMPLES]
    inside = subject.astype(np.float32)
    mean = cv2.blur(image * inside[..., None], (3, 3)) / np.maximum(cv2.blur(inside, (3, 3)), 1e-6)[..., None]
    return place, mean[place[:, 0], place[:, 1]]


def _project(difference: Floats, line: Floats) -> tuple[Floats, Floats]:
    """Return where on the line ``difference`` falls, 0..1, and its squared distance from there."""
    along = (difference * line).sum(-1) / ((line * line).sum(-1) + np.float32(1e-6))
    alpha = np.clip(along, 0, 1)
    return alpha, ((difference - alpha[:, None] * line) ** 2).sum(-1)


def _smooth(chosen: Floats, confidence: Floats, image: Floats, subject: Bools, unknown: Bools) -> Floats:
    """Return the chosen colors averaged with their neighbors', each by its confidence."""
    weight = subject.astype(np.float32)
    weight[unknown] = confidence + np.float32(1e-4)
    color = image * weight[..., None]
    color[unknown] = chosen * weight[unknown][:, None]
    mean = cv2.GaussianBlur(color, (0, 0), 2) / np.maximum(cv2.GaussianBlur(weight, (0, 0), 2), 1e-9)[..., None]
    return mean[unknown]
