"""Spill: the light that a green or blue screen throws on the subject.

Spill shows as more of the screen's primary than a subject of ordinary colors has. What exceeds the
other two channels is taken away, and the lightness it carried is given back in gray. Works in
encoded sRGB, a few operations a pixel.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop import estimate_backdrop
from bgkit.params import Range
from bgkit.stage import note, stage

__all__ = ["despill"]

Floats = NDArray[Any]


@stage(gives="foreground")
def despill(
    image: Floats,
    foreground: Floats | None = None,
    *,
    screen: Literal["auto", "green", "blue"] = "auto",
    strength: Annotated[float, Range(0, 1)] = 0.5,
) -> Floats:
    """Take the light of a green or blue screen off the subject.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    foreground : float32 array of shape (M, N, 3), optional
        The subject's color, where it was estimated already; else the image is taken.
    screen : {"auto", "green", "blue"}
        The screen's primary; ``auto`` takes the one that the picture's border shows, if any.
    strength : float
        How much of the primary is spill: 0 what exceeds the larger of the other two channels, 1 what
        exceeds their mean. Larger clears yellowish hair of green, and dulls greens of the subject.

    Returns
    -------
    float32 array of shape (M, N, 3)
        The subject's color, sRGB, 0..1.

    Notes
    -----
    For green ``G' = min(G, (1 - s) max(R, B) + s (R + B) / 2)``, and ``0.7152 (G - G')`` (for blue
    0.0722) is added to all channels, which keeps the luma of Rec. 709.

    References
    ----------
    S. Wright, Digital Compositing for Film and Video, 3rd edition, 2010: despill operations.

    Examples
    --------
    >>> despill([[[0.5, 0.7, 0.5]]], screen="green").round(2)
    array([[[0.64, 0.64, 0.64]]], dtype=float32)
    """
    source = image if foreground is None else foreground
    if screen == "auto":
        backdrop = estimate_backdrop(image)
        screen = backdrop.screen()
        found = float(backdrop.excess((1, 1), screen)[0])
        note(screen=screen, excess=found)
        if found < 0.05:  # a wall, no screen
            return source.copy()
    primary, luma = (1, 0.7152) if screen == "green" else (2, 0.0722)
    a, b = (source[..., channel] for channel in range(3) if channel != primary)
    limit = (1 - strength) * np.maximum(a, b) + strength * (a + b) / 2
    spill = np.maximum(source[..., primary] - limit, 0)
    clean = source.copy()
    clean[..., primary] -= spill
    clean += (np.float32(luma) * spill)[..., None]
    return np.clip(clean, 0, 1, out=clean)
