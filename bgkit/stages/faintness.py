"""Remove faint opacity: what matting leaves of noise and of the old background's grain.

A matting solver gives no exact 0 and 1: a few percent of opacity remain beside the subject, and show as a gray veil
on a background that is to be pure white. Both ends of the range are pulled to 0 and 1 smoothly; values between stay.
Works on alpha only, in one pass.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bgkit._ext.pointwise import draw_in
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage
from bgkit.threads import threads


@stage(gives="alpha")
def levels(
    alpha: Array,
    *,
    clear: Annotated[float, Range(0, 0.16, "of full opacity", ui=(0, 0.1))] = 0.05,
    solid: Annotated[float, Range(0, 0.16, "of full opacity", ui=(0, 0.1))] = 0.05,
) -> Array:
    """Set faint opacity to 0, and nearly full opacity to 1.

    Parameters
    ----------
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity of the subject.
    clear : float
        Opacity up to this becomes 0; larger cleans the ground further, and removes the faintest hair. 0: off.
    solid : float
        Opacity of at least 1 minus this becomes 1; larger closes more of what shines through the subject, and hardens
        veils. 0: off.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Between ``3 clear`` and ``1 - 3 solid`` as before; never out of order.

    Notes
    -----
    Below ``3 clear``: alpha s(t), with t = (alpha - clear) / (2 clear) clipped to 0..1 and s(t) = t^2 (3 - 2 t); the
    upper end likewise with 1 - alpha.

    Examples
    --------
    >>> levels([[0.0, 0.04, 0.5, 0.97, 1.0]])
    array([[0. , 0. , 0.5, 1. , 1. ]], dtype=float32)
    """
    drawn = np.empty_like(alpha)
    draw_in(alpha, clear, solid, drawn, threads())
    return drawn
