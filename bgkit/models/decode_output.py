"""From a network's output to a map of the picture's size: activation, classes, stretch, objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ModelError
from bgkit.models.card import Card, Instances
from bgkit.models.encode_input import Placement
from bgkit.models.fitting import classes_of
from bgkit.models.resampling import resample

__all__ = ["read_instances", "read_map", "to_picture"]

Array = NDArray[Any]


def read_map(card: Card, output: Array, path: Path | str) -> Array:
    """Return the map, float32 (h, w), of one picture's output: 0..1 where the card says what makes it so."""
    scores = _planes(card, np.asarray(output), path)
    rule = card.output
    if rule.activation == "labels":
        return np.isin(np.rint(scores[0]), rule.classes).astype(np.float32)
    scores = scores.astype(np.float32, copy=False)
    if not np.isfinite(scores).all():
        raise ModelError(
            f"{card.name}: the network gave NaN or infinity; its input is not what it was trained on, see {path}"
        )
    classes = classes_of(card, len(scores), card.name)
    if rule.activation == "softmax":
        powers = np.exp(scores - scores.max(0))
        foreground = powers[list(classes)].sum(0) / powers.sum(0)
    elif rule.activation == "sigmoid":
        foreground = (0.5 + 0.5 * np.tanh(0.5 * scores[list(classes)])).sum(0)  # the sigmoid, without overflow
    else:
        foreground = scores[list(classes)].sum(0)
    if rule.stretch:
        low, high = float(foreground.min()), float(foreground.max())
        foreground = (foreground - low) / (high - low) if high > low else foreground
    return foreground.astype(np.float32, copy=False)


def _planes(card: Card, output: Array, path: Path | str) -> Array:
    """Return the output as (classes, h, w)."""
    if card.output_layout == "NHWC" and output.ndim == 4:
        output = np.moveaxis(output, 3, 1)
    if output.ndim == 4 and output.shape[0] == 1:
        output = output[0]
    if output.ndim == 2:
        output = output[None]
    if output.ndim != 3 or output.size == 0:
        raise ModelError(
            f"{card.name}: output.name: expected a map (1, classes, rows, columns), got {output.shape} from {path}"
        )
    return output


def to_picture(card: Card, small: Array, placed: Placement, picture: tuple[int, int]) -> Array:
    """Cut the picture's part out of a map and bring it to the picture's size, float32 (M, N)."""
    if (placed.rows, placed.cols) != placed.shape:
        rows, cols = (each / whole for each, whole in zip(small.shape, placed.shape, strict=True))
        top, left = round(placed.top * rows), round(placed.left * cols)
        bottom, right = round((placed.top + placed.rows) * rows), round((placed.left + placed.cols) * cols)
        small = np.ascontiguousarray(small[top : max(bottom, top + 1), left : max(right, left + 1)])
    shrinks = small.shape[0] > picture[0] or small.shape[1] > picture[1]
    full = resample(small, picture, "area" if shrinks else card.output.interpolation)
    if card.output.interpolation == "bicubic":
        full = np.clip(full, 0, 1)
    return np.array(full, np.float32, order="C", copy=full is small or None)


def read_instances(rule: Instances, outputs: list[Array], placed: Placement, picture: tuple[int, int]) -> Array:
    """Return one mask of the objects whose class and score count: at each pixel the largest of theirs.

    Boxes are (left, top, right, bottom) in pixels of the network's input, each mask the object's
    map inside its box, of any size, with values 0..1 (He et al. 2017, Mask R-CNN, section 3).
    """
    boxes, labels, scores, masks = (np.asarray(each) for each in outputs)
    if masks.ndim < 2:
        raise ModelError(f"output.instances.masks: expected a map for each object, got the shape {masks.shape}")
    if not boxes.size // 4 == labels.size == scores.size == (masks.size // max(1, masks.shape[-2] * masks.shape[-1])):
        raise ModelError(
            "output.instances: expected as many boxes, labels, scores and masks, got the shapes "
            f"{boxes.shape}, {labels.shape}, {scores.shape}, {masks.shape}"
        )
    found = np.zeros(picture, np.float32)
    rows, cols = picture[0] / placed.rows, picture[1] / placed.cols
    for box, label, score, mask in zip(
        boxes.reshape(-1, 4), labels.ravel(), scores.ravel(), masks.reshape(-1, *masks.shape[-2:]), strict=True
    ):
        if int(label) not in rule.classes or score < rule.score:
            continue
        left, right = ((float(side) - placed.left) * cols for side in (box[0], box[2]))
        top, bottom = ((float(side) - placed.top) * rows for side in (box[1], box[3]))
        _paste(found, np.clip(mask.astype(np.float32), 0, 1), (top, left, bottom, right))
    return found


def _paste(found: Array, mask: Array, box: tuple[float, float, float, float]) -> None:
    """Raise ``found`` to ``mask`` stretched over the box, pixel centers half a pixel inside."""
    top, left, bottom, right = box
    rows = slice(max(0, int(np.floor(top))), min(found.shape[0], int(np.ceil(bottom))))
    cols = slice(max(0, int(np.floor(left))), min(found.shape[1], int(np.ceil(right))))
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return
    down, across = (bottom - top) / mask.shape[0], (right - left) / mask.shape[1]
    matrix = np.array(
        [
            [1 / across, 0, (cols.start + 0.5 - left) / across - 0.5],
            [0, 1 / down, (rows.start + 0.5 - top) / down - 0.5],
        ]
    )
    size = (cols.stop - cols.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pasted = cv2.warpAffine(mask, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    np.maximum(found[rows, cols], pasted, out=found[rows, cols])
