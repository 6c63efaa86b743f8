"""Key or network: which of two masks a picture gives reason to trust.

A color key is right wherever there is a plain backdrop, to the single hair, and worthless elsewhere; a network is
roughly right nearly everywhere. Which case a picture is shows in itself: a plain backdrop lies close to one or two
smooth surfaces, has no texture, shows on several sides and is no small part of the picture; the key is undecided
along contours only, and takes little for backdrop that the network is sure is subject. A network that is unsure of
what it marks is lost. What the key keeps beside a plain part of a photograph, a lawn under the sky or a picture on
its page, is no subject: it fills corners and much of the border, or all of a rectangle. Ten such signs make, in a
logistic regression, the chance that the key is the better mask.
``python benchmarks/evidence.py --write`` fits it and fills ``docs/explanation/evidence.md``. All is computed on a
copy of at most 256 px, in about 2 ms beside the backdrop's fit, which the key has paid for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop import estimate_backdrop
from bgkit.color import mean_channel
from bgkit.distance import distance_to
from bgkit.extent import subject_box
from bgkit.logistic import Logistic
from bgkit.resizing import reduced

__all__ = [
    "FIT",
    "SIGNS",
    "chance_of_key",
    "core",
    "dropped",
    "is_lost",
    "pool",
    "read_signs",
    "sees_gaps",
    "sureness",
]

Floats = NDArray[Any]

SIDE = 256  # px
BAND = 64  # rows that are pooled at a time, so that what is between stays in the cache
SURE = 0.9  # of a mask, and 1 - SURE of its other end
UNCLEAR = 0.3  # of what a key does not call backdrop: more is no clear key
SWALLOWED = 0.8  # of what the network is sure of: no key that was right has called so much of it backdrop
DECIDED = 0.95  # beyond this chance the other mask has no effect
DISPUTED = 1 / 3  # of the border: so much a subject that the frame cuts may take, of which the network knows nothing
CORNER = 32  # corners are looked at so far from both sides, the shorter one being one
SLIVER, FILLED = 0.02, (0.9, 0.98)  # share of a row that counts for the rectangle; of the rectangle
HAIR = 0.015  # of the subject's diagonal: so far from the background a soft key is hair
RIM = 0.005, 1.5  # of the subject's diagonal, and px at least: so far from the background a core matte says nothing
BLIND = 0.02, 0.3  # ``swallowed`` from which on a network sees no gaps, if the key is right by at least this chance
CORE = 0.1, 0.3  # of the key, from which on the core matte begins to count, and counts in full: below lie shaded gaps

SIGNS: Mapping[str, str] = MappingProxyType(
    {
        "noise": "distance of the backdrop's pixels from its smooth surfaces, dE*uv, natural logarithm",
        "texture": "slope of the picture where the key sees backdrop, levels of 255 per px, natural logarithm",
        "little": "share of the picture that the key calls backdrop, natural logarithm, negative",
        "sides": "share of the four sides of which less than a twentieth shows backdrop",
        "ambiguous": "share of what is not clearly backdrop to the key that is not clearly subject either",
        "swallowed": "share of what the network is sure is subject that the key calls backdrop",
        "sure": "mean probability of what the network marks, each pixel weighed by its own",
        "disputed": "share of the border that the key keeps and the network surely drops, beyond a third",
        "ground": "share of the corners, two at least, in one region that the key keeps and the network surely drops",
        "boxed": "how nearly what the key keeps is a rectangle, times the share of it that the network surely drops",
    }
)

# Fitted by benchmarks/evidence.py; see docs/explanation/evidence.md for what it was fitted on.
FIT = Logistic(
    40.082,
    {
        "noise": -1.222,
        "texture": -0.408,
        "little": -2.53,
        "sides": -2.453,
        "ambiguous": -23.645,
        "swallowed": -5.798,
        "sure": -37.328,
        "disputed": -29.032,
        "ground": -11.27,
        "boxed": -13.784,
    },
)


def read_signs(image: Floats, key: Floats, network: Floats, sure: float | None = None) -> dict[str, float]:
    """Return the signs that tell which mask to trust, each by its name in :data:`SIGNS`; larger speaks against the key.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    key, network : float32 array of shape (M, N)
        The masks of a color key and of a network, 0..1.
    sure : float, optional
        :func:`sureness` of the network's own answer, where a refinement has made ``network`` of it, which hides doubt.
    """
    ground = estimate_backdrop(image)
    noise = ground.noise
    if ground.painted:  # its squares are no texture that the key could not tell
        image = np.abs(image - ground.plate(image.shape))
    image, key, network = (_small(each) for each in (image, key, network))
    backdrop, subject, marked = key < 1 - SURE, key > SURE, network > SURE
    kept, denied = key > 0.5, network < 1 - SURE
    shown = [side.mean() > 0.05 for side in _sides(backdrop)]
    return {
        "noise": float(np.log(max(noise, 0.2))),
        "texture": float(np.log(_slope(image, backdrop) + 0.2)),
        "little": -float(np.log(max(backdrop.mean(), 0.01))),
        "sides": 1 - float(np.mean(shown)),
        "ambiguous": _share(~backdrop & ~subject, ~backdrop),
        "swallowed": _share(backdrop & marked, marked),
        "sure": sureness(network) if sure is None else sure,
        "disputed": max(0.0, float(np.concatenate(_sides(kept & denied)).mean()) - DISPUTED),
        "ground": _corners(kept & denied),
        "boxed": _boxed(kept) * _share(subject & denied, subject),
    }


def sureness(mask: Floats) -> float:
    """Return how sure a mask is of what it marks: its mean, each pixel weighed by its own value; 0 of an empty one.

    >>> sureness(np.float32([[0, 0.5, 1, 1]]))
    0.9
    """
    total = float(mask.sum(dtype=np.float64))
    return float(cv2.norm(mask, cv2.NORM_L2SQR)) / total if total > 0 else 0.0


def chance_of_key(signs: Mapping[str, float], fit: Logistic | None = None) -> float:
    """Return the chance, 0..1, that the key is the better mask of a picture with such signs.

    >>> round(chance_of_key({"sides": 0.5}, Logistic(2.0, {"sides": -2.0})), 2)
    0.73
    """
    return (fit or FIT).chance(signs)


def sees_gaps(signs: Mapping[str, float], chance: float) -> bool:
    """Return whether a network may be believed in gaps, for :func:`core`.

    Not where it is sure of a good part of what the key calls backdrop, and the key, by ``chance``, may well be right:
    then it fills gaps of a plant that it cannot see.

    >>> sees_gaps({"swallowed": 0.0}, 0.5), sees_gaps({"swallowed": 0.1}, 0.5), sees_gaps({"swallowed": 0.1}, 0.1)
    (True, False, True)
    """
    return signs["swallowed"] <= BLIND[0] or chance < BLIND[1]


def is_lost(signs: Mapping[str, float], chance: float) -> bool:
    """Return whether a key is wrong beyond doubt: it has lost the body of a white mug, or there is no backdrop.

    By its chance, if a sign says what is wrong; or since hardly anything is left of what the network is sure of. A key
    that is clear, and drops nothing of that, may be right however unlikely it is.

    >>> clear = {**dict.fromkeys(SIGNS, 0.0), "sure": 0.97}
    >>> is_lost({**clear, "sides": 0.5}, 0.02), is_lost({**clear, "swallowed": 0.9}, 0.8), is_lost(clear, 0.02)
    (True, True, False)
    """
    if signs["swallowed"] > SWALLOWED:
        return True
    wrong = signs["ambiguous"] > UNCLEAR or signs["swallowed"] > BLIND[0]
    wrong |= any(signs[name] > 0 for name in ("sides", "disputed", "ground", "boxed"))
    return wrong and chance < 1 - DECIDED


def dropped(mask: Floats, network: Floats) -> float:
    """Return the share of what a network is sure of, 0..1, that a mask leaves out.

    >>> dropped(np.float32([[1, 0, 0]]), np.float32([[1, 1, 0.5]]))
    0.5
    """
    sure = network > SURE
    return _share((mask < 0.5) & sure, sure)


def pool(key: Floats, network: Floats, chance: float) -> Floats:
    """Return one mask of two: their log odds, weighed by how far each is to be trusted.

    Where the key is soft near what both call background, as in hair before the backdrop, the pool tends to the key,
    at 1/2 all the way if it is at least as likely to be right: a network draws an outline through hair, and is as sure
    of it as of any other. Deeper in the subject a soft key is a subject in the backdrop's color.

    Parameters
    ----------
    key, network : float32 array of shape (M, N)
        The masks of a color key and of a network, 0..1.
    chance : float
        Of the key being the better mask, 0..1; beyond 0.95 and 0.05 the better mask is returned as it is.

    References
    ----------
    C. Genest and J. V. Zidek, "Combining probability distributions", Statistical Science 1(1), 1986: the logarithmic
    opinion pool.
    """
    if chance > DECIDED:
        return key
    if chance < 1 - DECIDED:
        return network
    pooled = np.empty(key.shape, np.float32)
    for top in range(0, len(pooled), BAND):
        rows = slice(top, top + BAND)
        odds = [np.log(each / (1 - each)) for each in (np.clip(mask[rows], 0.001, 0.999) for mask in (key, network))]
        np.divide(1, 1 + np.exp(-(chance * odds[0] + (1 - chance) * odds[1])), out=pooled[rows])
    hair = HAIR * float(np.hypot(*subject_box(pooled)))
    at = (key > 0) & (key < 1)
    keyed = key[at]
    soft = np.float32(4 * min(1.0, 2 * chance)) * keyed * (1 - keyed)
    pooled[at] += (keyed - pooled[at]) * soft * _near((key < 1 - SURE) & (network < 0.5), hair, at)
    return pooled


def core(key: Floats, network: Floats, chance: float) -> Floats:
    """Return the key with the network for its core matte: it makes solid what the key leaves soft inside the subject.

    Where a subject has nearly the color of what is behind it, as white paper before white has, a key sees some
    difference and cannot tell paper from glass; a network knows a thing. It adds as far as :func:`pool` has it, where
    the key finds at least a little, so that gaps stay open. It takes nothing away, so that a plant of which it knows
    the pot alone keeps its leaves. Along the background, where it draws an outline through hair, it has no say, nor
    along gaps wider than that rim.

    Parameters
    ----------
    key, network : float32 array of shape (M, N)
        The masks of a color key and of a network, 0..1.
    chance : float
        Of the key being the better mask, 0..1.

    References
    ----------
    S. Wright, "Digital Compositing for Film and Video", 2001: core and garbage mattes.

    >>> core(np.float32([[0.5, 0.5, 0]]), np.float32([[0.99, 0.01, 0.99]]), 0.5).round(2)
    array([[0.91, 0.5 , 0.  ]], dtype=float32)
    """
    at = (key > CORE[0]) & (key < 1)
    keyed, filled = key[at], key.copy()
    share = np.clip((keyed - np.float32(CORE[0])) / np.float32(CORE[1] - CORE[0]), 0, 1)
    filled[at] += share * np.maximum(pool(key, network, chance)[at] - keyed, 0)
    rim = max(RIM[0] * float(np.hypot(*subject_box(filled))), RIM[1])
    wide = np.ones(2 * [2 * round(rim / 2) + 1], np.uint8)
    background = cv2.morphologyEx((key < 1 - SURE).view(np.uint8), cv2.MORPH_OPEN, wide)
    filled[at] += (keyed - filled[at]) * _near(background > 0, rim, at)
    return filled


def _near(background: Floats, reach: float, at: Floats) -> Floats:
    """Return, for the pixels of ``at``, 1 up to ``reach`` px from the background, falling to 0 at twice that."""
    left, top, width, height = cv2.boundingRect(at.view(np.uint8))
    far = math.ceil(2 * reach) + 1
    box = np.s_[max(top - far, 0) : top + height + far, max(left - far, 0) : left + width + far]
    background, at = background[box], at[box]
    if not background.any():
        return np.zeros(np.count_nonzero(at), np.float32)
    distance = distance_to(background, 2 * reach + 1)[at]
    near: Floats = np.clip(2 - distance / np.float32(max(reach, 1e-3)), 0, 1)
    return near


def _small(array: Floats) -> Floats:
    scale = SIDE / int(max(array.shape[:2]))
    if scale >= 1:
        return array
    rows, cols = (max(1, round(side * scale)) for side in array.shape[:2])
    return reduced(array, (rows, cols))


def _share(part: Floats, whole: Floats) -> float:
    return float(part.sum()) / max(1.0, float(whole.sum()))


def _sides(mask: Floats) -> list[Floats]:
    return [mask[0], mask[-1], mask[:, 0], mask[:, -1]]


def _corners(regions: Floats) -> float:
    """Return the largest share of the frame's corners that one connected region holds; 0 of one corner alone."""
    numbers = cv2.connectedComponents(regions.astype(np.uint8), connectivity=4)[1]
    near = min(numbers.shape) // CORNER
    within = numbers[near : len(numbers) - near, near : numbers.shape[1] - near]
    held = np.bincount(within[[0, 0, -1, -1], [0, -1, 0, -1]])[1:]
    return float(held.max()) / 4 if held.size and held.max() > 1 else 0.0


def _boxed(kept: Floats) -> float:
    """Return 1 where what is kept fills the rectangle around it, 0 where it leaves more than a tenth of it free."""
    rows, cols = (np.flatnonzero(kept.mean(axis) > SLIVER) for axis in (1, 0))
    if not rows.size or not cols.size:
        return 0.0
    filled = kept[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].mean()
    return float(np.clip((filled - FILLED[0]) / (FILLED[1] - FILLED[0]), 0, 1))


def _slope(image: Floats, where: Floats) -> float:
    """Return the root mean square slope of the picture well inside ``where``, 20 at most and where there is none."""
    inside = cv2.erode(where.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if inside.mean() < 0.005:
        return 20.0
    gray = mean_channel(image)
    slope = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 0, 1), cv2.Sobel(gray, cv2.CV_32F, 1, 0)) / 8
    return min(20.0, 255 * float(np.sqrt((slope[inside] ** 2).mean())))
