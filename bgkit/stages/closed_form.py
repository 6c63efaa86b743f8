"""Alpha by the matting Laplacian.

In every 3 x 3 window alpha is asked to be an affine function of color (Levin, Lischinski and Weiss
2008). The sum of squared departures is a quadratic form in alpha; with alpha fixed where the trimap
knows it, its minimum is one sparse, positive definite linear system over the unknown pixels.
How it is solved stands in :mod:`bgkit.laplacian`. Where the background is known, what it says of each
single pixel joins as a weak data term. Works on sRGB-encoded color, as published.

Along fur and soft edges of a JPEG alpha would follow its blocks, in stairs; so it is asked of the picture without them
(:mod:`bgkit.deblocking`). A larger epsilon does not help there: from 1e-7 to 3e-5 it leaves nine tenths of the stairs.

A picture with very many unknown pixels is solved on a reduced copy, as Levin, Lischinski and Weiss do: there each
window's alpha is an affine function of color, and these functions, interpolated, are evaluated at the picture's own
pixels. So time and memory are bounded by the number of unknown pixels, whatever the picture.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Annotated

import cv2
import numpy as np

from bgkit.backdrop import estimate_plate
from bgkit.backdrop.plate import match_plate
from bgkit.backdrop.sampling import in_light, is_dark, local_light, sample_alpha, without_dim_holes
from bgkit.deblocking import blockiness, without_blocks
from bgkit.errors import ConvergenceWarning
from bgkit.laplacian import solve
from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.params import Range
from bgkit.resizing import apply_functions, reduced
from bgkit.stage import note, stage
from bgkit.threads import threads

MOST = 250_000  # unknown pixels that are solved at the picture's own size
SCATTERED = 1.25  # times as many may be left unknown in a copy
WHOLE = 3_000_000  # pixels up to which a plate is matched at the size at which the key has matched it
ROWS = 64  # that are compared with their background at a time, so that what is between stays in the cache
WINDOW, SLOPE = (3, 3), 1e-5  # px of the reduced copy, and epsilon of the functions that carry its alpha back
UNEXPLAINED = 0.03  # rms difference of an estimated background from the true one at which it is hardly believed


@stage(gives="alpha")
def closed_form_matting(
    image: Array,
    trimap: Array,
    *,
    epsilon: Annotated[float, Range(1e-10, 10.0, ui=(1e-8, 1e-3))] = 1e-7,
    tolerance: Annotated[float, Range(1e-12, 0.1, ui=(1e-8, 1e-3))] = 1e-4,
    max_iterations: Annotated[int, Range(1, 100_000, ui=(10, 1000))] = 500,
    max_memory: Annotated[float, Range(0.001, 10_000, "GB", ui=(0.5, 64))] = 16.0,
) -> Array:
    """Solve for alpha where the trimap is unknown, by the matting Laplacian.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    trimap : uint8 array of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    epsilon : float
        Weight of the color line's slope; larger makes alpha smoother and forgives noise.
    tolerance : float
        Error of alpha, estimated, at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; one or two are usual, more are for hard pictures.
    max_memory : float
        Memory that the solve may take; more allows wider unknown regions.

    Returns
    -------
    float32 array of shape (M, N)
        Alpha, 0..1; exactly 0 and 1 where the trimap is known.

    Warns
    -----
    ConvergenceWarning
        If the error is still above ``tolerance`` after ``max_iterations``; it names the residual.

    Raises
    ------
    LayerError
        If the unknown region would take more than ``max_memory``.

    Notes
    -----
    Memory grows with the number of unknown pixels, and in wide regions faster. Known pixels take little inside the box
    around the unknown ones, and none outside. ``facts`` hold the residual, relative to the right-hand side, and the
    iterations.

    More than 250,000 unknown pixels are solved on a copy reduced by a whole number, so that about as many are left, and
    carried back to the picture's own colors; ``facts`` then hold that number as ``reduced``.

    With no foreground in the trimap the minimum is alpha = 0 in the unknown, with no background
    alpha = 1; a trimap that is unknown everywhere gives 0, for nothing says there is a subject.

    References
    ----------
    A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting. PAMI 30(2), 2008.

    Examples
    --------
    >>> image = np.ones((3, 5, 3)) * np.linspace(0, 1, 5)[:, None]
    >>> closed_form_matting(image, np.uint8([[0, 128, 128, 128, 255]] * 3))[1].round(2)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    alpha = np.zeros(trimap.shape, np.float32)
    alpha[trimap == FOREGROUND] = 1
    unknown = trimap == UNKNOWN
    if not unknown.any() or not (trimap == FOREGROUND).any():
        note(iterations=0, residual=0.0, error=0.0, unknown=int(unknown.sum()))
        return alpha
    if not (trimap == BACKGROUND).any():
        note(iterations=0, residual=0.0, error=0.0, unknown=int(unknown.sum()))
        return np.ones_like(alpha)

    def matte(image: Array, trimap: Array, _: tuple[Array, ...]) -> Array:
        return _solve(_calmed(image), trimap, epsilon, tolerance, max_iterations, max_memory)

    alpha[unknown] = _coarse_to_fine(matte, image, trimap)
    return alpha


