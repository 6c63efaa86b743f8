"""The background without its subject: a hole where the subject was, or that hole filled.

With a hole, the picture's opacity is what the subject leaves of it, and the color behind soft hair is what is left of
the pixel when the subject's share is taken out. A filled hole is inpainted on a reduced copy, because inpainting
cannot know what was there: its answer is smooth, and time grows with the hole.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import cv2
import numpy as np

from bgkit.errors import LayerError
from bgkit.extent import subject_box
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage

SEEN = 0.02  # opacity from which a pixel shows the subject
MIXED = 0.9  # opacity up to which the color behind is worth computing; above, it is noise and hardly seen


@stage(gives="background")
def drop_subject(
    image: Array,
    alpha: Array,
    foreground: Array | None = None,
    opacity: Array | None = None,
    *,
    fill: Literal["none", "telea", "navier-stokes", "biharmonic"] = "none",
    grow: Annotated[float, Range(0, 100, "per mille of the subject's diagonal", ui=(0, 20))] = 5.0,
    radius: Annotated[float, Range(1, 100, "px of the reduced copy", ui=(1, 20))] = 5.0,
    side: Annotated[int, Range(16, 4096, "px", ui=(100, 1000))] = 400,
) -> Array:
    """Remove the subject and keep the background.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity of the subject.
    foreground : ndarray of shape (M, N, 3), float32, 0..1, optional
        The subject's own color, which is taken out of soft pixels.
    opacity : ndarray of shape (M, N), float32, 0..1, optional
        The picture's own alpha channel, which the background keeps.
    fill : {"none", "telea", "navier-stokes", "biharmonic"}
        What the hole becomes: nothing, or inpainted by OpenCV's fast marching or fluid method, or by scikit-image's
        biharmonic surface, the smoothest and slowest.
    grow : float
        How far the hole is widened before it is filled; larger leaves less of the subject's rim and shadow.
    radius : float
        How far around each pixel ``telea`` and ``navier-stokes`` look; larger is smoother.
    side : int
        Longer side of the reduced copy around the hole that is inpainted; larger is finer, at more time.

    Returns
    -------
    ndarray of shape (M, N, 4), or (M, N, 3) where the hole is filled, float32, 0..1
        sRGB-encoded, color not multiplied by opacity.

    Raises
    ------
    LayerError
        If the hole is to be filled and no background is visible.

    References
    ----------
    A. Telea, An image inpainting technique based on the fast marching method, Journal of Graphics Tools 9(1), 2004.
    M. Bertalmio, A. L. Bertozzi, G. Sapiro, Navier-Stokes, fluid dynamics, and image and video inpainting, CVPR 2001.
    S. B. Damelin, N. S. Hoang, On surface completion and image inpainting by biharmonic functions, IJMMS 2018.

    Examples
    --------
    >>> drop_subject([[[1, 0, 0], [0, 0, 1.0]]], [[1.0, 0.0]])[..., 3]
    array([[0., 1.]], dtype=float32)
    """
    if fill == "none":
        left = 1 - alpha if opacity is None else np.maximum(opacity - alpha, 0)
        return np.ascontiguousarray(np.dstack([_behind(image, alpha, foreground), left]))
    hole = alpha > SEEN
    if hole.any():
        reach = math.ceil(grow / 1000 * math.hypot(*subject_box(alpha)))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        hole = cv2.dilate(hole.view(np.uint8), disk) > 0
    if hole.all():
        raise LayerError(f"drop_subject: fill={fill} needs some background around the subject, and none is seen")
    filled = image.copy()
    if hole.any():
        part = _window(hole)
        filled[part][hole[part]] = _inpaint(image[part], hole[part], fill, radius, side)[hole[part]]
    return filled if opacity is None else np.ascontiguousarray(np.dstack([filled, opacity]))


def _behind(image: Array, alpha: Array, foreground: Array | None) -> Array:
    """Return the color behind the subject, B = (I - alpha F) / (1 - alpha), where enough of it is seen."""
    if foreground is None:
        return image
    share = np.where(alpha < MIXED, alpha, 0)[:, :, None]
    return np.clip((image - share * foreground) / (1 - share), 0, 1)


def _window(hole: Array) -> tuple[slice, slice]:
    """Return the box around the hole and a tenth of its sides more, 8 px at least, within the picture."""
    slices = []
    for axis in (1, 0):
        inside = np.flatnonzero(hole.any(axis))
        more = 8 + len(inside) // 10
        slices.append(slice(max(0, inside[0] - more), inside[-1] + 1 + more))
    return slices[0], slices[1]


def _inpaint(image: Array, hole: Array, fill: str, radius: float, side: int) -> Array:
    """Return the picture inpainted on a reduced copy, at its own size."""
    scale = min(1.0, side / max(hole.shape))
    cols, rows = (max(1, round(length * scale)) for length in hole.shape[::-1])
    seen = (~hole).astype(np.float32)
    weight = cv2.resize(seen, (cols, rows), interpolation=cv2.INTER_AREA)
    color = cv2.resize(image * seen[:, :, None], (cols, rows), interpolation=cv2.INTER_AREA)
    color /= np.maximum(weight, 1e-3)[:, :, None]  # of the background alone, also where a pixel covers both
    empty = weight < 0.1
    if empty.any() and fill == "biharmonic":
        from skimage.restoration import inpaint_biharmonic

        color = inpaint_biharmonic(color, empty, channel_axis=-1)
    elif empty.any():
        method = cv2.INPAINT_TELEA if fill == "telea" else cv2.INPAINT_NS
        levels = np.rint(65535 * np.clip(color, 0, 1)).astype(np.uint16)  # OpenCV rounds float answers to whole numbers
        channels = [cv2.inpaint(each, empty.view(np.uint8), radius, method) for each in cv2.split(levels)]
        color = cv2.merge(channels) / np.float32(65535)
    full = cv2.resize(color.astype(np.float32), hole.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(full, 0, 1)
