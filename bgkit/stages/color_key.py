"""Color keys: what differs from the backdrop in color is the subject.

The backdrop is one color in uneven light, or a wall and a table, so it is not held against one value but against
one or two smooth surfaces fitted to the picture (:mod:`bgkit.backdrop`). ``luv_threshold`` measures the distance in
CIELUV, where equal numbers look about equally different; ``chroma_key`` measures how much of a green
or blue screen's color is missing (Vlahos's color difference). A pass over the picture takes about 3 ns a pixel on one
core; ``luv_threshold`` makes one for all its distances, and one over what differs, once shadow is told from subject.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit._ext import key as _kernels
from bgkit.backdrop import Backdrop, estimate_backdrop
from bgkit.backdrop.outlined import FAINTER, outlined
from bgkit.backdrop.sampling import ramp
from bgkit.backdrop.surface import terms
from bgkit.color import dot, largest_channel, luv_from_srgb, parse_color
from bgkit.deblocking import ROUNDED, quantization, terraces_of
from bgkit.errors import ParamError
from bgkit.params import Color, Range
from bgkit.resizing import reduced
from bgkit.stage import note, stage
from bgkit.threads import threads

__all__ = ["chroma_key", "luv_threshold"]

Floats = NDArray[Any]

SHADOW_SIDE = 400  # px, of the copy on which shadows are separated from subjects
SHADOW_NEAR = 0.05  # of its diagonal: a shadow is seen against what stands so near
SHADOW_STEP = 0.5  # dE*uv a pixel of that copy: a steeper change of lightness is a contour
QUIET = 3.0  # dE*uv
PLATE = 256  # px, of the backdrop's copy that faint things are held against
BRIGHTER = 0.15  # of what is left to white: a crease that shines, a reflection on the screen
STRIP = 64  # rows that are smoothed at a time, so that they stay in the cache
BLURRED = 9  # px, over which OpenCV's Gaussian of 1 px reaches
FARTHEST = 400.0  # dE*uv; the two colors of sRGB that differ most are 346 apart


@stage(gives="mask")
def luv_threshold(
    image: Floats,
    *,
    key: Literal["border", "corners", "color"] = "border",
    colors: Annotated[tuple[str, ...], Color()] = ("white",),
    tolerance: Annotated[float, Range(0, 200, "dE*uv", ui=(0, 60))] = 6.0,
    softness: Annotated[float, Range(0, 200, "dE*uv", ui=(0, 60))] = 30.0,
    contrast: Annotated[float, Range(0, 1, "of the greatest difference nearby", ui=(0, 1))] = 0.0,
    shadow: Annotated[float, Range(0, 1, ui=(0, 0.4))] = 0.1,
    connected: bool = False,
    plain: Annotated[float, Range(0, 1, "of the border", ui=(0, 1))] = 0.0,
    contour: Annotated[float, Range(0, 50, "dE*uv", ui=(0, 5))] = 0.0,
) -> Floats:
    """Mark as foreground what differs in color from the backdrop.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    key : {"border", "corners", "color"}
        Where the backdrop's color comes from: a smooth surface fitted from the border inwards; the
        same from the four corners, for subjects that leave little else; or the given ``colors``.
    colors : tuple of str
        For ``key="color"``: one or several backdrop colors; the nearest one counts.
    tolerance : float
        Distance from the backdrop up to which a pixel is background. Larger swallows more noise and
        dirt, and more of a subject that resembles the backdrop. With ``key`` border or corners it is
        raised to ``sqrt(tolerance² + (2 noise)²)``, and a picture noisier than 3 dE*uv is smoothed first.
    softness : float
        Beyond the tolerance, the distance over which the mask rises to 1. Larger gives softer hair and
        grayer doubtful parts.
    contrast : float
        The rise takes no more than this share of the greatest difference nearby, so that a light subject on
        white is as solid as a dark one; larger leaves more of it soft. 0: the same rise everywhere.
    shadow : float
        How much darker than the backdrop, as a share of its lightness, still counts as backdrop.
        Larger removes deeper shadows, and subjects that are merely a darker backdrop color. With ``key`` border or
        corners a darker color is shadow only if it is reached from the lit backdrop without crossing a contour, or
        is faint beside a subject nearby that differs twice as much: a pale mug on white is neither.
    connected : bool
        Whether only what is connected to the picture's border is background. On, a shirt button in
        the backdrop's color stays, and so does the backdrop seen through a handle.
    plain : float
        Share of the picture's border that has to show the backdrop for the key to count; a noisy backdrop counts for
        less. Below, the mask tends to 0.5 everywhere, which under ``merge: odds`` leaves the decision to others. Larger
        trusts plainer pictures only; 0 trusts always.
    contour : float
        Difference across a hard contour from which a large thing is foreground although it differs by less than the
        tolerance, as a white shirt before white (:mod:`bgkit.backdrop.outlined`); for a large thing that differs
        in light alone, 0.3 of it is enough. Larger leaves fainter things out, 0 all of them. Not with ``key="color"``.

    Returns
    -------
    float32 array of shape (M, N)
        0 background to 1 foreground.

    Notes
    -----
    ``mask = clip((d - tolerance) / softness, 0, 1)``, with d the distance in CIELUV to the nearest
    point of the line from the backdrop's color b to ``(1 - shadow) b``: less light on the same
    material keeps u' and v', and so moves a color on a line to the origin of L*u*v*.

    Whether a darker color may be shadow at all is decided on a copy of 400 px: lightness there changes by less than
    0.5 dE*uv from pixel to pixel, on a way that leads to the lit backdrop; or d without shadows is less than
    half of the greatest d within 5 % of the diagonal.

    It cannot tell a subject of the backdrop's own color from the backdrop; skin before beige or a
    white shirt before white need ``connected``, or a network beside it (``merge: mean``).

    References
    ----------
    CIE 15:2004, Colorimetry, 8.2.1: CIELUV and its color difference.

    Examples
    --------
    >>> picture = np.ones((4, 4, 3))
    >>> picture[1:3, 1:3] = [1, 0, 0]
    >>> luv_threshold(picture)[1]
    array([0., 1., 1., 0.], dtype=float32)
    """
    rise = max(softness, 1e-3)
    if key == "color":
        if not colors:
            raise ParamError("luv_threshold.colors: expected at least one color, got none")
        mask = _mask(image, _flat_surfaces(colors), tolerance, rise, contrast, shadow)
    else:
        backdrop = estimate_backdrop(image, witnesses=key)
        mask = _surface_key(image, backdrop, tolerance, rise, contrast, shadow)
        if contour > 0:
            coarse = tuple(max(1, side * PLATE // max(image.shape[:2])) for side in image.shape[:2])
            plate = backdrop.plate(coarse)
            terraces = ROUNDED * terraces_of(plate, quantization(image))
            step, deep = (float(np.hypot(least, terraces)) for least in (contour, contour / FAINTER))
            mask[outlined(image, plate, mask, step, deep)] = 1
        note(noise=backdrop.noise, border_share=backdrop.border_share, surfaces=1 if backdrop.line is None else 2)
    if connected:
        mask = _connected(mask)
    if plain > 0 and key != "color":
        trust = _trust(backdrop, plain)
        note(trust=trust)
        mask = np.float32(0.5) + np.float32(trust) * (mask - np.float32(0.5))
    return mask


@stage(gives="mask")
def chroma_key(
    image: Floats,
    *,
    screen: Literal["auto", "green", "blue"] = "auto",
    black: Annotated[float, Range(0, 0.45, ui=(0, 0.4))] = 0.15,
    white: Annotated[float, Range(0.5, 1, ui=(0.5, 1))] = 0.9,
) -> Floats:
    """Mark as foreground what lacks the color of a green or blue screen.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    screen : {"auto", "green", "blue"}
        The screen's primary; ``auto`` takes the one that the picture's border shows.
    black : float
        Share of the screen's color that may be missing in the background. Larger removes deeper
        shadows and creases, and thins the finest hair.
    white : float
        Share of the screen's color from which on a pixel is foreground. Smaller closes holes where
        the screen shines on the subject.

    Returns
    -------
    float32 array of shape (M, N)
        0 background to 1 foreground; near the true opacity where the subject is not greenish (bluish).

    Notes
    -----
    With the excess ``k = G - max(R, B)`` for green, in encoded sRGB, and k of the screen as a smooth
    surface: ``mask = clip((1 - k / k_screen - black) / (white - black), 0, 1)``. A pixel that mixes
    subject and screen has just that share of the screen's excess if the subject has none of its own.
    Green hair before a dim green screen has; but where a pixel of color C is brighter than the screen's color B, its
    subject's color ``B + (C - B) / alpha`` is at most 1, so ``max((C - B) / (1 - B)) - 0.15`` counts where
    it is more.
    A picture without a screen is foreground throughout; one noisier than 3 dE*uv is smoothed first.

    References
    ----------
    P. Vlahos, "Electronic composite photography", US patent 3,595,987, 1971; A. R. Smith and J. F.
    Blinn, "Blue screen matting", SIGGRAPH 1996, section 3.

    Examples
    --------
    >>> picture = np.full((4, 4, 3), [0.1, 0.7, 0.2])
    >>> picture[1:3, 1:3] = [0.8, 0.5, 0.4]
    >>> chroma_key(picture)[1]
    array([0., 1., 1., 0.], dtype=float32)
    """
    backdrop = estimate_backdrop(image)
    if screen == "auto":
        screen = backdrop.screen()
    excess = backdrop.excess(image.shape, screen)
    note(screen=screen, excess=float(excess[0]), border_share=backdrop.border_share)
    mask = np.empty(image.shape[:2], np.float32)
    primary = 1 if screen == "green" else 2
    quiet = _quiet(image, backdrop.noise)
    _kernels.color_difference_key(quiet, primary, excess.astype(np.float32), black, white, mask, threads())
    return np.maximum(mask, np.clip((_least(quiet, backdrop) - np.float32(black)) / np.float32(white - black), 0, 1))


def _least(image: Floats, backdrop: Backdrop) -> Floats:
    """Return the least opacity that a pixel brighter than the backdrop has: its subject is no brighter than white."""
    coarse = tuple(max(1, round(side * min(1, PLATE / max(image.shape[:2])))) for side in image.shape[:2])
    behind = cv2.resize(backdrop.plate(coarse), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    least: Floats = largest_channel((image - behind) / np.maximum(1 - behind, np.float32(0.05)))
    return least - np.float32(BRIGHTER)


def _surface_key(
    image: Floats, backdrop: Backdrop, tolerance: float, softness: float, contrast: float, shadow: float
) -> Floats:
    """Return the mask of what differs from the backdrop, 0..1."""
    reach = float(np.hypot(tolerance, 2 * min(backdrop.noise, QUIET)))
    if shadow == 0 and backdrop.second is None:
        return _mask(_quiet(image, backdrop.noise), backdrop.coefficients[None], reach, softness, contrast, 0.0)
    lit, shaded, far, off = _distances(image, backdrop, shadow)
    upper, weight, allowed = _enlarged(_shadow(far, off, reach), lit.shape)
    rise = softness if contrast == 0 else 0.0
    _kernels.shadowed(lit, shaded, allowed, upper, weight, reach, rise, threads())
    return lit if contrast == 0 else ramp(lit, reach, softness, contrast)


def _mask(image: Floats, targets: Floats, tolerance: float, softness: float, contrast: float, shadow: float) -> Floats:
    """Return the mask of what differs from the nearest of ``targets`` (T, 3, 6), or from its shadows, 0..1."""
    if contrast > 0:
        return ramp(_distance(image, targets, shadow), tolerance, softness, contrast)
    mask, surfaces = np.empty(image.shape[:2], np.float32), np.ascontiguousarray(targets, np.float32)
    _kernels.luv_key(image, surfaces, tolerance, softness, shadow, mask, threads())
    return mask


def _distances(image: Floats, backdrop: Backdrop, shadow: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the distances from the backdrop as it is lit and up to ``shadow`` darker, (M, N), both dE*uv.

    And, on a reduced copy, the first one and that from the backdrop in any darkness.
    """
    rows, cols = image.shape[:2]
    size = tuple(max(1, round(side * min(1.0, SHADOW_SIDE / max(rows, cols)))) for side in (rows, cols))
    if backdrop.second is not None:
        quiet = _quiet(image, backdrop.noise)
        lit, shaded, hue = (_backdrop_distance(quiet, backdrop, share) for share in (0.0, shadow, 1.0))
        return lit, shaded, reduced(lit, size), reduced(hue, size)
    surface = np.ascontiguousarray(backdrop.coefficients, np.float32)
    lit, shaded = np.empty((rows, cols), np.float32), np.empty((rows, cols), np.float32)
    far, off = np.empty((size[0], cols), np.float32), np.empty((size[0], cols), np.float32)
    step = size[0] if backdrop.noise <= QUIET else max(1, STRIP * size[0] // rows)
    for start in range(0, size[0], step):
        stop = min(start + step, size[0])
        first = start * rows // size[0]
        part = _quiet(image, backdrop.noise, first, -(-stop * rows // size[0]))
        _kernels.luv_shades(part, first, start, stop, surface, shadow, lit, shaded, far, off, threads())
    return lit, shaded, reduced(far, size), reduced(off, size)


def _trust(backdrop: Backdrop, plain: float) -> float:
    """Return how far the backdrop is one, 0..1.

    Of our 52 studio pictures all have a border share above 0.8 and a noise below 1.2 dE*uv; of 200 pictures
    of ECSSD none has both, and where the trust is above 0 there, the embedded network beats the key.
    """
    quiet = float(np.clip((2 - backdrop.noise) / 0.8, 0, 1))
    return float(np.clip(2 * backdrop.border_share * quiet / plain - 1, 0, 1))


def _distance(image: Floats, targets: Floats, shadow: float) -> Floats:
    """Return the distance from the nearest of ``targets`` (T, 3, 6), or from its shadows, dE*uv, (M, N)."""
    share = np.empty(image.shape[:2], np.float32)
    _kernels.luv_key(image, np.ascontiguousarray(targets, np.float32), 0.0, FARTHEST, shadow, share, threads())
    return np.multiply(share, np.float32(FARTHEST), out=share)


def _backdrop_distance(image: Floats, backdrop: Backdrop, shadow: float) -> Floats:
    """Return the distance from the backdrop; of two surfaces, from the one that shows there or from their mixture."""
    distance = _distance(image, backdrop.coefficients[None], shadow)
    if backdrop.second is None or backdrop.line is None:
        return distance
    beyond = backdrop.line.beyond(image.shape)
    second = _distance(image, backdrop.second[None], shadow)
    distance = np.where(beyond < 0.5, distance, second)
    between = (beyond > 0) & (beyond < 1)
    color = luv_from_srgb(image[between])
    basis = terms(image.shape)[between]
    start, end = (basis @ each.T for each in (backdrop.coefficients, backdrop.second))
    step = end - start
    share = np.clip(dot(color - start, step) / np.maximum(dot(step, step), 1e-6), 0, 1)
    mixture = start + share[:, None] * step
    lit = dot(color, mixture) / np.maximum(dot(mixture, mixture), 1e-6)
    off = color - np.clip(lit, 1 - shadow, 1)[:, None] * mixture
    distance[between] = np.minimum(distance[between], np.sqrt(dot(off, off)))
    return distance


def _shadow(far: Floats, off: Floats, reach: float) -> Floats:
    """Return how far each pixel of the reduced copy may be backdrop in shadow, 0..1.

    ``far``: distance from the backdrop as it is lit; ``off``: from the backdrop in any darkness.
    """
    smooth = cv2.GaussianBlur(far, (0, 0), 1)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 0, 1), cv2.Sobel(smooth, cv2.CV_32F, 1, 0)) / 8
    soft = ((slope < SHADOW_STEP) & (off < reach)).astype(np.uint8)
    cross = np.ones((3, 3), np.uint8)
    count, label = cv2.connectedComponents(cv2.erode(soft, cross), connectivity=4)
    lit = np.zeros(count, bool)
    lit[label[far < 0.7 * reach]] = True
    lit[0] = False
    open_to = cv2.dilate(lit[label].astype(np.uint8), np.ones((5, 5), np.uint8)) & soft
    around = max(1, round(SHADOW_NEAR * float(np.hypot(*far.shape))))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    greatest = cv2.dilate(cv2.blur(far, (3, 3)), disk) / np.maximum(far, 1)
    faint = np.clip(greatest - 2, 0, 1)
    return np.maximum(faint, open_to.astype(np.float32))


def _enlarged(small: Floats, shape: tuple[int, ...]) -> tuple[NDArray[np.int32], Floats, Floats]:
    """Return the rows of a map enlarged to the width of a picture, and how each of the picture's rows mixes them.

    (M,) the first of these rows, (M, K) weights of it and the next ones, and the rows, (R, N): as all of it, enlarged
    bilinearly and blurred by a pixel, would be.
    """
    rows, cols = len(small), shape[1]
    wide = cv2.GaussianBlur(cv2.resize(small, (cols, rows)), (BLURRED, 1), 1, sigmaY=1)
    share = cv2.GaussianBlur(cv2.resize(np.eye(rows, dtype=np.float32), (rows, shape[0])), (1, BLURRED), 1, sigmaY=1)
    share = share.reshape(shape[0], rows)
    taps = int((share > 0).sum(1).max())
    upper = np.minimum((share > 0).argmax(1), rows - taps).astype(np.int32)
    return upper, np.take_along_axis(share, upper[:, None] + np.arange(taps), 1), wide.reshape(rows, cols)


def _flat_surfaces(colors: tuple[str, ...]) -> Floats:
    """Return the colors as surfaces without slope, (T, 3, 6)."""
    surfaces = np.zeros((len(colors), 3, 6))
    surfaces[:, :, 0] = [luv_from_srgb(rgb) for color in colors if (rgb := parse_color(color))]
    return surfaces


def _quiet(image: Floats, noise: float, first: int = 0, stop: int | None = None) -> Floats:
    """Return rows of the picture, smoothed just as far as brings its noise down to 3 dE*uv."""
    stop = len(image) if stop is None else stop
    if noise <= QUIET:
        return image[first:stop]
    sigma = max(noise / QUIET / (2 * np.sqrt(np.pi)), 0.5)  # a Gaussian divides the noise of pixels by 2 sqrt(pi) sigma
    low = max(0, first - math.ceil(4 * sigma))  # where OpenCV's Gaussian ends
    smooth: Floats = cv2.GaussianBlur(image[low : stop + math.ceil(4 * sigma)], (0, 0), sigma)
    return smooth[first - low : stop - low]


def _connected(mask: Floats) -> Floats:
    """Return ``mask`` with 1 where no way leads to the border, 1/2 where only one over half-covered pixels does."""
    for level, value in ((0.5, 0.5), (1.0, 1.0)):
        free = np.pad(mask < level, 1, constant_values=True).astype(np.uint8)
        cv2.floodFill(free, None, (0, 0), 2)
        enclosed = free[1:-1, 1:-1] == 1
        mask[enclosed] = np.maximum(mask[enclosed], np.float32(value))
    return mask
