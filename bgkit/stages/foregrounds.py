"""The subject's own color, without the old background in it.

Foreground and background color are fitted to the compositing equation, smooth where alpha is
smooth, from the coarsest scale to the finest (Germer, Uelwer, Conrad and Harmeling 2020).
Works on sRGB-encoded color.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage


@stage(gives="foreground")
def estimate_foreground(
    image: Array,
    alpha: Array,
    *,
    regularization: Annotated[float, Range(1e-8, 1.0, ui=(1e-6, 1e-2))] = 1e-5,
    gradient_weight: Annotated[float, Range(0.0, 100.0, ui=(0.0, 10.0))] = 1.0,
) -> Array:
    """Estimate the color of the subject where it is mixed with the background.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    alpha : float32 array of shape (M, N)
        Opacity, 0..1.
    regularization : float
        Weight of smoothness everywhere; larger gives smoother color.
    gradient_weight : float
        Additional weight of smoothness where alpha changes; larger gives smoother color along edges.

    Returns
    -------
    float32 array of shape (M, N, 3)
        Subject color, 0..1, sRGB-encoded, not multiplied by alpha; the image's where alpha is 1.

    References
    ----------
    T. Germer, T. Uelwer, S. Conrad, S. Harmeling: Fast Multi-Level Foreground Estimation. ICPR 2020.

    Examples
    --------
    >>> image = np.float32([[[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]]] * 3)
    >>> estimate_foreground(image, np.float32([[1, 0.5, 0]] * 3))[1, 1].round(1)
    array([1., 0., 0.], dtype=float32)
    """
    import pymatting

    if image.shape[0] == image.shape[1] == 1:
        return np.array(image)
    foreground = pymatting.estimate_foreground_ml(
        image, alpha, regularization=regularization, gradient_weight=gradient_weight
    )
    return np.where(alpha[:, :, None] >= 1, image, foreground).astype(np.float32)
