"""The empty plate brought to the picture: same exposure, same position.

A plate is shot minutes before or after the picture: the lamps have drifted, the camera has moved by
a fraction of a pixel. Exposure is one factor per channel of the encoded values (sRGB is nearly a power
law, so a factor of light is a factor of code; on our studio pictures both leave the same rest). It is
the most frequent ratio of picture to plate, so it needs the backdrop to be the largest piece of one
ratio, not to be the larger part. Position is a translation, found on the backdrop's texture from
coarse to fine (Lucas and Kanade 1981), and only believed where it explains what differs: a blank wall
has nothing to register, and no shift is made up for it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Match", "match_plate"]

Floats = NDArray[Any]

DARKEST = 0.02  # below, a ratio of codes says nothing
WORST = 0.4  # log ratio of exposures that are still looked for: a factor of 1.5
SHORTEST = 64  # px, the coarsest level's longer side
LARGEST = 2_000_000  # pixels of the finest level that is registered: 0.01 px there are 0.03 px of 12 megapixels


@dataclass(frozen=True, eq=False)
class Match:
    """A plate in the picture's exposure and position, float32 (M, N, 3), and what it took to bring it there.

    ``gain``: factor per channel. ``shift``: rows and columns, px.
    """

    plate: Floats
    gain: tuple[float, float, float]
    shift: tuple[float, float]


def match_plate(image: Floats, plate: Floats) -> Match:
    """Bring the plate to the picture's exposure and position.

    Parameters
    ----------
    image, plate : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.

    Returns
    -------
    Match

    References
    ----------
    B. D. Lucas and T. Kanade, "An iterative image registration technique with an application to stereo
    vision", IJCAI 1981.
    """
    global _last
    if _last is not None and _last[0]() is image and _last[1]() is plate:
        return _last[2]
    match = _match(image, plate)
    if not (image.flags.writeable or plate.flags.writeable):  # as stages get them: what was matched stays as it was
        _last = (weakref.ref(image, _forget), weakref.ref(plate, _forget), match)
    return match


# The key and the matting of one chain ask for the same match, which is half of its time; gone with its picture.
_last: tuple[weakref.ref[Floats], weakref.ref[Floats], Match] | None = None


def _forget(gone: weakref.ref[Floats]) -> None:
    global _last
    if _last is not None and (gone is _last[0] or gone is _last[1]):
        _last = None


def _match(image: Floats, plate: Floats) -> Match:
    gain = _gain(image, plate)
    shift = _shift(image.mean(-1), (plate * gain).mean(-1))
    if shift != (0.0, 0.0):
        plate = np.clip(_move(plate, shift, cv2.INTER_CUBIC), 0, 1)
        gain = _gain(image, plate)
    matched = np.clip(plate * gain, 0, 1)
    red, green, blue = gain.tolist()
    return Match(matched, (red, green, blue), shift)


def _gain(image: Floats, plate: Floats) -> Floats:
    """Return the most frequent ratio of picture to plate per channel, float32 (3,).

    Colors count where the ratio is nearly the same in all channels; more near the border, which shows the
    backdrop more often, and near 1. About a million pixels are looked at.
    """
    step = max(1, round((image.shape[0] * image.shape[1] / 1e6) ** 0.5))
    image, plate = image[::step, ::step], plate[::step, ::step]
    bright = (np.minimum(image, plate) > DARKEST).all(-1) & (np.maximum(image, plate) < 0.999).all(-1)
    ratio = np.log(np.maximum(image[bright], DARKEST) / np.maximum(plate[bright], DARKEST))
    mean = ratio.mean(-1)
    gray = (np.abs(ratio - mean[:, None]).max(-1) < 0.08) & (np.abs(mean) < WORST)
    if not gray.any():
        return np.ones(3, np.float32)
    ratio, mean, weight = ratio[gray], mean[gray], _nearness_to_border(bright.shape)[bright][gray]
    counts, edges = np.histogram(mean, 80, (-WORST, WORST), weights=weight)
    middle = (edges[1:] + edges[:-1]) / 2
    peak = middle[np.argmax(np.convolve(counts, [0.5, 1, 0.5], "same") * np.exp(-0.5 * (middle / 0.2) ** 2))]
    for _ in range(2):
        found = np.median(ratio[np.abs(mean - peak) < 0.03], 0)
        peak = found.mean()
    return np.exp(found).astype(np.float32)


def _nearness_to_border(shape: tuple[int, ...]) -> Floats:
    """Return 4 at the border, down to 1 from a tenth of the picture inwards."""
    row, col = (np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.1 * n) for n in shape)
    return 4 - 3 * np.minimum(np.minimum.outer(row, col), 1)


def _shift(image: Floats, plate: Floats) -> tuple[float, float]:
    """Return by how many rows and columns the plate has to move, 0 where nothing tells."""
    if min(image.shape) < 16:
        return 0.0, 0.0
    if image.size > LARGEST:
        down, right = _shift(cv2.pyrDown(image), cv2.pyrDown(plate))
        return 2 * down, 2 * right
    levels = [(image, plate)]
    while max(levels[-1][0].shape) > SHORTEST and min(levels[-1][0].shape) >= 32:
        levels.append((cv2.pyrDown(levels[-1][0]), cv2.pyrDown(levels[-1][1])))
    shift = np.zeros(2)
    for level, pair in reversed(list(enumerate(levels))):
        shift = _register(_texture(pair[0]), _texture(pair[1]), shift * 2 if level < len(levels) - 1 else shift)
    image, plate = _texture(image), _texture(plate)
    here, moved = np.abs(image - plate), np.abs(image - _move(plate, shift, cv2.INTER_LINEAR))
    common = np.minimum(here, moved) < _reach(moved)
    # A shift that explains less than a quarter of what differs is not worth following, and may be chance.
    if np.hypot(*shift) < 0.02 or (moved[common] ** 2).sum() > 0.75 * (here[common] ** 2).sum():
        return 0.0, 0.0
    return float(shift[0]), float(shift[1])


def _register(image: Floats, plate: Floats, shift: Floats) -> Floats:
    """Return ``shift`` improved by Gauss-Newton steps on the pixels where both already agree best."""
    furthest = 0.02 * np.hypot(*image.shape) + 1
    start = shift
    for _ in range(10):
        moved = _move(plate, shift, cv2.INTER_LINEAR)
        rest = image - moved
        inlier = np.abs(rest) < _reach(np.abs(rest))
        inlier[[0, 1, -2, -1]] = inlier[:, [0, 1, -2, -1]] = False
        down, right = np.gradient(moved)
        slope = np.stack([down[inlier], right[inlier]], -1).astype(np.float64)
        normal = slope.T @ slope
        if np.linalg.eigvalsh(normal)[0] < 1e-9 * slope.shape[0] + 1e-12:
            return start
        step = np.linalg.solve(normal, -slope.T @ rest[inlier])
        shift = shift + step
        if np.abs(shift).max() > furthest:
            return start
        if np.abs(step).max() < 0.005:
            break
    return shift


def _texture(gray: Floats) -> Floats:
    """Return what is neither noise nor light: a band of scales."""
    return cv2.GaussianBlur(gray, (0, 0), 1) - cv2.GaussianBlur(gray, (0, 0), 4)


def _reach(rest: Floats) -> float:
    """Return the difference up to which a pixel is backdrop: the quietest fifth tells the noise."""
    return 12 * float(np.percentile(rest, 20)) + 1e-4


def _move(picture: Floats, shift: Any, how: int) -> Floats:
    """Return the picture moved down and right by ``shift`` pixels."""
    matrix = np.array([[1, 0, shift[1]], [0, 1, shift[0]]], np.float64)
    rows, cols = picture.shape[:2]
    return cv2.warpAffine(picture, matrix, (cols, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
