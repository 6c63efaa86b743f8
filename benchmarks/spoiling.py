"""Studio shots spoilt on purpose, each to provoke one finding of :mod:`bgkit.findings`.

A spoiler takes a shot's picture, true alpha, true subject color and empty plate, and returns a picture with the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.color import linear_from_srgb, srgb_from_linear

Array = NDArray[Any]
Spoiler = Callable[[Array, Array, Array, Array], Array]


def _exposed(image: Array, stops: float) -> Array:
    return np.clip(srgb_from_linear(np.minimum(linear_from_srgb(image) * 2.0**stops, 1)), 0, 1)


def _busy(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Stand the subject before a wall of colored tiles."""
    rng = np.random.default_rng(8)
    tiles = np.kron(rng.random((9, 12, 3)), np.ones((100, 100, 1)))[: len(image), : image.shape[1]]
    tiles = cv2.resize(tiles, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return alpha[..., None] * color + (1 - alpha[..., None]) * tiles


def _one_sided(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Let a lamp fail: half of the encoded value at the right side."""
    return image * np.linspace(1, 0.5, image.shape[1])[:, None]


def _cut(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Crop so that the subject is cut in the middle at the left."""
    cols = np.flatnonzero((alpha > 0.5).any(axis=0))
    return image[:, (cols[0] + cols[-1]) // 2 :]


def _twice(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Put the subject there twice, smaller, with room around."""
    rows, cols = (side // 2 for side in alpha.shape)
    result = plate.copy()
    for left in (cols // 20, alpha.shape[1] - cols - cols // 20):
        part = np.s_[rows // 2 : rows // 2 + rows, left : left + cols]
        a, c = (cv2.resize(each, (cols, rows), interpolation=cv2.INTER_AREA) for each in (alpha, color))
        result[part] = a[..., None] * c + (1 - a[..., None]) * result[part]
    return result


def _pierced(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Let the ground be seen through three quarters of the largest disk that fits into the subject."""
    depth = cv2.distanceTransform((alpha > 0.99).astype(np.uint8), cv2.DIST_L2, 5)
    row, col = np.unravel_index(depth.argmax(), depth.shape)
    across, down = np.ogrid[: len(alpha), : alpha.shape[1]]
    hole = (across - row) ** 2 + (down - col) ** 2 < (0.75 * depth.max()) ** 2
    return np.where(hole[..., None], plate, image)


def _faded(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Leave an eighth of the subject's difference from the ground: glass in fog."""
    return plate + (image - plate) / 8


def _with_poster(image: Array, alpha: Array, color: Array, plate: Array) -> Array:
    """Paste a flat colored field over the upper third of the ground."""
    field = np.zeros(alpha.shape)
    field[: len(alpha) // 3] = 1
    shown = (field * (1 - alpha))[..., None]
    return image * (1 - shown) + shown * np.array([0.75, 0.8, 0.95])


def _defocused(image: Array) -> Array:
    return cv2.GaussianBlur(image, (0, 0), 0.004 * float(np.hypot(*image.shape[:2])))


# what is done -> the findings of which at least one has to be flagged, and how it is done
SPOILERS: Mapping[str, tuple[tuple[str, ...], Spoiler]] = {
    "a busy wall behind": (("backdrop",), _busy),
    "a lamp failed": (("unevenness",), _one_sided),
    "ground overexposed, 1/2 stop": (("backdrop_clipping",), lambda image, *_: _exposed(image, 0.5)),
    "subject overexposed, 3 stops": (("subject_clipping",), lambda image, *_: _exposed(image, 3)),
    "subject cut at the left": (("touching",), _cut),
    "the subject twice": (("subjects",), _twice),
    "nothing but the ground": (("subject",), lambda image, alpha, color, plate: plate),
    "a hole through the subject": (("holes",), _pierced),
    "subject nearly as the ground": (("doubt", "trust", "subject"), _faded),
    "a colored field in the ground": (("missing", "trust"), _with_poster),
    "out of focus": (("blur",), lambda image, *_: _defocused(image)),
}
