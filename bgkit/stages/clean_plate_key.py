"""The keys from a known background: what differs from the empty plate, or from a smooth backdrop, is the subject.

The plate is first brought to the picture's exposure and position (:mod:`bgkit.backdrop.plate`). The difference is
measured in CIELUV. A difference that is only a lack of light, has soft contours and borders on backdrop in full light
is a shadow: a shadow moves a color towards black and has no edges. Where a first key on a smaller copy sees the
background, the picture shows what light falls on it; a second key is made with the background in that light. The
opacity of a pixel that differs is found from its surroundings (:func:`bgkit.backdrop.sampling.opacity`). The work is
done on a picture of at most 1600 px diagonal: conversions to CIELUV and about fifty passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop import estimate_backdrop
from bgkit.backdrop.outlined import FAINTER, drawn, noise_of, outlined
from bgkit.backdrop.plate import border_share, match_plate, plate_explains
from bgkit.backdrop.sampling import opacity, relit
from bgkit.color import dot, largest_channel, luv_of_picture
from bgkit.deblocking import ROUNDED, quantization, terraces_of
from bgkit.params import Range
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced
from bgkit.stage import note, stage

Floats = NDArray[Any]
Bools = NDArray[np.bool_]

LARGEST, FIRST = 1600, 800  # px, diagonal of the picture that is worked on, and of the one for its light
SMOOTH = 0.8  # px, before a noisy difference is held against the tolerance
CLEAN = 0.45  # dE*uv of noise, that of a step of gray: up to it smoothing loses single hairs and gains nothing
NEXT = 2  # px on the smaller copy: as near to what is found as the background is looked at
FAINTEST_CLEAR = 35.0  # dE*uv up to which a thing is so faint that what looks bare beside it may be part of it
CORE, LOST = 5, 0.95  # px on the smaller copy, wider than hair; below it the second key has lost what is so wide
EVEN = 0.02, 0.006  # code, deviation of light within 5 px of an even pale surface, and of any other; hair has more
PALE = 6.0, 16.0  # dE*uv of a pale surface from the plate; less is a plate that does not fit, unless it is BROAD
BROAD = 0.03  # of the picture
SAME = 0.9 / 255  # code: rounding explains it
NOISE, SHOT = (1.2 / 255, 3 / 255), 0.01  # code, a step to the next pixel; share of such: photographs 0.026 up
SOFTER = 2.7  # times, and across one of several steps: 0.6 dE*uv, more than a level, which a soft shadow has everywhere
MOVED = 0.011  # of the diagonal, at a corner, as far as no parallax was ever seen: the limit of ``plate_shift``
EXACT = 4.0  # times smaller a difference across a contour tells of a thing where the plate is an exact copy
TINT = 1.2  # of the tolerance: the tint of a shadow, which is soft and so is seen through a blur of 3 px
SOLID = 0.8  # mask from which on nothing is missing
HARD = 0.8  # share of a gray thing's contour to the backdrop that is steeper than a shadow's
SPECK, FAINT = 0.005, 2.0  # of the picture; tolerances that a piece so small must reach somewhere to be a thing
STEP, LIT = 1.2, 1.0  # tolerances, and L*, that a step of JPEG's chroma stays below
LARGE = 0.2  # share of all that differs from the backdrop that such a thing takes at least
STEEPEST = 0.37  # L* a pixel that a shadow changes, in a picture of 1000 px diagonal
STEEPER = 0.7  # the same close to a thing that differs BOLD times as much: a shadow is sharp where it is cast
DEEPER = 0.3  # of the light that it lacks there, where ``shadow`` allows less, and sees more than the tolerance
BOLD, CLOSE = 3.0, 0.03  # CLOSE: of the diagonal
EVENLY = np.full(3, 1 / 3, np.float32)  # of each channel
NEARBY = 400  # px, side of the copy in which such things are looked for

Tolerance = Annotated[float, Range(0.1, 200, "dE*uv", ui=(1, 20))]
Shadow = Annotated[float, Range(0, 1, ui=(0, 0.6))]
Contour = Annotated[float, Range(0, 50, "dE*uv", ui=(0, 5))]


@stage(gives="mask")
def clean_plate(
    image: Floats, plate: Floats, *, tolerance: Tolerance = 2.5, shadow: Shadow = 0.15, contour: Contour = 1.6
) -> Floats:
    """Mark as foreground what differs from the same scene photographed empty.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    plate : float32 array of shape (M, N, 3)
        The same scene without its subject. Exposure may differ by a factor of 4, position as by a hand-held camera.
    tolerance : float
        Difference up to which a pixel is background; larger swallows more noise and dirt, and more of a subject
        that resembles what is behind it. It is raised to ``sqrt(tolerance² + (0.9 noise)² + (2.2 terraces)²)``, where
        ``terraces`` is the rounding of colors by strong JPEG compression of picture or plate.
    shadow : float
        How much darker than the plate, as a share of its lightness, a soft shadow may be; larger removes deeper ones,
        and soft subjects that are merely a darker color of what is behind them. Close to a thing that differs three
        times as much, up to 0.3 is allowed in any case, unless this is 0.
    contour : float
        Difference across a hard contour from which a thing is foreground although it differs by less than the
        tolerance, or only in light: a white shirt before white, the gray foot of a bottle
        (:mod:`bgkit.backdrop.outlined`). For a large thing that differs in light alone, 0.3 of it is enough. Larger
        leaves fainter things out, 0 all of them.

    Returns
    -------
    float32 array of shape (M, N)
        0 background to 1 foreground.

    Notes
    -----
    A piece of less than 0.5 % of the picture, apart from all else, has to differ by twice the tolerance somewhere: JPEG
    rounds the colors of its blocks, and a block of bare wall may differ by more than the tolerance from the plate's.
    One that differs by a step of chroma alone is background beside the subject, too.

    A drawing of which the plate is an exact copy needs no tolerance: what is apart from the plate by a step is subject,
    down to a quarter of ``contour``.

    Where the plate agrees with the picture all over but for noise, a large thing may be one level off, if the noise is
    of one level or less. With more noise, or after JPEG, it takes two or three levels.

    The plate is taken in the light that the picture shows, smoothed over 1 % of the diagonal, and in the subject's
    shadow, too; faint things keep it 3 % away, or it would swallow them.

    Nothing is filled: backdrop that the subject encloses is backdrop, and a part of the subject in the plate's very
    color is a hole. A plate that explains much less of the border than a smooth surface does is taken for one of
    another scene. The surface then takes its place, and ``facts`` have ``fits`` False.

    Where the camera moved from plate to picture, near things moved against far ones, and parts of the subject with the
    background's colors are missing. ``facts`` have ``moved`` True then, and ``merge: core`` becomes ``evidence``.

    References
    ----------
    CIE 15:2004, Colorimetry, 8.2.1: CIELUV and its color difference. T. Horprasert, D. Harwood, L. S. Davis,
    "A statistical approach for real-time robust background subtraction and shadow detection", ICCV Workshop 1999:
    distance from the plate's line of brightness.

    Examples
    --------
    >>> plate = np.full((1, 4, 3), 0.8)
    >>> picture = plate.copy()
    >>> picture[0, 3] = [1, 0, 0]
    >>> clean_plate(picture, plate).round()
    array([[0., 0., 0., 1.]], dtype=float32)
    """
    match = match_plate(image, plate)
    note(gain=match.gain, shift=match.shift, farthest=match.farthest, flow=match.flow)
    note(moved=bool(match.farthest > MOVED * float(np.hypot(*image.shape[:2]))))
    note(unexplained=match.unexplained, fits=match.fits)
    # A plate of few even colors may be a JPEG's terraces, but not where the picture shows the very same: it is drawn.
    copied = border_share(largest_channel(np.abs(image - match.plate)) < SAME) > 0.5
    step = np.hypot(quantization(image), max(match.gain) * quantization(plate, empty=not copied))
    # What lay beyond the plate's frame differs from nothing: it would pass for subject, whose size all lengths follow.
    behind = match.plate if match.seen.all() else np.where(match.seen[..., None], match.plate, image)
    hidden = 1 - float(match.seen.mean())
    exact = copied and step < SAME and not _noisy(image - match.plate)  # a burnt wall is a copy of its plate, too
    outline = 0.0 if exact else contour
    mask = _key(
        image, behind, tolerance, shadow, match.misplaced, float(step), outline, hidden=hidden, fitted=not match.fits
    )
    if exact and contour > 0:
        mask[drawn(image, behind, contour / EXACT)] = 1
        mask[outlined(image, behind, mask, contour / SOFTER, fitted=False)] = 1
    explained = plate_explains(image, match.plate, match.misplaced) & match.seen
    note(kept=border_share(explained & (mask >= 0.5)))
    return mask if match.seen.all() else _beyond(mask, match.seen)


@stage(gives="mask")
def backdrop_key(image: Floats, *, tolerance: Tolerance = 3.0, shadow: Shadow = 0.15, contour: Contour = 1.6) -> Floats:
    """Mark as foreground what differs from the smooth backdrop that the picture itself shows.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    tolerance : float
        Difference up to which a pixel is background; larger swallows more noise and dirt, and more of a subject
        that resembles the backdrop. It is raised to ``sqrt(tolerance² + (0.9 noise)² + (2.2 terraces)²)``, where
        ``terraces`` is the rounding of colors by strong JPEG compression.
    shadow : float
        How much darker than the backdrop, as a share of its lightness, a soft shadow may be; larger removes deeper
        ones, and soft subjects that are merely a darker color of the backdrop. Close to a thing that differs three
        times as much, up to 0.3 is allowed in any case, unless this is 0.
    contour : float
        Difference across a hard contour from which a thing is foreground although it differs by less than the
        tolerance, or only in light: a white shirt before white, the gray foot of a bottle
        (:mod:`bgkit.backdrop.outlined`). For a large thing that differs in light alone, 0.3 of it is enough. Larger
        leaves fainter things out, 0 all of them.

    Returns
    -------
    float32 array of shape (M, N)
        0 background to 1 foreground.

    Notes
    -----
    The same as ``clean_plate``, with :func:`bgkit.backdrop.estimate_backdrop` for the plate.

    Examples
    --------
    >>> picture = np.ones((9, 9, 3))
    >>> picture[3:6, 3:6] = [1, 0, 0]
    >>> backdrop_key(picture)[4].round()
    array([0., 0., 0., 1., 1., 1., 0., 0., 0.], dtype=float32)
    """
    backdrop = estimate_backdrop(image)
    coarse = quantization(image)
    note(border_share=backdrop.border_share)
    plate = backdrop.plate(_worked_on(image, LARGEST))
    return _key(image, plate, tolerance, shadow, 0.0, coarse, contour, chance=not backdrop.painted, fitted=True)


def _key(
    image: Floats,
    plate: Floats,
    tolerance: float,
    shadow: float,
    misplaced: float,
    coarse: float,
    contour: float,
    chance: bool = True,
    hidden: float = 0.0,
    fitted: bool = False,
) -> Floats:
    """Return the key, (M, N), from the plate in the light that the picture shows, in shadows too.

    Where that is to be seen, a first key says, from the plate as it is, on a smaller copy. Of what it finds, a thing as
    dark as the shadow that it stands in stays.
    """
    shape, size = image.shape[:2], _worked_on(image, LARGEST)
    image, plate = (each if each.shape[:2] == size else reduced(each, size) for each in (image, plate))
    terraces = terraces_of(plate, coarse)
    note(terraces=terraces)

    def found(image: Floats, plate: Floats) -> Floats:
        off_by = misplaced * image.shape[0] / shape[0]
        return _marked(image, plate, tolerance, shadow, off_by, terraces, contour, chance, hidden, fitted)

    small = _worked_on(image, FIRST)
    copies = [each if size == small else reduced(each, small) for each in (image, plate)]
    bare, seen, even, faint = (_enlarged(each, size) for each in _first(copies[0], copies[1], found))
    mask = found(image, relit(image, plate, bare))
    lost = cv2.morphologyEx((even & (mask < LOST)).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).view(bool)
    if (lost & faint).any():
        pieces = find_pieces(lost, connectivity=4)
        lost &= ~faint | (pieces.area >= BROAD * mask.size)[pieces.label]
    mask[seen & (cv2.dilate(lost.view(np.uint8), np.ones((9, 9), np.uint8)) > 0)] = 1
    return mask if size == shape else cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _first(image: Floats, plate: Floats, found: Callable[[Floats, Floats], Floats]) -> tuple[Bools, ...]:
    """Return where a first key says that the picture surely shows its background, where not, and where surely not.

    The first keeps away from what was found, farther where that is faint. The third is an even surface, as hair is not,
    and the last where such a one differs so little that it may as well be a plate that does not fit.
    """
    mask = found(image, plate)
    solid = mask > SOLID
    off = luv_of_picture(image) - luv_of_picture(plate)
    differs = dot(off, off)
    around = round(CLOSE * float(np.hypot(*mask.shape)))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    clear = cv2.dilate((solid & (differs > FAINTEST_CLEAR**2)).view(np.uint8), disk)
    away = cv2.distanceTransform((mask <= 0).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    core = cv2.morphologyEx(solid.view(np.uint8), cv2.MORPH_OPEN, np.ones((CORE, CORE), np.uint8))
    light = dot(image, EVENLY)
    deviation = cv2.blur(light * light, (5, 5)) - cv2.blur(light, (5, 5)) ** 2
    even = (core > 0) & (deviation < np.where(differs < PALE[1] ** 2, *np.square(EVEN)))
    return away > np.where(clear > 0, NEXT, around), mask > 0.5, even, even & (differs < PALE[0] ** 2)


def _enlarged(where: Bools, size: tuple[int, int]) -> Bools:
    return cv2.resize(where.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _marked(
    image: Floats,
    plate: Floats,
    tolerance: float,
    shadow: float,
    misplaced: float,
    terraces: float,
    contour: float,
    chance: bool,
    hidden: float,
    fitted: bool,
) -> Floats:
    """Return the key, (M, N), from a plate that is taken as it is."""
    difference, unshaded, reach = differences(image, plate, tolerance, shadow, misplaced, terraces, hidden)
    specks = _specks(difference, reach)
    difference[specks] = unshaded[specks] = 0
    mask = opacity(difference, unshaded, reach)
    if chance:  # before painted squares a gap in hair, smaller than they, would pass for one
        if contour > 0:  # a terrace's edge is as hard as a thing's
            step, deep = (float(np.hypot(least, ROUNDED * terraces)) for least in (contour, contour / FAINTER))
            sure = np.where(unshaded > reach, mask, np.float32(0))
            mask[outlined(image, plate, sure, step, deep, fitted)] = 1
        chances = _coincidence(mask < SOLID, image, plate, reach / 100)
        if chances is not None:
            mask[chances] = 1
    return mask


def _worked_on(image: Floats, largest: int) -> tuple[int, int]:
    """Return the rows and columns of a copy of at most ``largest`` px diagonal."""
    factor = max(1.0, float(np.hypot(*image.shape[:2])) / largest)
    return max(1, round(image.shape[0] / factor)), max(1, round(image.shape[1] / factor))


def differences(
    image: Floats,
    plate: Floats,
    tolerance: float,
    shadow: float,
    misplaced: float,
    terraces: float = 0.0,
    hidden: float = 0.0,
) -> tuple[Floats, Floats, float]:
    """Return the difference from the plate, the same with any shadow granted, dE*uv (M, N), and the tolerance raised.

    The first is the second where a soft shadow falls. ``terraces``: by how much JPEG rounded colors, dE*uv;
    ``hidden``: share of the picture where the plate is the picture itself, since it did not reach there.
    """
    color, behind = (luv_of_picture(each) for each in (image, plate))
    difference = np.subtract(color, behind, out=color)
    noise = noise_of(difference, hidden)
    note(noise=noise)
    reach = float(np.sqrt(tolerance**2 + (0.9 * noise) ** 2 + (ROUNDED * terraces) ** 2))
    square = np.maximum(dot(behind, behind), 1)
    smooth = cv2.GaussianBlur(difference, (0, 0), SMOOTH) if noise > CLEAN else difference
    # A difference d from a background b is a light of d.b / b.b times b, and a rest across it: |d - light b|² needs
    # these products only.
    along, length = dot(smooth, behind) / square, dot(smooth, smooth)
    light = np.clip(along, -shadow, 0)
    whole, unshaded = np.sqrt(length), _across(length, (2 * along - light) * light, square)
    tinted = _tinted(smooth, whole, reach)
    if tinted is not None:
        whole[tinted] = unshaded[tinted] = 0
    if misplaced > 0:
        wobble = np.float32(3 * misplaced) * _slope(behind[..., 0])
        whole, unshaded = (np.maximum(each - wobble, 0) for each in (whole, unshaded))
    lack = (along if smooth is difference else dot(difference, behind) / square) * np.sqrt(square)
    # L* a pixel, as in a picture of 1000 px diagonal.
    slope = _slope(cv2.GaussianBlur(lack, (0, 0), 1)) * np.float32(float(np.hypot(*lack.shape)) / 1000)
    shaded, deep = _shadow(difference, behind, square, whole <= reach, slope, reach, shadow)
    shaded &= light < 0
    gray = (whole > reach) & (unshaded <= reach) & ~shaded
    outlined = _outlined(gray, (whole <= reach) | shaded, slope)
    if outlined is not None:
        np.copyto(unshaded, whole, where=outlined)
    if deep.any():
        np.copyto(unshaded, _across(length, along**2, square), where=shaded & deep)
    return np.where(shaded, unshaded, whole), unshaded, reach


def _across(length: Floats, light: Floats, square: Floats) -> Floats:
    """Return the length of what is left of a difference, whose square is given, without so much light, squared."""
    return np.sqrt(np.maximum(length - light * square, 0))


def _noisy(difference: Floats) -> bool:
    """Return whether the difference from the plate goes up and down from pixel to pixel, as noise does.

    Of what differs at all: a photograph may stand on a drawn canvas.
    """
    step = np.abs(np.diff(difference, axis=1)).max(-1, initial=0)
    some = (step > NOISE[0]) & (step < NOISE[1])
    again = some[:, :-2] & (some[:, 1:-1] | some[:, 2:])  # a drawn contour is one step
    differs = np.count_nonzero(largest_channel(np.abs(difference)) > SAME)
    return bool(np.count_nonzero(again) > SHOT * differs)


def _tinted(difference: Floats, whole: Floats, reach: float) -> Bools | None:
    """Return the small patches that differ by a step of chroma alone, also beside the subject; None if there are none.

    JPEG codes the color of a block at once, and rounded it up here and down in the plate.
    """
    patch = np.ones((9, 9), np.uint8)
    step = (whole > reach) & (whole < STEP * reach) & (np.abs(difference[..., 0]) < LIT)
    inside = cv2.erode(step.view(np.uint8), patch)
    if not inside.any():
        return None
    count, label = cv2.connectedComponents(cv2.dilate(inside, patch), connectivity=4)
    small = np.bincount(label.ravel(), minlength=count) < SPECK * step.size
    small[0] = False
    tinted: Bools = small[label]
    return tinted


def _specks(difference: Floats, reach: float) -> Bools:
    """Return the small pieces apart from all else that differ by little more than the tolerance.

    JPEG rounds the color of each block of 8 or 16 px to whole codes. Where it rounded the picture's up and the plate's
    down, a block of bare backdrop differs by as much, and a plate's gain multiplies it.
    """
    found = difference > reach
    joined = cv2.dilate(found.view(np.uint8), np.ones((9, 9), np.uint8))  # fragments of one thing
    count, label = cv2.connectedComponents(joined, connectivity=8)
    small = np.bincount(label[found], minlength=count) < SPECK * found.size
    small[0] = False
    small[label[difference > FAINT * reach]] = False
    specks: Bools = small[label]
    return specks


def _shadow(
    difference: Floats, behind: Floats, square: Floats, backdrop: Bools, slope: Floats, reach: float, shadow: float
) -> tuple[Bools, Bools]:
    """Return where the picture lacks light only, softly, up to the backdrop in full light, and where it may lack more.

    Close to the thing that casts it a shadow is sharper, and deeper. A pale thing before white has shades as sharp, so
    there it counts as shadow only beside what differs much more.
    """
    wide = cv2.GaussianBlur(difference, (0, 0), 3)
    light = dot(wide, behind) / square
    length = dot(wide, wide)
    tint = _across(length, light**2, square)
    bold = _beside_bold(difference, length)
    deep = bold & (shadow * np.sqrt(square) > reach) if 0 < shadow < DEEPER else np.zeros_like(bold)
    steepest = np.where(bold, np.float32(STEEPER), np.float32(STEEPEST))
    deepest = np.where(deep, np.float32(DEEPER), np.float32(shadow))
    soft = (tint < TINT * reach) & (light > -deepest) & (light < 0) & (slope < steepest)
    # Ways narrower than five pixels are gaps in a contour, not shadows that reach the backdrop.
    wide_enough = cv2.erode((backdrop | soft).view(np.uint8), np.ones((5, 5), np.uint8))
    count, label = cv2.connectedComponents(wide_enough, connectivity=4)
    reached = np.zeros(count, bool)
    reached[label[backdrop & (wide_enough > 0)]] = True
    reached[0] = False
    grown: Bools = cv2.dilate(reached[label].view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return grown, deep


def _beside_bold(difference: Floats, wide: Floats) -> Bools:
    """Return where something close by differs ``BOLD`` times as much; ``wide``: it, smoothed and squared."""
    rows, cols = difference.shape[:2]
    scale = min(1.0, NEARBY / max(rows, cols))
    size = max(1, round(cols * scale)), max(1, round(rows * scale))
    small = cv2.blur(reduced(np.sqrt(dot(difference, difference)), size[::-1]), (3, 3))
    around = max(1, round(CLOSE * float(np.hypot(*size))))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    greatest = cv2.resize(cv2.dilate(small, disk), (cols, rows), interpolation=cv2.INTER_LINEAR)
    bold: Bools = greatest >= np.float32(BOLD) * np.sqrt(np.maximum(wide, 1))
    return bold


def _outlined(gray: Bools, backdrop: Bools, slope: Floats) -> Bools | None:
    """Return the pieces of what lacks light only that have a hard contour to the backdrop: gray things, no shadows.

    Pieces narrower than seven pixels are contours themselves. None if there are no others.
    """
    whole = cv2.morphologyEx(gray.view(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))  # noise makes holes
    core = cv2.erode(whole, np.ones((7, 7), np.uint8))
    if not core.any():
        return None
    count, label = cv2.connectedComponents(core, connectivity=4)
    wide = cv2.dilate(label.astype(np.float32), np.ones((9, 9), np.uint8)).astype(np.int32) * whole
    steep = cv2.dilate((slope > STEEPEST).view(np.uint8), np.ones((5, 5), np.uint8))
    edge = (wide > 0) & (cv2.dilate(backdrop.view(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    length = np.bincount(wide[edge], minlength=count)
    hard = np.bincount(wide[edge], weights=steep[edge], minlength=count)
    area = np.bincount(wide.ravel(), minlength=count)
    outlined = (hard > HARD * np.maximum(length, 1)) & (area > LARGE * np.count_nonzero(~backdrop))
    outlined[0] = False
    found: Bools = outlined[wide]
    return found


def _coincidence(faint: Bools, image: Floats, plate: Floats, reach: float) -> Bools | None:
    """Return what is enclosed by the subject and has the plate's color by chance, before a plate of many colors.

    Behind a real gap the picture shows the plate's structure, so that both correlate there; a cheek before a roof of
    its color does not. Before a plain plate nothing is a coincidence. None if there is nothing such.
    """
    light, behind = (dot(each, EVENLY) for each in (image, plate))
    if np.ptp(behind) <= 4 * reach:  # a deviation is half of it at most
        return None
    # Gaps in the contour of up to four pixels do not join what is enclosed to the outside.
    faint = cv2.erode(faint.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    label, *boxes = find_pieces(faint, connectivity=4)
    chance = np.zeros(len(boxes[0]), bool)
    rows, cols = faint.shape
    around = round(0.01 * float(np.hypot(rows, cols)))
    for piece, (left, top, width, height, area) in enumerate(zip(*boxes, strict=True)):
        if piece == 0:
            continue
        if area > 0.02 * rows * cols or left == 0 or top == 0 or left + width == cols or top + height == rows:
            continue
        near = np.s_[max(0, top - around) : top + height + around, max(0, left - around) : left + width + around]
        if behind[near].std() > 2 * reach:
            inside = label[near] == piece
            one, other = (each[near][inside] - each[near][inside].mean() for each in (light, behind))
            shown = (one @ other) / np.sqrt(max(float((one @ one) * (other @ other)), 1e-9))
            chance[piece] = shown < 0.95 or area < 30 or other.std() < reach
    if not chance.any():
        return None
    found: Bools = cv2.dilate(chance[label].view(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return found


def _slope(values: Floats) -> Floats:
    """Return the length of the gradient, per pixel."""
    across, down = (
        cv2.Sobel(values, cv2.CV_32F, *axes, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        for axes in ((1, 0), (0, 1))
    )
    across[:, [0, -1]] *= 2  # between two pixels there, not three
    down[[0, -1]] *= 2
    return cv2.magnitude(across, down)


def _beyond(mask: Floats, seen: Bools) -> Floats:
    """Return the mask with what lay beyond the plate's frame decided as the nearest pixel within it."""
    if not seen.any():
        return np.full_like(mask, 0.5)
    _, nearest = cv2.distanceTransformWithLabels(
        (~seen).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    value = np.zeros(int(nearest.max()) + 1, np.float32)
    value[nearest[seen]] = mask[seen]
    return value[nearest]
