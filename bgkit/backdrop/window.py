"""The window in which a subject that is small on a plain backdrop is looked at, as if that were the picture.

What the steps of a chain know of a backdrop (its surface and noise, how far shadows reach, the copy they work on) would
come from the whole canvas otherwise, and a network would see little of the subject.

Uneven light and soft shadows differ from the backdrop too, up to the canvas' edge, and are no part of a subject: they
have its hue, and no edges. On the copy of a large canvas a shadow looks as sharp as an edge, so what the window shows
is looked at again, closer, until it stays.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.backdrop.outlined import outlined
from bgkit.backdrop.surface import ALL_AROUND, RESTLESS, estimate_backdrop
from bgkit.color import dot, luv_of_picture
from bgkit.deblocking import SIDE
from bgkit.extent import subject_box
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced

__all__ = ["subject_window"]

Floats = NDArray[Any]
Bools = NDArray[np.bool_]
Window = tuple[slice, slice]

LONG = 1000  # px, long side of the copy on which the subject is looked for
DIFFERENT = 3.0  # dE*uv from the backdrop: less than any key's tolerance, noise apart
LIGHT = 0.15  # of the backdrop's color, by which light changes softly: the keys' ``shadow``
EDGE = 0.7  # dE*uv a pixel of that copy, from which on a change of light is an edge: a step of DIFFERENT has 1.0
FAINT = 1.6, 0.5  # dE*uv across a hard contour, and of what is deep: as in the keys (``contour``)
SPECK = 1e-4  # of the box around the large pieces: what is smaller, chains take for dirt too (remove_small)
MARGIN = 0.15  # of the box's longer side: backdrop that the window shows around its subject
SMALL = 0.5  # of the picture, that the window covers at most; those of our studio shots cover 0.58 and more
SIDES = 0.1  # of each side of the window, on which it shows the backdrop, if the frame cuts much of the subject
LEAST = 64  # px, shorter side of a window that shows enough backdrop to fit one
LOOKS, CLOSER = 3, 0.9  # closer ones at most, and of the last one's window that the next one covers at most


def subject_window(image: Floats, plate: Floats | None = None) -> Window | None:
    """Return the rows and columns of a window around all that differs from a plain backdrop by more than its light.

    Parameters
    ----------
    image : float32 array of shape (M, N, 3)
        sRGB, 0..1.
    plate : float32 array of shape (M, N, 3), optional
        The same scene without its subject, which tells even fainter things where it is an exact copy.

    Returns
    -------
    tuple of slice or None
        The box around all pieces but specks, with 15 % of its longer side on each side, in whole blocks of 8 px. None
        where that is more than half of the picture, the backdrop is not plain, or there is no subject, and where more
        of it, so faint that only its hard contour shows, is beyond the window: a white shirt around a dark tie.
    """
    if min(image.shape[:2]) < LEAST or estimate_backdrop(image).noise > RESTLESS:
        return None
    small, different, things = _different(image)
    window = _around(things, image.shape)
    if window is None or _area(window) > SMALL * math.prod(image.shape[:2]):
        return None
    faint = _faint(image, plate, small, different)
    for _ in range(LOOKS):
        part = np.ascontiguousarray(image[window])
        closer = _around(_different(part)[2], part.shape)
        if closer is None or _area(closer) > CLOSER * _area(window):
            break
        rows, cols = (slice(o.start + i.start, o.start + i.stop) for o, i in zip(window, closer, strict=True))
        window = rows, cols
    return None if _is_beyond(faint, window, image.shape) else window


def _area(window: Window) -> int:
    return math.prod(side.stop - side.start for side in window)


def _around(things: Bools, shape: tuple[int, ...]) -> Window | None:
    """Return the window around things on a plain backdrop, px of a picture of ``shape``."""
    box = _box(things, shape)
    if box is None:
        return None
    margin = MARGIN * max(side.stop - side.start for side in box)
    rows, cols = (
        slice(
            max(0, math.floor((side.start - margin) / SIDE) * SIDE),
            min(length, math.ceil((side.stop + margin) / SIDE) * SIDE),
        )
        for side, length in zip(box, shape[:2], strict=True)
    )
    size = rows.stop - rows.start, cols.stop - cols.start
    return (rows, cols) if min(size) >= LEAST and _is_plain(things, np.divide(size, shape[:2])) else None


def _is_plain(things: Bools, window: Floats) -> bool:
    """Return whether the backdrop shows nearly all around things, or on each side of their window, of such shares.

    A plant that the frame cuts above and below does not fill the sides of its window, as a floor does.
    """
    lying, standing = (np.stack([each[0], each[-1]], 1) for each in (things, things.T))
    filled = *(lying.mean(0) / window[1]), *(standing.mean(0) / window[0])
    return bool(np.concatenate([lying, standing]).mean() <= 1 - ALL_AROUND or max(filled) <= 1 - SIDES)


def _different(image: Floats) -> tuple[Floats, Bools, Bools]:
    """Return a copy of at most 1000 px, where it differs from the backdrop, and where by more than soft light."""
    backdrop, (rows, cols) = estimate_backdrop(image), image.shape[:2]
    scale = min(1.0, LONG / max(rows, cols))
    size = max(1, round(rows * scale)), max(1, round(cols * scale))
    small = reduced(image, size) if scale < 1 else image
    behind = backdrop.luv(size).astype(np.float32)
    off = luv_of_picture(cv2.blur(small, (3, 3))) - behind
    least, square = DIFFERENT**2 + backdrop.noise**2, np.maximum(dot(behind, behind), 1)
    different = dot(off, off) > least
    share = dot(off, behind) / square
    off -= share[..., None] * behind  # the tint that is left
    light = share * np.sqrt(square)
    across, down = (cv2.Sobel(light, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    edges = (np.hypot(across, down) > EDGE).view(np.uint8)
    sharp = cv2.dilate(edges, np.ones((5, 5), np.uint8)) > 0
    return small, different, different & (sharp | (dot(off, off) > least) | (np.abs(share) > LIGHT))


def _faint(image: Floats, plate: Floats | None, small: Floats, different: Bools) -> Bools:
    """Return, on a copy, the things so faint that only their hard contour shows."""
    found = different.astype(np.float32)
    faint = outlined(small, estimate_backdrop(image).plate(small.shape), found, *FAINT)
    if plate is not None:
        faint |= outlined(small, reduced(plate, small.shape[:2]), found, *FAINT, fitted=False)
    return faint


def _is_beyond(faint: Bools, window: Window, shape: tuple[int, ...]) -> bool:
    """Return whether some of what is marked on a copy of a picture of ``shape`` is outside a window in it."""
    within = np.zeros_like(faint)
    rows, cols = (
        slice(int(side.start * part / whole), math.ceil(side.stop * part / whole))
        for side, part, whole in zip(window, faint.shape, shape[:2], strict=True)
    )
    within[rows, cols] = True
    return bool((faint & ~within).any())


def _box(different: Bools, shape: tuple[int, ...]) -> Window | None:
    """Return the box around all pieces but specks, px of a picture of ``shape``, of which ``different`` is a copy."""
    if not different.any():
        return None
    pieces = find_pieces(different, connectivity=8)
    kept = (pieces.area >= SPECK * math.prod(subject_box(different)))[pieces.label] & different
    if not kept.any():  # specks all over, as of noise
        return None
    spans = (np.flatnonzero(kept.any(axis)) for axis in (1, 0))
    top, left = (
        slice(int(span[0] * whole / part), math.ceil((span[-1] + 1) * whole / part))
        for span, whole, part in zip(spans, shape[:2], different.shape, strict=True)
    )
    return top, left
