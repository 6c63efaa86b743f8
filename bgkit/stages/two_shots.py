"""Alpha from two shots of one subject on two grounds: no trimap, no color model, exact for glass and hair.

Both shots show alpha F + (1 - alpha) B with the same alpha and F. Their difference is (1 - alpha) (B1 - B2), and with
both grounds known that is three equations for one alpha (Smith and Blinn 1996, section 4). Works on sRGB-encoded color,
as compositing does. A few passes over the picture.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

import cv2
import numpy as np

from bgkit.backdrop import estimate_plate
from bgkit.color import dot, parse_color
from bgkit.errors import LayerError
from bgkit.layers import Array
from bgkit.params import Color
from bgkit.stage import note, stage

LEAST = 0.1  # rms difference of the grounds, of 0..1; below, noise of 1 % would be 10 % of alpha
MOVED = 0.05  # rms of what no alpha explains, over the subject; camera noise leaves 0.01
ALIKE = 0.005  # of the picture in which the grounds are so alike that noise decides
WINDOW = 5  # px, means over which lose the noise, and keep the rim of a subject that moved
RIM = 0.035  # of such means, in the worst hundredth: drawn subjects moved by 3 px leave 0.042 or more, JPEG 0.034

WORKING = 960  # px, the longer side on which contours are held against each other
SLID = 1.25  # px there, by which they lie apart; those of 16 unmoved subjects on three grounds do by 0.6 at most
SHARE = 0.3  # of the correlation in one peak; moved subjects have 0.4 to 1


@stage(gives="alpha")
def two_grounds(
    image: Array,
    second: Array,
    *,
    ground: Literal["border", "colors"] = "border",
    colors: Annotated[tuple[str, ...], Color()] = ("white", "black"),
) -> Array:
    """Compute alpha from two shots of one subject before two grounds.

    Parameters
    ----------
    image, second : ndarray of shape (M, N, 3), float32, 0..1
        The subject, camera and light unmoved, before two even grounds of different color.
    ground : {"border", "colors"}
        Where the grounds' colors come from: each a smooth surface through its shot's border, or ``colors``.
    colors : tuple of two str
        For ``ground="colors"``: the ground of ``image``, then that of ``second``, as for pictures that were rendered.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Opacity of the subject.

    Raises
    ------
    LayerError
        If the grounds differ too little, or ``colors`` are not two.

    Warns
    -----
    UserWarning
        If the shots differ in more than their grounds: the subject, the camera or the light has moved. If the grounds
        are alike in a part of the picture.

    Notes
    -----
    The least squares solution of ``C1 - C2 = (1 - alpha) (B1 - B2)``, which is that of the paper's theorem 4 for
    three channels: ``alpha = 1 - (C1 - C2) . (B1 - B2) / |B1 - B2|^2``. ``facts`` hold the difference of the grounds;
    what no alpha explains of the difference of the shots, over the subject (``misfit``) and where it is largest
    (``rim``), all rms; and by how many rows and columns the contours of the shots lie apart (``slid``), for where glass
    or a gray subject moves before two grays, some alpha explains all that they show. A ground's own shadow counts as
    subject: it darkens both shots.

    References
    ----------
    A. R. Smith and J. F. Blinn, Blue screen matting, SIGGRAPH 1996, section 4. C. D. Kuglin and
    D. C. Hines, The phase correlation image alignment method, IEEE Conf. Cybernetics and Society 1975.

    Examples
    --------
    >>> on_white, on_black = [[[1, 1, 1], [0.75, 0.5, 0.5]]], [[[0, 0, 0], [0.25, 0, 0.0]]]
    >>> two_grounds(on_white, on_black, ground="colors")
    array([[0. , 0.5]], dtype=float32)
    """
    if ground == "colors":
        if len(colors) != 2:
            raise LayerError(f"two_grounds.colors: expected two colors, that of each ground, got {len(colors)}")
        grounds: list[Array] = [np.array([[parse_color(color)]], np.float32) for color in colors]
    else:
        grounds = [estimate_plate(shot) for shot in (image, second)]
    behind, seen = grounds[0] - grounds[1], image - second
    contrast = float(np.sqrt(np.median((behind * behind).mean(-1))))
    if contrast < LEAST:
        raise LayerError(
            f"two_grounds: expected grounds that differ by {LEAST:.0%} or more, got {contrast:.1%}; photograph "
            "the second on a ground of another color"
        )
    alike = float(np.mean((behind * behind).mean(-1) < LEAST**2 / 4))
    if alike > ALIKE:
        warnings.warn(
            f"two_grounds: the grounds are alike in {alike:.0%} of the picture, where opacity is not known; photograph "
            "the second on a ground of another color",
            UserWarning,
            stacklevel=2,
        )
    clear = dot(seen, behind) / np.maximum(dot(behind, behind), 3 * LEAST**2 / 4)
    alpha: Array = np.clip(1 - clear, 0, 1).astype(np.float32)
    left = seen - (1 - alpha)[:, :, None] * behind
    misfit = float(np.sqrt(((left**2).mean(-1) * alpha).sum() / max(float(alpha.sum()), 1.0)))
    means = (cv2.blur(left, (WINDOW, WINDOW)) ** 2).mean(-1)[alpha > 0.05]
    rim = float(np.sqrt(np.quantile(means, 0.99))) if means.size else 0.0
    slid = _slid(image, second)
    note(contrast=contrast, misfit=misfit, rim=rim, slid=slid)
    apart = float(np.hypot(*slid))
    if misfit > MOVED or rim > RIM or apart > SLID * max(1.0, max(alpha.shape) / WORKING):
        how = f"by {max(misfit, rim):.1%}" if misfit > MOVED or rim > RIM else f"by a shift of {apart:.1f} px"
        warnings.warn(
            f"two_grounds: the shots differ {how} in more than their grounds; subject, camera or light moved",
            UserWarning,
            stacklevel=2,
        )
    return alpha


def _slid(image: Array, second: Array) -> tuple[float, float]:
    """Return by how many rows and columns the contours of the second shot lie off those of the first; 0 if unclear."""
    scale = min(1.0, WORKING / max(image.shape))
    if min(image.shape[:2]) * scale < 32:
        return 0.0, 0.0
    here, there = (_contours(shot, scale) for shot in (image, second))
    taper = cv2.createHanningWindow(here.shape[::-1], cv2.CV_64F)
    (right, down), share = cv2.phaseCorrelate(here, there, taper)
    return (down / scale, right / scale) if share >= SHARE else (0.0, 0.0)


def _contours(shot: Array, scale: float) -> Array:
    """Return how steep a shot is where it is much steeper than its ground, whatever the sign: 0..1/2 of the most."""
    size = tuple(max(1, round(side * scale)) for side in shot.shape[1::-1])
    small = cv2.resize(shot, size, interpolation=cv2.INTER_AREA) if scale < 1 else shot
    smooth = cv2.GaussianBlur(small, (0, 0), 1.2)
    slopes = (cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    steep = np.sqrt(sum(dot(slope, slope) for slope in slopes))
    steep = np.maximum(steep - 3 * np.median(steep), 0)
    return np.minimum(steep / max(float(steep.max()), 1e-6), 0.5).astype(np.float64)
