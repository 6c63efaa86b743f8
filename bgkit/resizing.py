"""Where the pixels of a picture lie between those of a smaller copy: for kernels that interpolate as they go."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["between"]


def between(coarse: int, fine: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return, for each of ``fine`` pixel centers, the coarse one before it (int32) and the way to the next, 0..1.

    >>> between(2, 4)
    (array([0, 0, 0, 1], dtype=int32), array([0.  , 0.25, 0.75, 0.  ], dtype=float32))
    """
    at = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
    before = at.astype(np.int32)
    return before, (at - before).astype(np.float32)
