"""Spill: the light that a green or blue screen throws on the subject.

Spill shows as more of the screen's primary than a subject of ordinary colors has. It is strongest along the contour and
falls off inwards; a green coat is as green within as at its rim. So what exceeds the other two channels counts as spill
only near the contour, and only by how much it exceeds the subject's own excess further in. It is light that was added:
it is taken away, and nothing is given back. Works in encoded sRGB.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop import estimate_backdrop
from bgkit.extent import subject_box
from bgkit.params import Range
from bgkit.stage import note, stage

__all__ = ["despill"]

Floats = NDArray[Any]

SIDE = 512  # px, to which a larger subject is reduced to see what color it has further in: that is smooth
ENOUGH = 0.01  # of the Gaussian's weight; with less nothing of the subject's inside is near


@stage(gives="foreground")
def despill(
    image: Floats,
    foreground: Floats | None = None,
    alpha: Floats | None = None,
    *,
    screen: Literal["auto", "green", "blue"] = "auto",
    strength: Annotated[float, Range(0, 1)] = 0.5,
    reach: Annotated[float, Range(0, 100, "% of the subject", ui=(0, 10))] = 2.0,
) -> Floats:
    """Remove the light of a green or blue screen from the subject, and keep its own greens and blues.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    foreground : float32 array of shape (M, N, 3), optional
        The subject's color, where it was estimated already; else the image is taken.
    alpha : float32 array of shape (M, N), optional
        The subject's opacity, 0..1, from which the distance to the contour is known. Without it all excess is spill.
    screen : {"auto", "green", "blue"}
        The screen's primary; ``auto`` takes the one that the picture's border shows, if any.
    strength : float
        What counts as excess of the primary: 0 what exceeds the larger of the other two channels, 1 what
        exceeds their mean. Larger clears yellowish hair of green.
    reach : float
        How far spill reaches in from the contour, in percent of the diagonal of the subject's box: all of it within,
        fading to nothing at twice that. Larger cleans a subject that stands close to its screen, and takes more of
        the subject's own green or blue for spill; at 100 all excess is spill.

    Returns
    -------
    float32 array of shape (M, N, 3)
        The subject's color, sRGB, 0..1.

    Notes
    -----
    For green the excess is ``e = max(0, G - (1 - s) max(R, B) - s (R + B) / 2)``. The subject's own excess is the mean
    of ``e`` deeper than ``reach``, near ones weighed more (a Gaussian of twice the reach); where nothing that deep is
    near, as in hair, it is 0.

    References
    ----------
    S. Wright, Digital Compositing for Film and Video, 3rd edition, 2010: despill operations.

    Examples
    --------
    >>> despill([[[0.5, 0.7, 0.5]]], screen="green").round(2)
    array([[[0.5, 0.5, 0.5]]], dtype=float32)
    """
    source = image if foreground is None else foreground
    if screen == "auto":
        backdrop = estimate_backdrop(image)
        screen = backdrop.screen()
        found = float(backdrop.excess((1, 1), screen)[0])
        note(screen=screen, excess=found)
        if found < 0.05:  # a wall, no screen
            return source.copy()
    primary = 1 if screen == "green" else 2
    a, b = (source[..., channel] for channel in range(3) if channel != primary)
    limit = (1 - strength) * np.maximum(a, b) + strength * (a + b) / 2
    spill = np.maximum(source[..., primary] - limit, 0)
    if alpha is not None and reach < 100:
        spill = _near_contour(spill, alpha, reach / 100)
    clean = source.copy()
    clean[..., primary] -= spill
    return clean


def _near_contour(excess: Floats, alpha: Floats, reach: float) -> Floats:
    """Return what of the excess falls off from the contour inwards; ``reach`` in shares of the subject's diagonal."""
    px = max(1e-3, reach * float(np.hypot(*subject_box(alpha))))
    depth = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = np.minimum(depth, sum(alpha.shape))  # a picture without a contour has no end of it
    scale = min(1.0, SIDE / max(alpha.shape))
    size = tuple(max(1, round(scale * side)) for side in reversed(alpha.shape))
    deep = np.float32(depth > px)
    own, weight = (
        cv2.GaussianBlur(cv2.resize(each, size, interpolation=cv2.INTER_AREA), (0, 0), max(0.3, 2 * scale * px))
        for each in (excess * deep, deep)
    )
    own *= np.clip(weight / ENOUGH, 0, 1) / np.maximum(weight, 1e-6)
    own = cv2.resize(own, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.maximum(excess - own, 0) * np.clip(2 - depth / px, 0, 1)