@stage(gives="alpha")
def plate_matting(
    image: Array,
    trimap: Array,
    plate: Array | None = None,
    mask: Array | None = None,
    *,
    trust: Annotated[float, Range(0.0, 10.0, ui=(1e-4, 0.1))] = 0.01,
    epsilon: Annotated[float, Range(1e-10, 10.0, ui=(1e-8, 1e-3))] = 1e-7,
    tolerance: Annotated[float, Range(1e-12, 0.1, ui=(1e-8, 1e-3))] = 1e-4,
    max_iterations: Annotated[int, Range(1, 100_000, ui=(10, 1000))] = 1000,
    max_memory: Annotated[float, Range(0.001, 10_000, "GB", ui=(0.5, 64))] = 16.0,
    key: bool = False,
) -> Array:
    """Solve for alpha where the trimap is unknown, the background's color being known.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB-encoded, 0..1.
    trimap : uint8 array of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    plate : float32 array of shape (M, N, 3), optional
        The same scene without its subject, sRGB-encoded. By default the smooth backdrop that the picture itself
        shows: for white and green screens. It counts as far as it explains the known background nearby, so that
        before a busy background this is closed-form matting.
    mask : float32 array of shape (M, N), optional
        The key that the trimap was made from, 0..1; see ``key``.
    trust : float
        Weight of what the known background says of single pixels, against the matting Laplacian; larger follows
        fine hair more closely, and noise too. 0 is closed-form matting.
    epsilon : float
        Weight of the color line's slope; larger makes alpha smoother and forgives noise.
    tolerance : float
        Estimated error of alpha at which the solve stops; smaller is more exact and slower.
    max_iterations : int
        Iterations after which the solve gives up with a warning; more allow harder pictures, at more time.
    max_memory : float
        Memory that the solve may take; more allows wider unknown regions.
    key : bool
        Whether the mask is a key from this background and says what alpha is to be expected where samples leave it
        open. Off for masks of networks, which know no transparency.

    Returns
    -------
    float32 array of shape (M, N)
        Alpha, 0..1; exactly 0 and 1 where the trimap is known.

    Raises
    ------
    LayerError
        If the unknown region would take more than ``max_memory``.

    Warns
    -----
    ConvergenceWarning
        If the estimated error is still above ``tolerance`` after ``max_iterations``; the warning names the residual.

    Notes
    -----
    The minimum of ``a' L a + trust * sum c (a - s)²``, with L the matting Laplacian, and s and c the alpha and its
    confidence that :func:`bgkit.backdrop.sampling.sample_alpha` gives for each pixel. More than 250,000
    unknown pixels are solved on a reduced copy, as by :func:`closed_form_matting`.

    Before black every dark part passes for a mixture of a bright one and what is behind. So there what the subject
    encloses is solid where its alpha is nowhere below 1/4, as it is somewhere in a gap: eyes, nostrils, buttons.

    References
    ----------
    A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting. PAMI 30(2), 2008.
    J. Wang, M. F. Cohen: Optimized Color Sampling for Robust Matting. CVPR 2007 (samples as a data term).

    Examples
    --------
    >>> image = np.ones((3, 5, 3)) * np.linspace(0.9, 0.1, 5)[:, None]
    >>> plate_matting(image, np.uint8([[0, 128, 128, 128, 255]] * 3), np.full_like(image, 0.9))[1].round(2)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    unknown, subject = trimap == UNKNOWN, trimap == FOREGROUND
    alpha: Array = subject.astype(np.float32)
    if not unknown.any() or not subject.any():
        note(iterations=0, residual=0.0, error=0.0, unknown=int(unknown.sum()))
        return alpha
    whole = trimap.size <= WHOLE
    guides = [] if plate is None else [match_plate(image, plate).plate if whole else plate]
    if key and mask is not None:
        guides.append(mask)

    def background(copy: Array, plate: Array | None) -> Array:
        if plate is None:
            return estimate_plate(image, copy.shape)
        return plate if whole else match_plate(copy, plate).plate

    def matte(copy: Array, trimap: Array, guides: tuple[Array, ...]) -> Array:
        behind = background(copy, None if plate is None else guides[0])
        image = _calmed(copy)
        prior = _prior(image, trimap, behind, plate is None, guides[-1] if key and mask is not None else None, trust)
        unknown = trimap == UNKNOWN
        dark = is_dark(behind[unknown])
        del behind, guides  # the solve needs the room
        found = _solve(image, trimap, epsilon, tolerance, max_iterations, max_memory, prior)
        if prior is None or not dark.any():
            return found
        alpha = (trimap == FOREGROUND).astype(np.float32)
        alpha[unknown] = found
        return without_dim_holes(alpha, unknown, dark)

    alpha[unknown] = _coarse_to_fine(matte, image, trimap, *guides)
    return alpha


def _coarse_to_fine(
    matte: Callable[[Array, Array, tuple[Array, ...]], Array], image: Array, trimap: Array, *guides: Array
) -> Array:
    """Return alpha of the unknown pixels as ``matte`` does, on a copy so small that about ``MOST`` are unknown.

    ``guides`` are further layers of the picture's size, reduced with it. How many times smaller the copy was is noted
    as ``reduced``.
    """
    unknown = trimap == UNKNOWN
    factor = math.ceil(math.sqrt(np.count_nonzero(unknown) / MOST))
    if factor == 1:
        return matte(image, trimap, guides)
    coarse = _reduced(trimap, factor)
    left = np.count_nonzero(coarse == UNKNOWN)
    if left > SCATTERED * MOST:  # where known and unknown alternate, the copy is unknown everywhere
        factor = math.ceil(factor * math.sqrt(left / MOST))
        coarse = _reduced(trimap, factor)
    rows, cols = coarse.shape
    small, *others = (reduced(each, (rows, cols)) for each in (image, *guides))
    alpha = (coarse == FOREGROUND).astype(np.float32)
    alpha[coarse == UNKNOWN] = matte(small, coarse, tuple(others))
    note(reduced=factor)
    around = cv2.dilate((coarse == UNKNOWN).view(np.uint8), np.ones(WINDOW, np.uint8)).view(bool)
    grid = np.zeros((rows, cols, 4), np.float32)
    grid[..., 3] = alpha
    grid[around] = _fit_functions(small, alpha, around)
    return apply_functions(image, cv2.blur(grid, WINDOW), unknown)


def _reduced(trimap: Array, factor: int) -> Array:
    """Return a smaller trimap that is known where all of a pixel is, and where a thin piece would else be lost."""
    rows, cols = (max(1, round(side / factor)) for side in trimap.shape)
    coarse = np.full((rows, cols), UNKNOWN, np.uint8)
    for known in (BACKGROUND, FOREGROUND):
        share = cv2.resize(255 * (trimap == known).view(np.uint8), (cols, rows), interpolation=cv2.INTER_AREA)
        coarse[share >= max(1, share.max())] = known  # 255, but where a thin piece covers no pixel
    return coarse


def _calmed(image: Array) -> Array:
    """Return the picture without the blocks of its JPEG, which alpha would follow; how clear they were is noted."""
    shown = blockiness(image)
    note(blocks=shown)
    return without_blocks(image, shown)


def _fit_functions(image: Array, alpha: Array, where: Array) -> Array:
    """Return the affine functions of color that fit alpha best in the windows around some pixels, float32 (K, 4).

    As in the guided filter (He, Sun, Tang: Guided Image Filtering. PAMI 35(6), 2013, equations 19 and 20).
    """
    r, g, b = planes = cv2.split(image)
    at = np.flatnonzero(where)

    def mean(values: Array) -> Array:
        return cv2.blur(values, WINDOW).take(at).astype(np.float64)

    mean_r, mean_g, mean_b, mean_a = map(mean, (*planes, alpha))
    rr, gg, bb = mean(r * r) - mean_r**2 + SLOPE, mean(g * g) - mean_g**2 + SLOPE, mean(b * b) - mean_b**2 + SLOPE
    rg, rb, gb = mean(r * g) - mean_r * mean_g, mean(r * b) - mean_r * mean_b, mean(g * b) - mean_g * mean_b
    ra, ga, ba = mean(r * alpha) - mean_r * mean_a, mean(g * alpha) - mean_g * mean_a, mean(b * alpha) - mean_b * mean_a
    # Elimination of a 3 x 3 system, which SLOPE keeps positive definite: first red, then green.
    by_g, by_b = rg / rr, rb / rr
    gg, gb, bb, ga, ba = gg - by_g * rg, gb - by_g * rb, bb - by_b * rb, ga - by_g * ra, ba - by_b * ra
    of_b = (ba - gb / gg * ga) / (bb - gb / gg * gb)
    of_g = (ga - gb * of_b) / gg
    of_r = (ra - rg * of_g - rb * of_b) / rr
    constant = mean_a - of_r * mean_r - of_g * mean_g - of_b * mean_b
    return np.stack([of_r, of_g, of_b, constant], -1).astype(np.float32)


def _prior(
    image: Array, trimap: Array, behind: Array, estimated: bool, key: Array | None, trust: float
) -> tuple[Array, Array] | None:
    """Return what a known background says of the unknown pixels, alpha and weight; None where it says nothing."""
    unknown, background = trimap == UNKNOWN, trimap == BACKGROUND
    light = local_light(image, behind, background)
    known: Array | np.float32 = np.float32(1)
    if estimated:
        known = _explained(image, behind, light, background, unknown)
        note(plain=float(known.mean()))
    if np.max(known) <= 0.05:
        return None
    colors = in_light(behind[unknown], light[unknown])
    likely, confidence = sample_alpha(image, colors, trimap == FOREGROUND, unknown, key)
    return likely, trust * confidence * known


def _explained(image: Array, behind: Array, light: Array, background: Array, unknown: Array) -> Array:
    """Return how far an estimated background is to be believed at each unknown pixel, 0..1, float32 (K,).

    By the difference from the picture where the picture surely shows the background, within 3 % of the diagonal.
    """
    side = 2 * max(1, round(0.03 * float(np.hypot(*background.shape)))) + 1
    shown = background.astype(np.float32)
    wrong = np.empty_like(shown)
    for top in range(0, len(shown), ROWS):
        rows = slice(top, top + ROWS)
        off = cv2.subtract(image[rows], in_light(behind[rows], light[rows]))
        off = cv2.transform(np.multiply(off, off, out=off), np.full((1, 3), 1 / 3, np.float32))
        np.multiply(off, shown[rows], out=wrong[rows])
    everywhere = float(wrong.sum(dtype=np.float64) / max(1, np.count_nonzero(background)))
    seen, missed = (
        cv2.blur(each, (side, side), borderType=cv2.BORDER_CONSTANT)[unknown] + 0.01 * mean
        for each, mean in ((shown, 1.0), (wrong, everywhere))
    )
    return np.exp(-(missed / seen) / np.float32(2 * UNEXPLAINED**2))


def _solve(
    image: Array,
    trimap: Array,
    epsilon: float,
    tolerance: float,
    max_iterations: int,
    max_memory: float,
    prior: tuple[Array, Array] | None = None,
) -> Array:
    """Return alpha of the unknown pixels, 0..1, and note how the solve went."""
    alpha, facts = solve(image, trimap, epsilon, tolerance, max_iterations, max_memory, threads(), prior)
    note(**facts)
    if facts["error"] > tolerance and "held" not in facts:
        warnings.warn(
            f"matting: residual {facts['residual']:.1e}, estimated error of alpha {facts['error']:.1e} "
            f"after {facts['iterations']} iterations, expected {tolerance:.1e}; raise max_iterations or epsilon",
            ConvergenceWarning,
            stacklevel=2,
        )
    return np.clip(alpha, 0, 1)
