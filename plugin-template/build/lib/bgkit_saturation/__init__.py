"""Marking by saturation: subjects of strong color before a gray, white or black backdrop.

Saturation is that of HSV: (greatest - least) / greatest of the three channels, on sRGB-encoded values. A few operations
for each pixel.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage

__all__ = ["saturated"]


@stage(gives="mask")
def saturated(
    image: Array,
    *,
    least: Annotated[float, Range(0, 1, "of full saturation", ui=(0.2, 0.8))] = 0.5,
    softness: Annotated[float, Range(0.01, 1, "of full saturation", ui=(0.05, 0.5))] = 0.2,
) -> Array:
    """Mark as foreground what is strongly colored.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    least : float
        Saturation at which the mask is one half. Larger keeps less.
    softness : float
        Width of the ramp from 0 to 1 around ``least``. Larger leaves more to matting.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Probability of foreground.

    Examples
    --------
    >>> saturated([[[0.8, 0.1, 0.1], [0.7, 0.7, 0.7]]])
    array([[1., 0.]], dtype=float32)
    """
    greatest = image.max(axis=2)
    saturation = (greatest - image.min(axis=2)) / np.maximum(greatest, np.float32(1e-3))
    return np.clip((saturation - np.float32(least)) / np.float32(softness) + np.float32(0.5), 0, 1)
