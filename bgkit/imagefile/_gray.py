"""Pictures that are numbers: what the file of a mask, an alpha or a trimap means.

The numbers are gray. An alpha channel beside them is an opacity, and means what it means in each kind: of a trimap, a
clear pixel is undecided; of a mask, alpha is the mask where the file is a cutout, a picture with its background clear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError

__all__ = ["gray_of", "mask_of", "trimap_of"]

Array = NDArray[Any]

COLORFUL = 0.1  # difference of channels above which a pixel is colored; JPEG leaves less in gray pictures
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


def gray_of(color: Array, counts: Array | None = None) -> Array:
    """Return gray samples (M, N) of the same type.

    Raises
    ------
    ImageError
        If more than 1 % of the pixels that count are colored: no brightness says what a color means.
    """
    if color.ndim == 2:
        return color
    low, high = color.min(2), color.max(2)
    if (low == high).all():
        return np.ascontiguousarray(low)  # exact: a sum of weights would shift gray by a rounding
    colored = high - low > COLORFUL * _full(color)
    if counts is not None:
        colored &= counts
    if np.count_nonzero(colored) > 0.01 * color[..., 0].size:
        some = ", ".join(f"{value:g}" for value in color[colored][0])
        raise ImageError(f"expected gray, got colors, as ({some}); save it as grayscale, white for the subject")
    gray = color @ LUMA
    return gray if color.dtype.kind == "f" else np.rint(gray).astype(color.dtype)


def mask_of(color: Array, alpha: Array | None) -> Array:
    """Return the samples (M, N) of a mask or an alpha.

    Alpha counts where parts of the file are clear. If what is visible is a mask itself (gray, mostly black and white,
    and both), the lesser of the two counts; else the file is a cutout, and its alpha is the mask.
    """
    if alpha is None or (alpha == alpha.flat[0]).all():
        return gray_of(color)
    visible = alpha >= _full(alpha) / 2
    if visible.all():
        return gray_of(color)
    return np.minimum(gray_of(color, visible), alpha) if _shows_mask(color, visible) else alpha


def trimap_of(color: Array, alpha: Array | None) -> Array:
    """Return the samples (M, N) of a trimap: gray, and half of the range, unknown, where the file is clear."""
    if alpha is None:
        return gray_of(color)
    clear = alpha < _full(alpha) / 2
    trimap = gray_of(color, ~clear).copy()
    trimap[clear] = np.ceil(_full(trimap) / 2) if trimap.dtype.kind == "u" else 0.5
    return trimap


def _shows_mask(color: Array, visible: Array) -> bool:
    """Tell whether the visible pixels are those of a mask, not of a picture."""
    seen = color[visible].reshape(np.count_nonzero(visible), -1)
    if not len(seen):
        return False
    low, high, full = seen.min(1), seen.max(1), _full(color)
    gray = high - low <= COLORFUL * full
    black, white = high <= 0.1 * full, low >= 0.9 * full
    return bool(gray.mean() > 0.99 and black.any() and white.any() and (black | white).mean() >= 0.5)


def _full(samples: Array) -> float:
    return float(np.iinfo(samples.dtype).max) if samples.dtype.kind == "u" else 1.0
