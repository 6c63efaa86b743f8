"""Pictures to look at: picture | subject on white | matte side by side in one file, and thumbnails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import LayerError
from bgkit.layers import Layers

__all__ = ["strip", "thumbnail"]


def strip(layers: Layers) -> NDArray[np.float32]:
    """Return picture, subject on white and matte side by side.

    Parameters
    ----------
    layers : Layers
        With an alpha; the subject's color is the estimated foreground where there is one, else the
        picture's own, which shows the fringes that an estimate would remove.

    Returns
    -------
    ndarray of shape (M, 3 N, 3), float32
        sRGB-encoded, 0..1.

    Raises
    ------
    LayerError
        If there is no alpha.

    >>> white = np.ones((1, 1, 3), np.float32)
    >>> strip(Layers(white * 0.5, alpha=np.zeros((1, 1), np.float32)))[0, :, 0].tolist()
    [0.5, 1.0, 0.0]
    """
    if layers.alpha is None:
        raise LayerError(f"strip: expected an alpha among the layers that were made: {', '.join(layers.given())}")
    alpha = layers.alpha[:, :, None]
    color = layers.image if layers.foreground is None else layers.foreground
    cut = alpha * color + (1 - alpha)
    return np.ascontiguousarray(np.hstack([layers.image, cut, np.repeat(alpha, 3, axis=2)]), np.float32)


def thumbnail(array: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return a copy whose longer side is at most ``side`` px, each pixel the mean of those it stands for."""
    import cv2

    scale = side / max(array.shape[:2])
    if scale < 1:
        size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
        array = np.clip(cv2.resize(array, size, interpolation=cv2.INTER_AREA), 0, 1)
    return np.ascontiguousarray(array, np.float32)
