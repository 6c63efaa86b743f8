"""The key from the empty plate: what differs from it is the subject.

The plate is first brought to the picture's exposure and position (:mod:`bgkit.backdrop.plate`). The difference
is measured in CIELUV from the line of the plate's own color towards black: a shadow moves a color along
that line, and is no subject. Two conversions to CIELUV and one pass.
"""

from __future__ import annotations

from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.plate import match_plate
from bgkit.backdrop.sampling import ramp
from bgkit.params import Range
from bgkit.stage import note, stage

Floats = NDArray[Any]


@stage(gives="mask")
def clean_plate(
    image: Floats,
    plate: Floats,
    *,
    tolerance: Annotated[float, Range(0, 200, "dE*uv", ui=(0, 60))] = 5.0,
    softness: Annotated[float, Range(0, 200, "dE*uv", ui=(0, 100))] = 50.0,
    contrast: Annotated[float, Range(0, 1, "of the greatest difference nearby", ui=(0.3, 1))] = 0.6,
    shadow: Annotated[float, Range(0, 1, ui=(0, 0.6))] = 0.15,
) -> Floats:
    """Mark as foreground what differs from the same scene photographed empty.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    plate : float32 array of shape (M, N, 3)
        The same scene without its subject; exposure may differ by a third, position by 2 % of the diagonal.
    tolerance : float
        Difference up to which a pixel is background; larger swallows more noise and dirt, and more of a subject
        that resembles what is behind it. It is raised to ``sqrt(tolerance² + (2 noise)²)``.
    softness : float
        Beyond the tolerance, the difference over which the mask rises to 1; larger gives softer hair and grayer
        doubtful parts.
    contrast : float
        The rise takes no more than this share of the greatest difference nearby, so that a light subject on white
        is as solid as a dark one; larger leaves more of it soft. 0: the same rise everywhere.
    shadow : float
        How much darker than the plate, as a share of its lightness, still counts as plate; larger removes deeper
        shadows, and subjects that are merely a darker color of what is behind them.

    Returns
    -------
    float32 array of shape (M, N)
        0 background to 1 foreground.

    Notes
    -----
    ``mask = clip((d - tolerance) / rise, 0, 1)``, with d the distance in CIELUV to the nearest point of the
    line from the plate's color p to ``(1 - shadow) p``, and ``rise = min(softness, contrast * d_max)`` with d_max
    the greatest d within 7 per mille of the subject's diagonal. Nothing is filled: backdrop that the subject encloses
    is backdrop, and a part of the subject in the plate's very color is a hole.

    References
    ----------
    CIE 15:2004, Colorimetry, 8.2.1: CIELUV and its color difference. T. Horprasert, D. Harwood, L. S. Davis,
    "A statistical approach for real-time robust background subtraction and shadow detection", ICCV Workshop 1999:
    distance from the plate's line of brightness.

    Examples
    --------
    >>> plate = np.full((1, 4, 3), 0.8)
    >>> picture = plate * [[[1.0], [0.9], [1.0], [1.0]]]  # the second pixel lies in shadow
    >>> picture[0, 3] = [1, 0, 0]
    >>> clean_plate(picture, plate, shadow=0.2)
    array([[0., 0., 0., 1.]], dtype=float32)
    """
    match = match_plate(image, plate)
    color, behind = (cv2.cvtColor(each, cv2.COLOR_RGB2Luv) for each in (image, match.plate))
    noise = _noise(color - behind)
    note(gain=match.gain, shift=match.shift, noise=noise)
    length = np.maximum((behind * behind).sum(-1), 1)
    lit = np.clip((color * behind).sum(-1) / length, 1 - shadow, 1)
    distance = np.sqrt(((color - lit[..., None] * behind) ** 2).sum(-1))
    return ramp(distance, float(np.hypot(tolerance, 2 * noise)), softness, contrast)


def _noise(difference: Floats) -> float:
    """Return the noise of single backdrop pixels against the plate, dE*uv; 0 for pictures too small to tell.

    From differences of neighbors, in which light and shadow cancel; the quietest quarter of them is backdrop.
    """
    if min(difference.shape[:2]) < 8:
        return 0.0
    step = np.sqrt(((difference[:, 1:] - difference[:, :-1]) ** 2).sum(-1))
    # For chi with 3 degrees of freedom the quarter lies at 1.10 of a channel's sigma, the rms at sqrt(3); the
    # difference of two pixels has twice the variance.
    return float(np.percentile(step, 25) / 1.10 * 1.5**0.5)
