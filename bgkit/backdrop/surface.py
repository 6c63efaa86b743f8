"""The backdrop of a studio shot as one or two smooth surfaces: what the picture would be without its subject.

A backdrop has one color and smooth light, so in CIELUV it is close to a quadratic polynomial of row
and column, one per channel: vignetting and falloff of a lamp leave less than 0.7 dE*uv of rest on
our studio pictures, where a constant leaves 0.7 to 5. The fit is robust in the manner of region
growing: it starts on smooth pieces of the border, takes in what lies near the surface and is
connected to it, refits, and continues inwards, so that a subject across half of the border does no
harm. How far off the surface a pixel may lie is tried at several scales, for a pale subject on white
differs less from it than one end of a crumpled paper from the other; the scale that describes the
border in the fewest bits is taken. A wall and the table before it are two surfaces with a straight, soft
line between. It works on a thumbnail; its cost hardly depends on the picture's size.

References: P. J. Besl and R. C. Jain, "Segmentation through variable-order surface fitting", IEEE
PAMI 10(2), 1988 (growing and fitting in turn); J. W. Tukey's biweight for the weights; J. Rissanen,
"Modeling by shortest data description", Automatica 14, 1978.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.checkers import Checkers, find_checkers
from bgkit.color import dot, luv_from_srgb, luv_of_picture, srgb_from_luv
from bgkit.deblocking import quantization, terraces_of
from bgkit.resizing import reduced

__all__ = ["Backdrop", "estimate_backdrop", "estimate_plate", "leveled"]

Floats = NDArray[Any]

# Long side, px. With pixel noise of 0.04 and the subject on 60..80 % of the border, the key's mean error is
# 8.9 % at 200, 6.2 % at 128, 3.9 % at 96; without noise all three are equal (studio pictures, cropped).
THUMBNAIL = 96
# Rows of a picture that make one of the thumbnail; of more, some are passed over. Of 12 MP a fifth is read, in 4 ms
# in place of 33 (all else that an estimate does takes 11), and the surface moves by 0.05 dE*uv at most.
ENOUGH = 8
# dE*uv a pixel may lie off the surface, from the first fit to the last: uneven, even, and very even backdrops.
GROWTH = ((14.0, 10.0, 8.0, 6.0, 6.0), (8.0, 6.0, 4.0, 4.0, 4.0), (5.0, 4.0, 3.0, 2.5, 2.5), (3.0, 2.5, 2.0, 1.5, 1.5))
LEVEL, LEVELED = (1.5, 1.0, 0.7, 0.5, 0.5), 64  # the same, and px, where one more is fitted to what is left
ELSEWHERE = 7.0  # dE*uv: the spread of colors that the surface does not explain
NOISIEST = 5.0  # dE*uv: a surface with more noise saves no fewer bits
EQUAL = 0.95  # of the bits that the best surface saves
FINEST = 0.5  # dE*uv: light is never quite a quadratic; a surface that fits better tells no more
SECOND = 0.03  # of the border, by weight: a second surface shows at least there
ROUGHER = (
    2.0  # dE*uv that its noise may be above the first one's; on horizons 1 at most, on subjects taken for tables 3
)
STRAIGHT = 0.02  # of the pixels of both surfaces that may lie beyond the line between them
NOTHING_LEFT = 0.97  # of the picture: two surfaces that explain more leave no subject
CONTACT = 0.03  # of the longer side: they meet along at least so much of it
ALL_AROUND = 0.9  # of the border: a subject's foot or its shadow may reach the frame
RESTLESS = 2.0  # dE*uv of noise; of 200 pictures of ECSSD none is quieter and has 0.8 of its border on a surface
ALIKE = 0.01  # of the picture, by which surfaces differ that leave the same to a second one
BAND = 32  # rows that are evaluated at a time
LINE = 384  # px, long side of the copy on which that line is found


@dataclass(frozen=True)
class Line:
    """A straight, soft line between two surfaces, in the coordinates of :func:`terms`.

    ``normal``: unit vector (row, column) that points from the first surface to the second; ``offset``: distance of
    the line's middle from the picture's center along it; ``width``: over which one turns into the other.
    """

    normal: tuple[float, float]
    offset: float
    width: float

    def beyond(self, shape: tuple[int, ...]) -> Floats:
        """Return how much of the second surface each pixel shows, 0..1, float32 (M, N)."""
        r, c = _coordinates(shape)
        along = np.float32(self.normal[0]) * r[:, None] + np.float32(self.normal[1]) * c
        share: Floats = np.clip((along - np.float32(self.offset)) / np.float32(self.width) + np.float32(0.5), 0, 1)
        return share


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A backdrop in CIELUV.

    ``coefficients``, float64 (3, 6): L*, u*, v* as polynomials of :func:`terms`. ``noise``: the
    root mean square distance of single backdrop pixels from it, dE*uv. ``border_share``: how much of the
    picture's border shows the backdrop, 0..1. ``second`` and ``line``: where there are two surfaces, the
    coefficients of the other one, and the line beyond which it shows.
    """

    coefficients: Floats
    noise: float
    border_share: float
    second: Floats | None = None
    line: Line | Checkers | None = None

    @property
    def painted(self) -> bool:
        """Whether it is a checkerboard, painted where the picture should be clear."""
        return isinstance(self.line, Checkers)

    @property
    def plain(self) -> bool:
        """Whether nearly all of the border shows the backdrop, which is quiet: the subject stands within."""
        return self.border_share >= ALL_AROUND and self.noise <= RESTLESS

    def luv(self, shape: tuple[int, ...]) -> Floats:
        """Return the backdrop for a picture of ``shape``, CIELUV, float64 (M, N, 3)."""
        surface = _evaluated(self.coefficients, shape)
        if self.second is not None and self.line is not None:
            surface += self.line.beyond(shape)[..., None] * (_evaluated(self.second, shape) - surface)
        return surface

    def plate(self, shape: tuple[int, ...]) -> Floats:
        """Return the backdrop as a picture, sRGB, float32 (M, N, 3)."""
        plate = _picture(self.coefficients, shape)
        if self.second is not None and self.line is not None:
            plate += self.line.beyond(shape)[..., None] * (_picture(self.second, shape) - plate)
        return plate

    def excess(self, shape: tuple[int, ...], screen: Literal["green", "blue"]) -> Floats:
        """Return by how much the screen's primary exceeds the other channels, as a surface of :func:`terms`, (6,)."""
        coarse = tuple(max(1, 48 * side // max(shape[:2])) for side in shape[:2])
        rgb, primary = srgb_from_luv(terms(coarse) @ self.coefficients.T), 1 if screen == "green" else 2
        over = rgb[..., primary] - np.delete(rgb, primary, -1).max(-1)
        return np.linalg.lstsq(terms(coarse).reshape(-1, 6), over.ravel(), rcond=None)[0]

    def screen(self) -> Literal["green", "blue"]:
        """Return which of the two usual screens the backdrop is nearer to."""
        green, blue = (self.excess((1, 1), name)[0] for name in ("green", "blue"))
        return "green" if green >= blue else "blue"


def estimate_backdrop(image: Floats, witnesses: Literal["border", "corners"] = "border") -> Backdrop:
    """Fit the backdrop of ``image``.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    witnesses : {"border", "corners"}
        Where the backdrop is known to show, at least in part.

    Returns
    -------
    Backdrop
    """
    key = id(image), witnesses
    known = _known.get(key)
    if known is not None and known[0]() is image:
        return known[1]
    backdrop = _estimate(image, witnesses)
    if not image.flags.writeable:  # as stages get it: what was estimated stays as it was
        _known[key] = weakref.ref(image, lambda _: _known.pop(key, None)), backdrop
    return backdrop


# Light, key, matting and findings of one chain ask for the same backdrops; each is gone with its picture.
_known: dict[tuple[int, str], tuple[weakref.ref[Floats], Backdrop]] = {}


def estimate_plate(image: Floats, shape: tuple[int, ...] | None = None) -> Floats:
    """Return the empty scene behind ``image`` as a picture, sRGB, float32 (M, N, 3), by default of its own size."""
    return estimate_backdrop(image).plate(shape or image.shape)


def leveled(difference: Floats, found: NDArray[np.bool_]) -> Floats:
    """Return the difference from a backdrop, dE*uv, (M, N, 3), without the smooth light that is left in it.

    A surface that was fitted within a few dE*uv passes between a pale subject and its ground: here it is drawn to the
    ground alone. ``found``, (M, N), is where the subject is known.
    """
    shape = tuple(max(1, round(side * min(1.0, LEVELED / max(found.shape)))) for side in found.shape)
    small, subject = (reduced(each, shape) for each in (difference, found.astype(np.float32)))
    border = (_witness_weights(shape, "border") > 0) & (subject == 0)
    if not border.any():
        return difference
    small[subject > 0] = 1e3  # farther off than any color
    planes, design = (np.moveaxis(each, -1, 0) for each in (small, terms(shape)))
    coefficients, _ = _grow(planes, design, border, LEVEL)
    coarse = _evaluated(coefficients, shape).astype(np.float32)  # a quadratic needs no more
    level: Floats = difference - cv2.resize(coarse, found.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return level


def terms(shape: tuple[int, ...]) -> Floats:
    """Return 1, r, c, r², rc, c² of every pixel, (M, N, 6); r and c run over -1..1 along the longer side."""
    rows, cols = shape[:2]
    half = max(rows, cols) / 2
    r = ((np.arange(rows) + 0.5 - rows / 2) / half)[:, None] + np.zeros(cols)
    c = ((np.arange(cols) + 0.5 - cols / 2) / half) + np.zeros((rows, 1))
    return np.stack([np.ones_like(r), r, c, r * r, r * c, c * c], -1)


def _coordinates(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return r of every row and c of every column, float32: -1..1 along the longer side."""
    half = max(shape[:2]) / 2
    r, c = (((np.arange(side) + 0.5 - side / 2) / half).astype(np.float32) for side in shape[:2])
    return r, c


def _evaluated(coefficients: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the polynomials of :func:`terms` with coefficients (K, 6), (M, N, K), without the terms in memory."""
    one, of_r, of_c, of_rr, of_rc, of_cc = coefficients.T
    half = max(shape[:2]) / 2
    r, c = (((np.arange(side) + 0.5 - side / 2) / half)[:, None] for side in shape[:2])
    in_row, down, across = of_c + of_rc * r, one + of_r * r + of_rr * r * r, of_cc * c * c
    values: Floats = np.empty((*shape[:2], len(coefficients)))
    for top in range(0, shape[0], BAND):  # which stays in the cache
        rows = slice(top, top + BAND)
        band = np.multiply(in_row[rows, None], c, out=values[rows])
        band += down[rows, None]
        band += across
    return values


def _picture(coefficients: Floats, shape: tuple[int, ...]) -> Floats:
    """Return one surface as a picture, sRGB, float32 (M, N, 3); evaluated on a grid: a quadratic needs no more."""
    rows, cols = shape[:2]
    coarse = max(1, max(rows, cols) // 128)
    small = srgb_from_luv(terms((-(-rows // coarse), -(-cols // coarse))) @ coefficients.T).astype(np.float32)
    plate: Floats = cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)
    return plate


def _estimate(image: Floats, witnesses: str) -> Backdrop:
    painted = find_checkers(image)
    if painted is not None:
        checkers, *colors = painted
        one, other = (np.outer(luv_from_srgb(color), np.eye(6)[0]) for color in colors)
        return Backdrop(one, 0.0, 1.0, other, checkers)
    small = _thumbnail(image, THUMBNAIL)
    luv = luv_from_srgb(small)
    finest = float(np.clip(terraces_of(small, quantization(image)), FINEST, NOISIEST))
    basis = terms(luv.shape)
    border, single = _witness_weights(luv.shape[:2], witnesses), _single(image, luv.shape)
    likely = _fit_surfaces(single, luv, basis, border, finest)
    for number, first in enumerate(likely):
        if any((first.inside ^ other.inside).mean() < ALIKE for other in likely[:number]):
            continue
        left = border * ~first.inside
        if left.sum() <= SECOND * border.sum():
            break
        elsewhere = np.where(first.inside[..., None], 1e3, luv)  # farther off than any color
        second = _fit_surfaces(single, elsewhere, basis, left, finest)[0]
        line = _line_between(image, border, first, second)
        if line is not None:
            share = float((border * (first.inside | second.inside)).sum() / border.sum())
            noise = float(
                np.average([first.noise, second.noise], weights=[each.inside.sum() for each in (first, second)])
            )
            return Backdrop(first.coefficients, noise, share, second.coefficients, line)
    first = likely[0]
    share = float((border * first.inside).sum() / border.sum())
    return Backdrop(first.coefficients, first.noise, share)


def _thumbnail(image: Floats, side: int) -> Floats:
    """Return a copy of at most ``side`` px, by areas."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    rows, cols = (max(1, round(length * scale)) for length in image.shape[:2])
    every = max(1, image.shape[0] // rows // ENOUGH)
    part = image[every // 2 :: every]
    return reduced(part, (rows, cols))


class _Surface(NamedTuple):
    coefficients: Floats  # (3, 6)
    inside: NDArray[np.bool_]  # where the thumbnail shows it
    noise: float  # dE*uv


def _single(image: Floats, shape: tuple[int, ...]) -> Floats:
    """Return single pixels of the full picture, one for each of a thumbnail, which has lost the noise, CIELUV."""
    rows, cols = ((np.arange(n) + 0.5) * full / n for n, full in zip(shape[:2], image.shape[:2], strict=True))
    return luv_from_srgb(image[np.ix_(rows.astype(int), cols.astype(int))])


def _fit_surfaces(single: Floats, luv: Floats, basis: Floats, border: Floats, finest: float) -> list[_Surface]:
    """Return the surfaces that describe the ``border``, a weight for each pixel, in the fewest bits.

    A pixel on the surface costs the logarithm of the noise around it, one off it the logarithm of ``ELSEWHERE``.
    One terrace of a wall that JPEG made into several is no finer than all of them: ``finest`` is the least noise that
    counts. Of surfaces that save nearly as many bits the one comes first that shows in most of the border.
    """
    found: list[tuple[float, _Surface]] = []
    seeds = _seeds(luv, border)
    planes, design = (np.ascontiguousarray(np.moveaxis(each, -1, 0)) for each in (luv, basis))
    for growth in GROWTH:
        grown: list[tuple[Floats, NDArray[np.bool_]]] = []
        for seed in seeds:  # one that another has grown over would grow to the same
            if not any(np.count_nonzero(seed & inside) > 0.5 * np.count_nonzero(seed) for _, inside in grown):
                grown.append(_grow(planes, design, seed, growth))
        coefficients, inside = max(grown, key=lambda fit: float(border[fit[1]].sum()))
        noise = _noise(single[inside], basis[inside], coefficients)
        saved = float(border[inside].sum()) * np.log(ELSEWHERE / np.clip(noise, finest, NOISIEST))
        found.append((saved, _Surface(coefficients, inside, noise)))
        if noise <= FINEST:
            break
    most = max(saved for saved, _ in found)
    equals = [surface for saved, surface in found if saved >= EQUAL * most]
    return sorted(equals, key=lambda each: -float(border[each.inside].sum()))


def _witness_weights(shape: tuple[int, ...], witnesses: str) -> Floats:
    """Return the weight of each pixel as a witness: 1 at the top, down the sides to 1/4 at the bottom, 0 inside.

    Subjects stand or are cut off at the bottom far more often than elsewhere.
    """
    rows, cols = shape
    weight = np.zeros(shape)
    weight[0] = 1
    weight[:, 0] = weight[:, -1] = np.linspace(1, 0.25, rows)
    weight[-1] = 0.25
    if witnesses == "corners":
        reach = max(1, max(shape) // 20)
        weight[reach : rows - reach] = 0
        weight[:, reach : cols - reach] = 0
    return weight


def _seeds(luv: Floats, border: Floats) -> list[NDArray[np.bool_]]:
    """Return the three smooth pieces that hold most of the border."""
    padded = np.pad(luv, ((1, 1), (1, 1), (0, 0)), mode="edge")
    slope = np.sqrt(((padded[2:, 1:-1] - padded[:-2, 1:-1]) ** 2 + (padded[1:-1, 2:] - padded[1:-1, :-2]) ** 2).sum(-1))
    limit = 2 + 2 * np.percentile(slope[border > 0], 25)  # noise makes slopes; a quarter of the border is quiet
    count, label = cv2.connectedComponents((slope < limit).astype(np.uint8), connectivity=4)
    held = np.bincount(label.ravel(), border.ravel(), count)
    held[0] = 0
    best = [piece for piece in np.argsort(-held, kind="stable")[:3] if held[piece] > 0]
    return [label == piece for piece in best] or [border > 0]


def _grow(
    luv: Floats, basis: Floats, inside: NDArray[np.bool_], growth: tuple[float, ...]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Fit a surface to ``inside`` and grow it: fit, take what lies near, refit; luv (3, M, N), basis (6, M, N)."""
    seed = inside
    luv, basis = luv.reshape(3, -1), basis.reshape(6, -1)
    coefficients = _fit(luv, basis, inside, growth[0], None)
    for reach in growth:
        coefficients = _fit(luv, basis, inside, reach, coefficients)
        near = (_distance(luv, basis, coefficients) < reach).reshape(seed.shape)
        count, label = cv2.connectedComponents(near.view(np.uint8), connectivity=8)
        kept = np.zeros(count, bool)
        for edge in (label[0], label[-1], label[:, 0], label[:, -1], label[seed]):
            kept[edge] = True
        kept[0] = False
        if not kept.any():  # noise lies farther off than the reach: the last surface is all there is
            break
        if np.array_equal(inside, kept[label]) and reach == growth[-1]:
            break
        inside = kept[label]
    return coefficients, inside


def _fit(luv: Floats, basis: Floats, inside: NDArray[np.bool_], reach: float, start: Floats | None) -> Floats:
    """Return the coefficients of the biweight fit to the pixels ``inside``, (3, 6), going on from ``start``.

    At most some 1000 of them are looked at; luv (3, n), basis (6, n).
    """
    at = np.flatnonzero(inside)
    target, design = (each.take(at[:: max(1, len(at) // 1000)], axis=1) for each in (luv, basis))
    # The light's slope and curvature are drawn to 0 where few pixels count: bounded extrapolation.
    ridge = np.diag([0, 1, 1, 4, 4, 4]) * 2e-3 + 1e-9 * np.eye(6)
    coefficients = start
    for _ in range(3 if start is None else 2):
        weight = np.ones(design.shape[1])
        if coefficients is not None:
            distance = _distance(target, design, coefficients)
            weight = np.maximum(1 - (distance / max(reach, 1.5 * _median(distance))) ** 2, 0) ** 2
        weighted = design * (weight / max(weight.sum(), 1e-9))
        coefficients = np.linalg.solve(weighted @ design.T + ridge, weighted @ target.T).T
    assert coefficients is not None
    return coefficients


def _distance(luv: Floats, basis: Floats, coefficients: Floats) -> Floats:
    """Return how far each pixel lies off the surface, dE*uv, (n,)."""
    off = luv - coefficients @ basis
    off *= off
    distance: Floats = np.sqrt(off[0] + off[1] + off[2])
    return distance


def _median(values: Floats) -> float:
    """Return the larger middle value; ``np.median`` takes five times as long for a thousand."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2]) if len(values) else 0.0


def _noise(single: Floats, basis: Floats, coefficients: Floats) -> float:
    """Return the root mean square distance (dE*uv) of single backdrop pixels, (n, 3), from the surface."""
    off = single - basis @ coefficients.T
    distance = np.sqrt(dot(off, off))
    return 1.13 * float(np.median(distance)) if distance.size else 0.0  # chi with 3 degrees: rms / median


def _line_between(image: Floats, border: Floats, first: _Surface, second: _Surface) -> Line | None:
    """Return the straight line between two surfaces, or None if they are not two parts of one backdrop.

    They are if the second one shows at the border too, and hardly any pixel of either lies beyond the line on which
    they meet: a box that stands in the picture has backdrop on both its sides. Where the two explain the whole
    picture, one of them is the subject.
    """
    if border[second.inside].sum() < SECOND * border.sum() or (first.inside | second.inside).mean() > NOTHING_LEFT:
        return None
    if second.noise > first.noise + ROUGHER:
        return None
    small = _thumbnail(image, LINE)
    luv = luv_of_picture(small)
    basis = terms(luv.shape).astype(np.float32)
    start, end = (basis @ each.coefficients.T.astype(np.float32) for each in (first, second))
    step = end - start
    length = dot(step, step)
    share = dot(luv - start, step) / np.maximum(length, 1e-3)
    off = luv - start - np.clip(share, 0, 1)[..., None] * step
    limit = max(3.0, 3 * max(first.noise, second.noise))
    if float(np.median(length)) < (2 * limit) ** 2:
        return None
    line = _meet(_opened(np.sqrt(dot(off, off)) < limit), np.clip(share, 0, 1))
    if line is None:
        return None
    beyond = line.beyond(first.inside.shape) > 0.5
    one, other = _opened(first.inside), _opened(second.inside)
    wrong = np.count_nonzero(one & beyond) + np.count_nonzero(other & ~beyond)
    return line if wrong <= STRAIGHT * (np.count_nonzero(one) + np.count_nonzero(other)) else None


def _opened(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return ``where`` without what is narrower than 3 px: mixtures along hair have any color between."""
    opened: NDArray[np.bool_] = cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return opened


def _meet(explained: NDArray[np.bool_], share: Floats) -> Line | None:
    """Return the line on which two surfaces meet, from how much of the second one the ``explained`` pixels show.

    A plane is fitted to ``share`` over narrower and narrower bands around where it is one half; None if the
    surfaces do not meet along ``CONTACT``.
    """
    r, c = _coordinates(share.shape)
    place = np.stack(np.broadcast_arrays(r[:, None], c), -1)[explained]
    target, pixel = share[explained], 2 / max(share.shape)
    distance, normal, offset = np.zeros(len(place)), np.zeros(2), 0.0
    for band in (4.0, 1.0, 0.5, 0.25, 0.12, 0.12):
        near = np.abs(distance) < band
        if not near.any() or np.ptp(target[near]) < 0.9:  # one surface alone
            return None
        design = np.column_stack([place[near], np.ones(near.sum())])
        plane = np.linalg.lstsq(design.T @ design, design.T @ target[near], rcond=None)[0]
        slope = float(np.hypot(*plane[:2]))
        if slope < 1e-6:
            return None
        normal, offset = plane[:2] / slope, (0.5 - plane[2]) / slope
        distance = place @ normal - offset
    bins = np.arange(-0.12, 0.12 + pixel, pixel)
    count, total = (np.histogram(distance, bins, weights=weight)[0] for weight in (None, target))
    if count[np.abs(bins[:-1] + pixel / 2) < 2 * pixel].sum() < 4 * CONTACT * max(share.shape) or not count.all():
        return None
    profile, middle = np.maximum.accumulate(total / count), bins[:-1] + pixel / 2
    if profile[0] > 0.1 or profile[-1] < 0.9:
        return None
    low, half, high = np.interp([0.15, 0.5, 0.85], profile, middle)
    return Line((float(normal[0]), float(normal[1])), float(offset + half), float(max((high - low) / 0.7, pixel / 2)))
