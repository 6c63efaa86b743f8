"""Pillow's resampling, whose kernel widens with the shrinking, for arrays: many networks were trained on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["resized"]


def resized(channel: NDArray[Any], shape: tuple[int, int], kind: str) -> NDArray[Any]:
    """Return a float32 array (M, N) resized to ``shape`` (rows, columns).

    ``kind`` is ``bilinear``, ``bicubic`` or ``lanczos``.

    >>> resized(np.float32([[0, 1], [0, 1]]), (1, 1), "bilinear")
    array([[0.5]], dtype=float32)
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(channel, np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling[kind.upper()]))
