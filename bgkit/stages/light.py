"""Even out and balance the light, so that every shot of a series has the same white ground.

Light multiplies: a picture is the scene's reflectance times the light that falls on it. The light is read off the
backdrop, from the empty plate or from the smooth surface fitted to the picture (:mod:`bgkit.backdrop`), and divided
out in linear light. `flat_field` changes how much light there is and no color, `white_balance` the color of the light
and not how much. Multiplying linear light by g is an affine map of sRGB-encoded values, (y + 0.055) =
g^(1/2.4) (x + 0.055), so neither stage ever decodes the picture. Cost: a look at a reduced copy, and one pass.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np

from bgkit._ext.pointwise import relight
from bgkit.backdrop import estimate_backdrop
from bgkit.color import linear_from_srgb, luv_from_srgb, srgb_from_linear
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.resizing import between, reduced
from bgkit.stage import note, stage
from bgkit.threads import threads

THUMBNAIL = 128  # px; light is smooth, and dust and noise of a plate must not get into the picture
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # IEC 61966-2-1
ENOUGH = 0.25  # of the border must show the backdrop


@stage(gives="image")
def flat_field(
    image: Array,
    plate: Array | None = None,
    *,
    white: Annotated[float, Range(0.3, 1, "of full white, sRGB-encoded", ui=(0.9, 1))] = 0.96,
    exposure: Literal["white", "keep"] = "white",
    max_gain: Annotated[float, Range(1, 16, "times the light", ui=(1, 4))] = 2.0,
) -> Array:
    """Make the light on the backdrop even, and its brightness the same in every shot.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        A subject before a backdrop of one color.
    plate : ndarray of shape (M, N, 3), float32, 0..1, optional
        The empty scene; a difference in exposure is corrected. Without one, the backdrop's smooth surface is fitted to
        the picture; where less than a quarter of the border shows one, the picture stays as it is.
    white : float
        Where the backdrop lands with ``exposure: white``. The room above it is for highlights of the subject that
        are brighter than the backdrop: they approach 1 smoothly and keep their hue. With 1 they are clipped.
    exposure : {"white", "keep"}
        Bring the backdrop to ``white``, or only make it even and leave its mean luminance.
    max_gain : float
        A ground that would need more light than this to be white is gray, or colored, on purpose: it is made even and
        keeps its brightness, since the subject would be overexposed otherwise. Larger makes darker grounds white.

    Returns
    -------
    ndarray of shape (M, N, 3), float32, 0..1
        sRGB-encoded, colors (ratios of the channels in linear light) as before.

    Notes
    -----
    Light that falls on the backdrop only (a background lamp) is not on the subject and must not be divided out of it;
    then ``composite`` alone makes the ground white.

    References
    ----------
    J. A. Seibert, J. M. Boone, K. K. Lindfors, Flat-field correction technique for digital detectors, SPIE 3336, 1998.

    Examples
    --------
    >>> dim = np.full((4, 4, 3), 0.9)
    >>> float(flat_field(dim, white=1.0)[0, 0, 0])
    1.0
    """
    found = _light(image, plate)
    if found is None:
        note(found=False)
        return image.copy()
    light, share = found
    mean = float(light.mean())
    target = float(linear_from_srgb(white)) if exposure == "white" else mean
    gain = target / mean if target / mean <= max_gain else 1.0
    field = np.clip(gain * mean / light, gain / 4, gain * 4)  # a fit must not run away where it saw nothing
    level = float(srgb_from_linear(min(gain * mean, 1.0)))
    stops = float(np.log2(light.max() / light.min()))
    note(found=True, border_share=share, gain=gain, unevenness=stops, backdrop=level)
    knee = white if exposure == "white" else max(level, 0.9)
    return _lit(image, np.repeat(field[:, :, None], 3, axis=2), knee)


@stage(gives="image")
def white_balance(
    image: Array,
    plate: Array | None = None,
    *,
    strength: Annotated[float, Range(0, 1, "")] = 1.0,
    max_cast: Annotated[float, Range(0, 200, "dE*uv", ui=(5, 60))] = 25.0,
) -> Array:
    """Make the backdrop neutral, and so remove the color cast of the light from the whole picture.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        A subject before a white or gray backdrop.
    plate : ndarray of shape (M, N, 3), float32, 0..1, optional
        The empty scene, whose mean color is made neutral. By default it is the mean color of the backdrop fitted to the
        picture.
    strength : float
        0 keeps the color cast, 1 removes it.
    max_cast : float
        A backdrop more colorful than this has its color on purpose (a green screen) and is left alone; larger removes
        stronger casts.

    Returns
    -------
    ndarray of shape (M, N, 3), float32, 0..1
        sRGB-encoded, the backdrop's luminance as before.

    References
    ----------
    J. von Kries, Die Gesichtsempfindungen, in Handbuch der Physiologie des Menschen 3, 1905: one gain per channel.

    Examples
    --------
    >>> warm = np.full((4, 4, 3), [0.9, 0.88, 0.84])
    >>> np.ptp(white_balance(warm)[0, 0]).round(3)
    np.float32(0.0)
    """
    if plate is not None:
        rgb = linear_from_srgb(_reduced(plate)).mean((0, 1))
    else:
        backdrop = estimate_backdrop(image)
        if backdrop.border_share < ENOUGH:
            note(found=False)
            return image.copy()
        rgb = linear_from_srgb(backdrop.plate((32, 32))).mean((0, 1))
    lightness, *uv = luv_from_srgb(srgb_from_linear(rgb))
    cast = float(np.hypot(*uv))
    taken = cast <= max_cast and lightness > 20
    note(found=True, cast=cast, taken=taken)
    if not taken:
        return image.copy()
    gains = (float(rgb @ LUMINANCE) / np.maximum(rgb, 1e-6)) ** strength
    gains /= float(gains * rgb @ LUMINANCE) / float(rgb @ LUMINANCE)
    return _lit(image, gains[None, None], 0.98)


def _light(image: Array, plate: Array | None) -> tuple[Array, float] | None:
    """Return the linear luminance of the empty scene as exposed here, reduced, and the share of the border it is on."""
    if plate is None:
        backdrop = estimate_backdrop(image)
        if backdrop.border_share < ENOUGH:
            return None
        small = backdrop.plate(_reduced_shape(image))
        return np.maximum(linear_from_srgb(small) @ LUMINANCE, 1e-3), backdrop.border_share
    lit, empty = (np.maximum(linear_from_srgb(_reduced(each)) @ LUMINANCE, 1e-3) for each in (image, plate))
    # Picture over plate is the change of exposure on the backdrop, whatever the subject is: a backdrop of its own.
    ratio = srgb_from_linear(np.clip(lit / empty / 2, 0, 1)).astype(np.float32)
    fitted = estimate_backdrop(cv2.merge([ratio] * 3))
    surface = 2 * linear_from_srgb(fitted.plate(ratio.shape)[:, :, 1])
    near = abs(lit / empty - surface) < 0.05 * surface
    return empty * np.median((lit / empty)[near]) if near.any() else empty, fitted.border_share


def _reduced_shape(image: Array) -> tuple[int, int]:
    scale = min(1.0, THUMBNAIL / max(image.shape[:2]))
    return max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))


def _reduced(image: Array) -> Array:
    return reduced(image, _reduced_shape(image))


def _lit(image: Array, gain: Array, knee: float) -> Array:
    """Multiply the linear light of an encoded picture; what comes above ``knee`` runs softly against 1.

    ``gain`` is a grid of any size, (R, C, 3), interpolated between. Its root is interpolated, not itself: on a field
    that doubles the light from one side to the other, the difference is 1e-6.
    """
    rows, cols = image.shape[:2]
    slope = np.ascontiguousarray(gain ** (1 / 2.4), np.float32)
    (upper, down), (left, right) = between(len(slope), rows), between(slope.shape[1], cols)
    start, end = (slope.take(at, axis=1) for at in (left, np.minimum(left + 1, slope.shape[1] - 1)))
    end -= start
    end *= right[:, None]
    start += end  # the grid as wide as the picture
    result = np.empty_like(image)
    relight(image, start, upper, down, knee, result, threads())
    return result
