"""Put the subject on something new: a color, a picture, its own background blurred, or nothing.

I = alpha F + (1 - alpha) (shadow B), on sRGB-encoded values: alpha was estimated, and matting data are made, with this
equation on encoded values (Rhemann et al. 2009), so the same equation puts an edge pixel back together exactly;
blending in linear light would draw light fringes around dark hair. A kept shadow is the ratio of the picture to the
empty scene, as one gray factor. Cost: one pass over the picture.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import cv2
import numpy as np

from bgkit._ext.pointwise import beside, over
from bgkit.backdrop import estimate_backdrop
from bgkit.color import parse_color
from bgkit.errors import LayerError
from bgkit.layers import Array
from bgkit.params import Color, Range
from bgkit.stage import stage
from bgkit.threads import threads

LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)  # ITU-R BT.709


@stage(gives="result")
def composite(
    image: Array,
    alpha: Array,
    foreground: Array | None = None,
    plate: Array | None = None,
    *,
    background: Annotated[str, Color(also=("none", "blur"), files=True)] = "white",
    blur: Annotated[float, Range(0, 200, "per mille of the picture's diagonal", ui=(0, 50))] = 15.0,
    shadow: Literal["drop", "keep"] = "drop",
    shadow_strength: Annotated[float, Range(0, 2, "", ui=(0, 1.5))] = 1.0,
) -> Array:
    """Put the subject on a new background, or on none.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        Gives the subject's color where there is no ``foreground``.
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity of the subject.
    foreground : ndarray of shape (M, N, 3), float32, 0..1, optional
        The subject's own color, without the old background.
    plate : ndarray of shape (M, N, 3), float32, 0..1, optional
        The scene without the subject; what is darker in ``image`` is its shadow.
    background : str
        A color, a picture's path (scaled to cover, cut evenly on both sides; its clear parts stay clear), ``blur`` for
        the old background out of focus, or ``none`` for transparent.
    blur : float
        Standard deviation of the blur; larger is more out of focus. Only for ``background: blur``.
    shadow : {"drop", "keep"}
        Whether the subject's shadow darkens the new background. Without a plate the empty scene is estimated from
        the picture, which needs an even backdrop.
    shadow_strength : float
        Exponent of the kept shadow: 1 as in the picture, below fainter, above deeper.

    Returns
    -------
    ndarray of shape (M, N, 3) or (M, N, 4), float32, 0..1
        sRGB-encoded. With four channels for ``none`` and for a picture with clear parts: color not multiplied by alpha;
        a kept shadow is black under the subject's color.

    Raises
    ------
    LayerError
        If a shadow is to be kept and the empty scene is neither given nor can be estimated.
    ImageError
        If the background picture cannot be read.

    References
    ----------
    T. Porter and T. Duff, Compositing digital images, SIGGRAPH 1984.
    C. Rhemann et al., A perceptually motivated online benchmark for image matting, CVPR 2009.

    Examples
    --------
    >>> composite([[[1, 0, 0.0]]], [[0.5]], background="blue")
    array([[[0.5, 0. , 0.5]]], dtype=float32)
    """
    subject = image if foreground is None else foreground
    shade = _shadow(image, alpha, plate) ** np.float32(shadow_strength) if shadow == "keep" else None
    if background == "none" and shade is None:
        return _beside(subject, alpha)
    if background == "none":
        return _on_clear(subject, alpha, shade, np.zeros((1, 1, 4), np.float32))
    behind = _background(background, image, alpha, blur)
    if behind.shape[2] == 4:
        return _on_clear(subject, alpha, shade, behind)
    result = np.empty_like(subject)
    behind = np.ascontiguousarray(behind)
    over(subject, alpha, behind, np.empty((0, 0), np.float32) if shade is None else shade, result, threads())
    return result


def in_rows(values: Mapping[str, Any]) -> bool:
    """Return whether :func:`composite` with these parameters needs no more of picture and plate than their rows."""
    background = values["background"]
    return values["shadow"] == "drop" and (background == "none" or parse_color(background) is not None)


def rows_of(subject: Any, alpha: Array, values: Mapping[str, Any]) -> Any:
    """Return what :func:`composite` with parameters that are :func:`in_rows` would give, as ``imagefile.Rows``."""
    behind = None if values["background"] == "none" else parse_color(values["background"])
    return importlib.import_module("bgkit.imagefile").Rows(subject, alpha, behind)


def _beside(color: Array, alpha: Array) -> Array:
    """Return color and opacity as one picture of four channels."""
    result = np.empty((*alpha.shape, 4), np.float32)
    beside(color, alpha, result, threads())
    return result


def _on_clear(subject: Array, alpha: Array, shade: Array | None, behind: Array) -> Array:
    """Return color and opacity of the subject over its shadow over a ground with an alpha channel (Porter and Duff).

    The shadow is black of opacity 1 - shade; the ground's color is multiplied by its alpha.
    """
    if shade is not None:
        behind = behind * shade[:, :, None]
        behind[:, :, 3] += 1 - shade
    clear = 1 - alpha
    opacity = alpha + clear * behind[:, :, 3]
    color = subject * alpha[:, :, None] + behind[:, :, :3] * clear[:, :, None]
    np.divide(color, opacity[:, :, None], out=color, where=opacity[:, :, None] > 0)
    color[opacity == 0] = subject[opacity == 0]
    return np.ascontiguousarray(np.dstack([np.clip(color, 0, 1), opacity]))


def _background(background: str, image: Array, alpha: Array, blur: float) -> Array:
    """Return what comes behind the subject, of shape (M, N, 3), or (1, 1, 3) for a color.

    Of a picture with clear parts, four channels: color multiplied by alpha, so that it can be scaled, and alpha.
    """
    if background == "blur":
        return _blurred(image, alpha, max(blur / 1000 * math.hypot(*alpha.shape), 1e-3))
    color = parse_color(background)
    if color is not None:
        return np.array(color, np.float32)[None, None]
    picture = importlib.import_module("bgkit.imagefile").read_picture(background)
    if picture.alpha is None or picture.alpha.min() == 1:
        return _cover(picture.image, alpha.shape)
    behind = _cover(np.dstack([picture.image * picture.alpha[:, :, None], picture.alpha]), alpha.shape)
    return np.minimum(behind, behind[:, :, 3:])  # cubic scaling may overshoot


def _blurred(image: Array, alpha: Array, sigma: float) -> Array:
    """Blur the background alone: a mean weighted by 1 - alpha (normalized convolution, Knutsson and Westin 1993)."""
    weight = 1 - alpha + np.float32(1e-4)  # behind the subject's middle, where nothing else weighs, its own color
    colors, weights = _smooth(image * weight[:, :, None], sigma), _smooth(weight, sigma)
    return np.clip(_enlarge(colors / weights[:, :, None], alpha), 0, 1)


def _cover(picture: Array, shape: tuple[int, ...]) -> Array:
    """Scale a picture so that it just covers (M, N), and cut the overhang evenly on both sides."""
    scale = max(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    rows, cols = max(shape[0], round(picture.shape[0] * scale)), max(shape[1], round(picture.shape[1] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.clip(cv2.resize(picture, (cols, rows), interpolation=method), 0, 1)
    top, left = (rows - shape[0]) // 2, (cols - shape[1]) // 2
    return scaled[top : top + shape[0], left : left + shape[1]]


def _shadow(image: Array, alpha: Array, plate: Array | None) -> Array:
    """Return how much of the light is left on the ground, 0..1, of shape (M, N).

    The ratio of encoded luma: under a power-law transfer curve, multiplying encoded values by it is the same as
    multiplying light by its power. Exposure is settled by the median over the clear background, which has no shadow.
    """
    empty = _empty_scene(image) if plate is None else plate
    clear = (alpha < 0.02).astype(np.float32)
    if not clear.any():
        return np.ones(alpha.shape, np.float32)
    sigma = max(0.0025 * math.hypot(*alpha.shape), 1.5)  # wider than the noise, narrower than a shadow
    lit, unlit = (_smooth((cv2.transform(each, LUMA) + np.float32(0.02)) * clear, sigma) for each in (image, empty))
    weight = _smooth(clear, sigma)
    ratio = np.divide(lit, unlit, out=np.ones_like(lit), where=weight > 1e-6)
    if plate is None:
        depth = _at_the_subject(1 - ratio / _light_left(ratio, weight > 0.95), weight < 0.95)
    else:
        depth = 1 - ratio / np.median(ratio[weight > 0.5 * weight.max()])
    depth = _enlarge(depth, alpha)
    # A depth of 1 % may be an error of the fit or the camera, one of 3 % is a shadow; between, it fades in.
    # From 2 to 5 %, a sixth of the shadow's light is lost (plate) and the error is half as large again.
    fade = np.clip((depth - 0.01) / 0.02, 0, 1)
    return np.clip(1 - depth * fade * fade * (3 - 2 * fade), 0.1, 1)


def _light_left(ratio: Array, clear: Array) -> Array:
    """Return the smooth light in which picture and fitted backdrop still differ: a quartic that shadows do not draw.

    A quadratic backdrop misses the corners of a falling off light by 3 %, which would be a shadow. Biweight of 2 %.
    """
    middle = np.float32(np.median(ratio[clear])) if clear.any() else np.float32(1)
    if clear.sum() < 100:
        return np.full(ratio.shape, middle)
    row, col = (np.linspace(-1, 1, length) for length in ratio.shape)
    terms = [np.multiply.outer(row**i, col**j) for i in range(5) for j in range(5 - i)]
    design, target = np.stack([term[clear] for term in terms], axis=1), ratio[clear] - middle
    weight = np.ones(len(target))
    ridge = np.diag([1e-9, *[1e-3] * (len(terms) - 1)])
    for _ in range(6):
        weighted = design * weight[:, None]
        left, right = weighted.T @ design, weighted.T @ target
        found = np.linalg.solve(left / weight.sum() + ridge, right / weight.sum())
        rest = (target - design @ found) / 0.02
        weight = np.where(rest < 0, np.maximum(1 - rest**2, 0) ** 2, 1 / (1 + rest**2)) + 1e-6  # shadows only darken
    surface = sum(value * term for value, term in zip(found, terms, strict=True))
    return (middle + np.asarray(surface)).astype(np.float32)


def _at_the_subject(depth: Array, subject: Array) -> Array:
    """Keep what hangs together with the subject: in the corners of a vignetted shot, the fit's rest is no shadow."""
    dark = ((depth > 0.01) | subject).astype(np.uint8)
    count, label = cv2.connectedComponents(dark, connectivity=8)
    kept = np.zeros(count, bool)
    kept[label[subject]] = True
    return np.where(kept[label], depth, np.minimum(depth, 0)).astype(np.float32)


def _empty_scene(image: Array) -> Array:
    """Return the backdrop's smooth surface, if the picture shows enough of one."""
    backdrop = estimate_backdrop(image)
    if backdrop.border_share < 0.25:
        raise LayerError(
            f"composite: shadow=keep needs the layer 'plate' or an even backdrop along a quarter of the border, "
            f"found one along {backdrop.border_share:.0%}; give a plate, or drop the shadow"
        )
    return backdrop.plate(image.shape)


def _smooth(array: Array, sigma: float) -> Array:
    """Blur on a reduced copy, whose pixels are less than a sigma wide, and leave it reduced."""
    factor = max(1.0, sigma / 2)
    rows, cols = (max(1, round(length / factor)) for length in array.shape[:2])
    small = cv2.resize(array, (cols, rows), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)


def _enlarge(array: Array, like: Array) -> Array:
    return cv2.resize(array, like.shape[::-1], interpolation=cv2.INTER_LINEAR)
