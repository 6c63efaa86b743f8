"""Frame the finished picture: crop to the subject, margins, aspect, exact size, one ground line for a series.

All sizes are shares of the frame or of the picture, so that every shot of a series, cut by itself, comes out alike:
every subject takes the same share of the frame, or every picture gets the same scale, and all stand on the same line.
The subject is what is more than half opaque, without specks. The
picture is cut first and scaled once, color multiplied by alpha meanwhile (Porter and Duff 1984), so that no color
of clear pixels gets in. Beyond the old picture's edge comes the fill color, or nothing. Cost: one resampling.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np

from bgkit.color import parse_color
from bgkit.errors import LayerError
from bgkit.layers import Array
from bgkit.params import Color, Range
from bgkit.pieces import find_pieces
from bgkit.resizing import reduced
from bgkit.stage import note, stage

FAINT = 0.02  # opacity that is still seen
SPECK = 0.01  # of the largest piece; what is smaller does not count as subject
MOST = 1 << 27  # pixels of a frame whose size is not given


class _Box(NamedTuple):
    top: float
    left: float
    bottom: float
    right: float

    @property
    def rows(self) -> float:
        return self.bottom - self.top

    @property
    def cols(self) -> float:
        return self.right - self.left


@stage(gives="result")
def frame(
    result: Array,
    alpha: Array,
    *,
    fill: Annotated[float, Range(0.05, 1, "of the frame", ui=(0.5, 0.95))] = 0.85,
    fit: Literal["both", "height", "width", "picture"] = "both",
    reach: Annotated[float, Range(0.01, 4, "of the picture's longer side", ui=(0.3, 1.2))] = 1.0,
    aspect: Annotated[float, Range(0.1, 10, "width / height", ui=(0.5, 2))] = 1.0,
    align: Literal["center", "ground"] = "center",
    ground: Annotated[float, Range(0.05, 1, "of the frame's height, from the top")] = 0.92,
    size: Annotated[int, Range(0, 16000, "px", ui=(0, 4000))] = 0,
    enlarge: bool = False,
    color: Annotated[str, Color()] = "white",
) -> Array:
    """Crop to the subject and set it into a frame of given shape and size.

    Parameters
    ----------
    result : ndarray of shape (M, N, 3) or (M, N, 4), float32, 0..1
        The finished picture.
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity of the subject, of the same size.
    fill : float
        How much of the frame the subject takes; larger leaves thinner margins.
    fit : {"both", "height", "width", "picture"}
        What sets the scale. With ``both``, ``fill`` is the share of the side that the subject fills more; with
        ``height`` or ``width``, of that side. With ``height`` all subjects of a series get the same height, and a wide
        one may be cut at the sides. With ``picture`` the scale follows the picture and not the subject: shots of one
        camera get one scale, and what is larger is larger in the frame; ``bgkit align`` finds the ``reach`` for a
        series.
    reach : float
        With ``fit: picture``, how much of the picture's longer side the frame's longer side takes in; larger shows
        everything smaller.
    aspect : float
        Of the frame; larger is wider.
    align : {"center", "ground"}
        Center the subject, or stand its lowest point on the line ``ground`` and center it sideways.
    ground : float
        Where that line is; larger is lower. A subject too tall for it stands lower, so that it is whole.
    size : int
        Of the frame's longer side, exactly; larger gives more pixels. 0 keeps the picture's own scale.
    enlarge : bool
        Whether the picture may be blown up to reach ``size``. If not, a picture that is too small for it keeps its
        scale, and the margins around the subject become wider than ``fill`` says.
    color : str
        Color of the frame beyond the old picture's edge. A result with alpha is transparent there.

    Returns
    -------
    ndarray of shape (P, Q, 3) or (P, Q, 4), float32, 0..1
        sRGB-encoded. A picture without a subject is set into the frame whole.

    Raises
    ------
    LayerError
        If result and alpha differ in size: the picture has been framed already.

    Notes
    -----
    Facts, which ``checks`` of the pipeline file can hold against a shop's rules: ``filled`` (share of the frame),
    ``pixels`` (longer side), ``scale``, ``enlarged``, ``pure`` (share of the frame's rim, 1 % wide, that is pure white
    or clear), ``outside`` (share of the subject's box that lies beyond the frame), ``whole`` (nothing does, and the
    subject does not touch the old picture's edge), and where in the frame the subject's box lies, in shares of its
    sides: ``top``, ``bottom``, ``left``, ``right``.

    Examples
    --------
    >>> alpha = np.zeros((9, 9))
    >>> alpha[2:4, 6:8] = 1
    >>> frame(1 - alpha[:, :, None] * [0, 0, 1.0], alpha, fill=0.5)[..., 2]
    array([[1., 1., 1., 1.],
           [1., 0., 0., 1.],
           [1., 0., 0., 1.],
           [1., 1., 1., 1.]], dtype=float32)
    """
    if result.shape[:2] != alpha.shape:
        raise LayerError(
            f"frame: expected a result of the picture's size {alpha.shape}, got {result.shape[:2]}; frame only once"
        )
    found = _subject(alpha)
    subject = found or _Box(0, 0, *alpha.shape)
    if fit == "picture":
        side = reach * max(alpha.shape)
        rows, cols = side / max(aspect, 1.0), side * min(aspect, 1.0)
    else:
        rows, cols = _fitting(subject, fill if found else 1.0, fit, aspect)
    longer = max(rows, cols)
    if size > longer and not enlarge:
        rows, cols = rows * size / longer, cols * size / longer
    window = _window(subject, rows, cols, (align, ground))
    rows, cols, scale = _output_size(window, size, most=max(MOST, alpha.size))
    clear = result.shape[2] == 4
    canvas = np.empty((rows, cols, result.shape[2]), np.float32)
    canvas[0] = 0 if clear else parse_color(color) or 1
    canvas[1:] = canvas[0]  # row by row: in a tenth of the time
    _place(result, window, canvas)
    outside = _outside(subject, window)
    touches = subject.top == 0 or subject.left == 0 or (subject.bottom, subject.right) == alpha.shape
    touches = touches or subject.bottom == alpha.shape[0] or subject.right == alpha.shape[1]
    note(
        found=found is not None,
        filled=max(subject.rows / window.rows, subject.cols / window.cols),
        pixels=max(rows, cols),
        scale=scale,
        enlarged=scale > 1,
        pure=_pure_rim(canvas, clear=clear),
        outside=outside,
        whole=outside == 0 and not touches,
        top=(subject.top - window.top) / window.rows,
        bottom=(subject.bottom - window.top) / window.rows,
        left=(subject.left - window.left) / window.cols,
        right=(subject.right - window.left) / window.cols,
    )
    return canvas


@stage(gives="result")
def place(
    result: Array,
    alpha: Array,
    *,
    crop: bool = False,
    margin: Annotated[tuple[float, float, float, float], Range(0, 1, "of the subject's sides")] = (0.0, 0.0, 0.0, 0.0),
    border: Annotated[tuple[float, float, float, float], Range(0, 1, "of the picture's sides")] = (0.0, 0.0, 0.0, 0.0),
    scale: Annotated[float, Range(0, 1, "of the picture", ui=(0.1, 1))] = 0.0,
    position: Literal["original", "given"] = "original",
    row: Annotated[float, Range(0, 1, "of the free height, from the top")] = 0.5,
    col: Annotated[float, Range(0, 1, "of the free width, from the left")] = 0.5,
    color: Annotated[str, Color()] = "white",
) -> Array:
    """Crop to the subject's bounding box, or scale and move the subject in a picture of the same size.

    The box holds all that is visible of the subject, so that soft hair is not cut. ``frame`` goes by the opaque
    part, so that the scale of a series does not depend on single hairs.

    Parameters
    ----------
    result : ndarray of shape (M, N, 3) or (M, N, 4), float32, 0..1
        The finished picture.
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity of the subject, of the same size.
    crop : bool
        Crop to the subject. ``scale`` and ``position`` then have no effect.
    margin : tuple
        What is left around a cropped subject: above, right, below, left; more shows more of the picture.
    border : tuple
        The same in shares of the picture; both add up.
    scale : float
        Of the subject: its height or width, whichever reaches it first, is this share of the picture's;
        larger fills more of the picture. 0 keeps it.
    position : {"original", "given"}
        Whether the subject stays where its middle was, or goes to ``row`` and ``col``.
    row : float
        How the room above and below the subject is split; larger moves it down.
    col : float
        How the room on both sides is split; larger moves it right.
    color : str
        Color of the canvas beyond the old picture's edge. A result with alpha is transparent there.

    Returns
    -------
    ndarray of shape (P, Q, 3) or (P, Q, 4), float32, 0..1
        sRGB-encoded. A picture without a subject stays as it is.

    Raises
    ------
    LayerError
        If result and alpha differ in size.

    Notes
    -----
    Facts noted: ``found``, and the subject's box in the result: ``top``, ``left``, ``height``, ``width``, px.

    Examples
    --------
    >>> alpha = np.zeros((5, 5))
    >>> alpha[1:3, 3] = 1
    >>> place(1 - alpha[:, :, None] * [0, 0, 1.0], alpha, crop=True, margin=(0.5, 0, 0, 1))[..., 2]
    array([[1., 1.],
           [1., 0.],
           [1., 0.]], dtype=float32)
    """
    if result.shape[:2] != alpha.shape:
        raise LayerError(f"place: expected a result of the picture's size {alpha.shape}, got {result.shape[:2]}")
    subject = _subject(alpha, FAINT)
    if subject is None:
        note(found=False)
        return result.copy()
    if crop:
        spare = [
            share * side + part * length
            for share, side, part, length in zip(
                margin, (subject.rows, subject.cols) * 2, border, alpha.shape * 2, strict=True
            )
        ]
        window = _Box(
            round(subject.top - spare[0]),
            round(subject.left - spare[3]),
            round(subject.bottom + spare[2]),
            round(subject.right + spare[1]),
        )
        factor, shape = 1.0, (int(window.rows), int(window.cols))
    else:
        shape = alpha.shape
        factor = min(scale * shape[0] / subject.rows, scale * shape[1] / subject.cols) if scale else 1.0
        rows, cols = shape[0] / factor, shape[1] / factor
        if position == "given":
            top = subject.top - row * (rows - subject.rows)
            left = subject.left - col * (cols - subject.cols)
        else:  # the middle of the subject keeps its place
            top = (subject.top + subject.bottom) / 2 * (1 - 1 / factor)
            left = (subject.left + subject.right) / 2 * (1 - 1 / factor)
        window = _Box(top, left, top + rows, left + cols)
    canvas = np.empty((*shape, result.shape[2]), np.float32)
    canvas[0] = 0 if result.shape[2] == 4 else parse_color(color) or 1
    canvas[1:] = canvas[0]
    _place(result, window, canvas)
    note(
        found=True,
        top=round((subject.top - window.top) * factor),
        left=round((subject.left - window.left) * factor),
        height=round(subject.rows * factor),
        width=round(subject.cols * factor),
    )
    return canvas


@stage(gives="alpha")
def region(
    alpha: Array,
    *,
    top: Annotated[float, Range(0, 1, "of the height")] = 0.0,
    left: Annotated[float, Range(0, 1, "of the width")] = 0.0,
    bottom: Annotated[float, Range(0, 1, "of the height")] = 1.0,
    right: Annotated[float, Range(0, 1, "of the width")] = 1.0,
) -> Array:
    """Keep only the part of the subject that lies in a rectangle.

    Parameters
    ----------
    alpha : ndarray of shape (M, N), float32, 0..1
        Opacity of the subject.
    top : float
        The rectangle's upper edge; larger keeps less. Pixels that lie more than half inside are kept.
    left : float
        Its left edge; larger keeps less.
    bottom : float
        Its lower edge; larger keeps more.
    right : float
        Its right edge; larger keeps more.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        0 outside.

    Examples
    --------
    >>> region([[1.0, 1.0, 1.0, 1.0]], left=0.25, right=0.5)
    array([[0., 1., 0., 0.]], dtype=float32)
    """
    rows, cols = alpha.shape
    kept = np.s_[round(top * rows) : round(bottom * rows), round(left * cols) : round(right * cols)]
    inside = np.zeros_like(alpha)
    inside[kept] = alpha[kept]
    return inside


def _subject(alpha: Array, level: float = 0.5) -> _Box | None:
    """Return the box around the pieces whose opacity is above ``level``, but for specks."""
    seen = alpha > level
    rows, cols = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    above, beside = rows[0], cols[0]  # pieces are looked for in the box around them all
    part = seen[above : rows[-1] + 1, beside : cols[-1] + 1]
    pieces = np.array(find_pieces(np.ascontiguousarray(part), connectivity=8)[1:])[:, 1:]
    left, top, width, height, _ = pieces[:, pieces[-1] >= SPECK * pieces[-1].max()]
    left, top = left + beside, top + above
    bottom, right = top + height, left + width
    return _Box(int(top.min()), int(left.min()), int(bottom.max()), int(right.max()))


def _fitting(subject: _Box, fill: float, fit: str, aspect: float) -> tuple[float, float]:
    """Return rows and columns of the frame in which the subject takes its share."""
    by_height, by_width = subject.rows / fill, subject.cols / fill / aspect
    rows = {"both": max(by_height, by_width), "height": by_height, "width": by_width}[fit]
    return rows, rows * aspect


def _window(subject: _Box, rows: float, cols: float, stand: tuple[str, float]) -> _Box:
    """Return the frame in the picture's coordinates; it may reach beyond the picture."""
    left = (subject.left + subject.right - cols) / 2
    align, line = stand
    top = (subject.top + subject.bottom - rows) / 2
    if align == "ground":
        top = subject.bottom - max(line, min(subject.rows / rows, 1.0)) * rows
    return _Box(top, left, top + rows, left + cols)


def _outside(subject: _Box, window: _Box) -> float:
    """Return the share of the subject's box that lies more than half a pixel beyond the frame."""
    rows = min(subject.bottom, window.bottom + 0.5) - max(subject.top, window.top - 0.5)
    cols = min(subject.right, window.right + 0.5) - max(subject.left, window.left - 0.5)
    return max(0.0, 1 - max(rows, 0) * max(cols, 0) / (subject.rows * subject.cols))


def _output_size(window: _Box, size: int, most: int) -> tuple[int, int, float]:
    """Return rows and columns of the frame, and its scale against the picture."""
    longer = max(window.rows, window.cols)
    scale = size / longer if size else min(1.0, (most / (window.rows * window.cols)) ** 0.5)
    rows, cols = max(1, round(window.rows * scale)), max(1, round(window.cols * scale))
    return rows, cols, scale


def _place(result: Array, window: _Box, canvas: Array) -> None:
    """Scale the part of ``result`` that lies in the window, and put it on the canvas."""
    per_row, per_col = canvas.shape[0] / window.rows, canvas.shape[1] / window.cols
    spans = []
    for low, length, scale, full in (
        (window.top, result.shape[0], per_row, canvas.shape[0]),
        (window.left, result.shape[1], per_col, canvas.shape[1]),
    ):
        first = min(max(0, math.floor(low + 1e-6)), length - 1)
        last = max(min(length, math.ceil(low + full / scale - 1e-6)), first + 1)
        start = round((first - low) * scale)
        spans.append((first, last, start, max(round((last - low) * scale), start + 1)))
    (top, bottom, row, row_end), (left, right, col, col_end) = spans
    part = result[top:bottom, left:right]
    if part.shape[2] == 4:
        part = np.concatenate([part[:, :, :3] * part[:, :, 3:], part[:, :, 3:]], axis=2)
    size = (col_end - col, row_end - row)
    smaller = size[0] < part.shape[1] or size[1] < part.shape[0]
    if size != part.shape[1::-1]:
        part = reduced(part, size[::-1]) if smaller else cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    part = np.clip(part, 0, 1, out=None if part.base is not None else part)  # what was scaled is ours
    if part.shape[2] == 4:
        color = np.divide(part[:, :, :3], part[:, :, 3:], out=np.zeros_like(part[:, :, :3]), where=part[:, :, 3:] > 0)
        part = np.concatenate([np.clip(color, 0, 1), part[:, :, 3:]], axis=2)
    # Whole pixels were taken, so up to one of them hangs over: this keeps the place exact when it is blown up.
    seen = np.s_[max(row, 0) : row_end, max(col, 0) : col_end]
    target = canvas[seen]
    target[:] = part[max(-row, 0) :, max(-col, 0) :][: target.shape[0], : target.shape[1]]


def _pure_rim(canvas: Array, *, clear: bool) -> float:
    """Return the share of the rim that is pure white (or clear, where the result has alpha) once written in 8 bit."""
    wide = max(1, round(0.01 * max(canvas.shape[:2])))
    inner, strips = canvas[wide:-wide], [canvas[:wide], canvas[wide:][-wide:]]  # the corners once
    strips += [inner[:, :wide], inner[:, wide:][:, -wide:]]
    pure = [part[:, :, 3] < 0.5 / 255 if clear else part.min(axis=2) >= 254.5 / 255 for part in strips]
    return sum(map(np.count_nonzero, pure)) / sum(part.size for part in pure)
