"""Borders of a color key that are no edges of the picture, and gaps of a picture that a network fills.

A key judges pixel by pixel. On a white mug before white it keeps the deep shadow at the foot, and takes for backdrop
the stripe of the body that happens to be as bright. A thing ends at edges, and neither has one. A network errs by a few
pixels everywhere, and not by a shadow or a stripe. So pieces on which the two disagree, and which have no edge where
the key ends, are given to the network. All is seen on a copy of 500 px diagonal.

And a network draws one outline around leaves and what shows between them. Where a piece that it fills shows the
backdrop's own color, and ends at edges as sharp as a thing's, it is a gap. That is seen on a copy of 1000 px.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop import Backdrop, estimate_backdrop
from bgkit.backdrop.outlined import steepness
from bgkit.color import dot, luv_of_picture
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced

__all__ = ["at_edges", "shadowed", "with_gaps"]

Floats = NDArray[Any]
Bools = NDArray[np.bool_]

DIAGONAL = 500  # px, of the copy
SURE = 0.9  # of a mask, and 1 - SURE of its other end
KEPT, MISSED = 0.3, 0.7  # of the key: more, less may be wrongly kept, missed
PIECE = 0.0005  # of the picture, the smallest
RIM = 10  # px to its middle: more is no rim, where a network's outline may lie wide of the subject
OPEN = 1 / 3, 2 / 3  # of the border of what may be filled, next to background: of a rim, and of more
HUE, DIM = 2.5, 0.47  # dE*uv from the backdrop in any light, of which a shadow leaves so much
DIMMEST = 0.3  # of the light, what one with an edge leaves at least
EVEN, BESIDE = 0.06, 0.2  # of the light, how even it is in a cast shadow; of its border, how much of it is backdrop
SOFT, FADES = 1.3, 1.5  # dE*uv per px; times as much with a blur of 1 px as of 3, where an edge has three times
BLURRED = 8, 6  # px over which a shadow's step, and one within a subject is spread at least: a faint one is never steep
FAINT = 2.5  # dE*uv: the edges of what differs by less drown in noise, and the key has looked at its contour closely
DEEP = 16  # dE*uv from the backdrop: what differs by less and has an edge is a pale thing rather than a shadow
SHADING, HALF = 0.85, 0.5  # dE*uv per px: less is no edge of any step; of a border that has edges, so much at least
GAPS = 1000  # px, diagonal of the copy on which gaps are seen
BRIGHT = 0.6, 1.04  # of the backdrop's light, at least and at most, a gap shows
SMALL = 12  # px of a gap at least, for two colors of a thing mix where they meet
OWN, SHARP = 0.3, 5.0  # of a gap, in the backdrop's color although leaves blur into it; dE*uv per px of its edge
PREVAIL = 0.6  # of all that a network fills: if more is gaps, so are the small pieces, in which leaves hide the color
MOST = 0.9  # of the pixels of a border, or of a shadow
SQUARE = np.ones((3, 3), np.uint8)


def at_edges(image: Floats, key: Floats, network: Floats, backdrop: Backdrop | None = None) -> Floats:
    """Return the key, corrected by the network where the key's border is no edge of the picture.

    A piece goes if the network sees nothing of it, it has the backdrop's color in other light, and nine tenths of its
    border to the backdrop are gradual. A piece is filled if the network is sure of it, most of its border lies within
    the subject, or a third if it is more than a rim, and nine tenths of its border to what the key keeps are soft: gaps
    in plants and hair have edges, and out of focus a network's outline lies wide of the subject. A label beside what is
    missing has edges, too: of more than a rim it is enough that half of that border is shading without doubt.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    key, network : float32 array of shape (M, N)
        The masks of a color key and of a network, 0..1.
    backdrop : Backdrop, optional
        Of the picture, where it is known already.

    Notes
    -----
    In hard light a shadow has an edge, as a gray thing has. What may be either stays, and :func:`shadowed` tells it.
    """
    size = _size(key.shape, DIAGONAL)
    kept, known = (reduced(each, size) for each in (key, network))
    denied, missed = (kept > KEPT) & (known < 1 - SURE), (kept < MISSED) & (known > SURE)
    pieces = [list(_large(each)) for each in (denied, missed)]
    if not any(pieces):
        return key
    seen = _look(image, kept, known, backdrop)
    shades = [seen.is_shade(each) for each in pieces[0]]
    gone = [each for each, shade in zip(pieces[0], shades, strict=True) if shade]
    if gone:  # what was kept of a shadow is no border of what is missing
        kept = np.where(_grown(np.any(gone, 0), 2), np.minimum(kept, known), kept)
        seen = seen._replace(kept=kept, firm=_firm(kept))
    filled = [each for each in pieces[1] if seen.is_subject(each)]
    if gone:
        left = _beside(gone, key.shape)
        key = np.minimum(key, np.maximum(left, network, out=left), out=left)
    if filled:
        added = _enlarged(filled, key.shape)
        key = np.maximum(key, np.minimum(added, network, out=added), out=added)
    return key


def shadowed(image: Floats, mask: Floats, network: Floats, backdrop: Backdrop | None = None) -> float:
    """Return which share of a mask may be a deep shadow with an edge, 0..1.

    It is backdrop in less light that the network denies, or that is evenly dark and lies beside the backdrop, whatever
    the network says. A gray thing may be either, too.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    mask, network : float32 array of shape (M, N)
        The mask, of which a color key is a part, and that of a network, 0..1.
    backdrop : Backdrop, optional
        Of the picture, where it is known already.
    """
    size = _size(mask.shape, DIAGONAL)
    kept, known = (reduced(each, size) for each in (mask, network))
    seen = _look(image, kept, known, backdrop)
    denied = [each for each in _large((kept > KEPT) & (known < 1 - SURE)) if seen.is_deep(each)]
    even = [each for each in _large((kept > SURE) & seen.dark & (seen.differs > DEEP)) if seen.is_even(each)]
    either = np.any([*denied, *even], 0)
    return float(either.sum() / max(1, np.count_nonzero(kept > KEPT)))


def with_gaps(
    image: Floats, key: Floats, network: Floats, backdrop: Backdrop | None = None, *, prevailing: bool = False
) -> Floats:
    """Return the network's mask, with the key's gaps where the picture shows that they are gaps.

    Of what the network fills, a piece is a gap if half of its border is as steep as a thing's edge, and three tenths of
    it have the backdrop's color, in its light or less. A white stripe before white has another hue, and the border of
    a white body that the key has lost is faint. Where most of what the network fills are gaps, it sees none; then
    each piece with such a border is one.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    key, network : float32 array of shape (M, N)
        The masks of a color key and of a network, 0..1.
    backdrop : Backdrop, optional
        Of the picture, where it is known already.
    prevailing : bool
        Whether to open gaps only where most of what the network fills are gaps: beside an empty plate, where white
        papers behind a mesh would be lost otherwise.
    """
    size = _size(key.shape, GAPS)
    kept, known = (reduced(each, size) for each in (key, network))
    pieces = find_pieces((kept < 0.5) & (known > 0.5), connectivity=4)
    count = len(pieces.area)
    if count == 1:
        return network
    color, ground = _colors(image, size, backdrop)
    light, off = _light(color, ground)
    own = (light > BRIGHT[0]) & (light < BRIGHT[1]) & (off < HUE**2)
    steep = steepness(cv2.GaussianBlur(color, (0, 0), 1)) > SHARP
    beside = cv2.dilate(pieces.label.astype(np.float32), SQUARE, iterations=2).astype(np.int32) * (pieces.label == 0)
    edged = _shares(steep, beside, count) > 0.5
    edged[0] = False
    gap = edged & (_shares(own, pieces.label, count) > OWN) & (pieces.area >= SMALL)
    most = pieces.area[gap].sum() > PREVAIL * pieces.area[1:].sum()
    if (prevailing and not most) or not gap.any():
        return network
    gap = edged if most else gap
    left = _beside([gap[pieces.label]], key.shape)
    return np.minimum(network, np.maximum(left, key, out=left), out=left)


class _Seen(NamedTuple):
    """What the copy shows, each of shape (M, N)."""

    kept: Floats  # by the key, 0..1
    differs: Floats  # from the backdrop, dE*uv
    light: Floats  # 1 as on the backdrop
    shade: Bools  # has the backdrop's color in other light
    dark: Bools  # has it in any light that a shadow with an edge leaves
    steep: Floats  # dE*uv per px, with a blur of 1 px
    wide: Floats  # with one of 3 px
    near: Bools  # to what the network is sure of: its colors run into a shadow there, most of all in a JPEG
    backdrop: Bools  # of the key, or near it, and not near what the network is sure of
    outside: Bools  # of the network, or near it
    firm: Bools  # what the key is sure of, wider than a few pixels, or near it

    def is_shade(self, piece: Bools) -> bool:
        """Return whether what the network denies is a shadow, or light: of the backdrop's hue, and without an edge."""
        step = np.median(self.differs[piece])
        gradual = self._soft(piece, step, BLURRED[0]) | (self.steep < FADES * self.wide)
        return bool(
            step > FAINT and self._has_hue(piece, self.shade) and _mostly(gradual, _border(piece) & self.backdrop)
        )

    def is_deep(self, piece: Bools) -> bool:
        """Return whether a piece has the backdrop's hue and is as dark as a deep shadow, with an edge or without."""
        return bool(np.median(self.differs[piece]) > DEEP and self._has_hue(piece, self.dark))

    def is_even(self, piece: Bools) -> bool:
        """Return whether a piece is in even light and borders on the backdrop: within a thing there is no shadow."""
        inner = cv2.erode(piece.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool)
        if not inner.any() or (self.kept < MISSED)[_border(piece)].mean() < BESIDE:
            return False
        light = self.light[inner]
        return bool(np.quantile(np.abs(light - np.median(light)), MOST) < EVEN)

    def _has_hue(self, piece: Bools, shade: Bools) -> bool:
        """Return whether a piece has the backdrop's color in other light, beyond what lies near the subject."""
        beyond = piece & ~self.near
        return _mostly(shade, beyond if beyond.any() else piece)

    def is_subject(self, piece: Bools) -> bool:
        """Return whether what the key misses is of the subject: within it, and not parted from it by an edge."""
        border, beside = _border(piece), _grown(piece, 12) & (self.kept > SURE)
        depth = cv2.distanceTransform(np.pad(piece.view(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_5).max()
        wide = bool(depth > RIM)
        if self.kept[piece].mean() > 1 - SURE or self.outside[border].mean() > OPEN[wide] or not beside.any():
            return False
        inner, step = border & self.firm, np.median(self.differs[beside])
        shaded = wide and _mostly(self.steep < SHADING, inner, HALF)
        return shaded or _mostly(self._soft(piece, step, BLURRED[1]), inner)

    def _soft(self, piece: Bools, step: float, blurred: int) -> Bools:
        """Return where there is no edge of such a step, beyond the noise that the piece shows."""
        return np.less(self.steep, min(SOFT, np.median(self.steep[piece]) + step / blurred))


def _colors(image: Floats, size: tuple[int, int], backdrop: Backdrop | None) -> tuple[Floats, Floats]:
    """Return the picture and its backdrop on a copy of a size, CIELUV."""
    behind = (estimate_backdrop(image) if backdrop is None else backdrop).plate(size)
    return luv_of_picture(reduced(image, size)), luv_of_picture(behind)


def _look(image: Floats, kept: Floats, known: Floats, backdrop: Backdrop | None) -> _Seen:
    color, ground = _colors(image, kept.shape, backdrop)
    (light, off), away = _light(color, ground), color - ground
    shade, dark = ((light > least) & (off < HUE**2) for least in (DIM, DIMMEST))
    steep, wide = (steepness(cv2.GaussianBlur(color, (0, 0), blur)) for blur in (1, 3))
    near = _grown(known > SURE, 4)
    free = _grown(kept < 1 - SURE, 4) & ~near
    outside = _grown(known < 1 - SURE, 4)
    return _Seen(kept, np.sqrt(dot(away, away)), light, shade, dark, steep, wide, near, free, outside, _firm(kept))


def _shares(what: Bools, label: NDArray[np.int32], count: int) -> Floats:
    """Return for each of so many labels the share of its pixels for which something holds."""
    held = np.bincount(label.ravel(), what.ravel(), count)
    return np.asarray(held / np.maximum(np.bincount(label.ravel(), minlength=count), 1))


def _light(color: Floats, ground: Floats) -> tuple[Floats, Floats]:
    """Return how bright a picture is beside its backdrop, and the square of what is left then, dE*uv."""
    light = dot(color, ground) / np.maximum(dot(ground, ground), np.float32(1e-6))
    off = color - light[..., None] * ground
    return light, dot(off, off)


def _size(shape: tuple[int, ...], diagonal: int) -> tuple[int, int]:
    """Return rows and columns of a copy of at most so many px diagonal."""
    rows, cols = shape
    factor = max(1.0, float(np.hypot(rows, cols)) / diagonal)
    return max(1, round(rows / factor)), max(1, round(cols / factor))


def _firm(kept: Floats) -> Bools:
    """Return what is near to where the key is sure, over more than a few pixels: no rim of a shadow."""
    sure = cv2.morphologyEx((kept > SURE).view(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return _grown(sure.view(bool), 4)


def _large(where: Bools) -> Iterator[Bools]:
    """Yield the pieces of a mask that are large enough, and wider than two pixels."""
    pieces = find_pieces(cv2.morphologyEx(where.view(np.uint8), cv2.MORPH_OPEN, SQUARE), connectivity=4)
    for number in np.flatnonzero(pieces.area >= PIECE * where.size):
        if number > 0:
            yield pieces.label == number


def _grown(where: Bools, radius: int) -> Bools:
    return cv2.dilate(where.view(np.uint8), SQUARE, iterations=radius).view(bool)


def _border(piece: Bools) -> Bools:
    return _grown(piece, 3) & ~cv2.erode(piece.view(np.uint8), SQUARE).view(bool)


def _mostly(what: Bools, where: Bools, least: float = MOST) -> bool:
    """Return whether something holds for most of a place, if that is anywhere."""
    return bool(where.any() and what[where].mean() > least)


def _enlarged(pieces: Sequence[Bools], shape: tuple[int, ...]) -> Floats:
    """Return the pieces with what is 2 px around them, 0..1, at full size."""
    around = _grown(np.any(pieces, 0), 2).astype(np.float32)
    return cv2.resize(around, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _beside(pieces: Sequence[Bools], shape: tuple[int, ...]) -> Floats:
    """Return all but the pieces and what is 2 px around them, 0..1, at full size."""
    around = _enlarged(pieces, shape)
    return np.subtract(1, around, out=around)
