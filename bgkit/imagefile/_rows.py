"""A picture whose rows are made as they are written, so that it never takes memory as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit._ext.pointwise import beside, over

__all__ = ["Rows"]

Array = NDArray[Any]


class Rows:
    """A subject on one color, or on nothing.

    ``rows[top:end]`` is float32 of shape (end - top, N, 3), or with 4 channels, color beside opacity, on nothing.

    Parameters
    ----------
    subject : float32 array of shape (M, N, 3)
        Color, sRGB-encoded, 0..1, not multiplied by alpha.
    alpha : float32 array of shape (M, N)
        Opacity, 0..1.
    behind : three numbers 0..1, or None
        The color; None for nothing.
    """

    dtype, ndim = np.dtype(np.float32), 3

    def __init__(self, subject: Array, alpha: Array, behind: tuple[float, float, float] | None) -> None:
        self.subject, self.alpha = subject, alpha
        self.behind = None if behind is None else np.array(behind, np.float32)[None, None]
        self.shape = (*alpha.shape, 4 if behind is None else 3)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> Array:
        subject, alpha = self.subject[rows], self.alpha[rows]  # so few that one thread is enough
        result = np.empty((*alpha.shape, self.shape[2]), np.float32)
        if self.behind is None:
            beside(subject, alpha, result, 1)
        else:
            over(subject, alpha, self.behind, np.empty((0, 0), np.float32), result, 1)
        return result
