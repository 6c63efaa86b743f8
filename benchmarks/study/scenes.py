"""Drawn scenes with exactly known alpha, one for each failure mode: a figure, arms akimbo, before a ground.

They show what the counts on photographs mean, in pictures that may be passed on. The figure is drawn four
times as large and reduced by areas, so that its alpha is right to 1/16 of a pixel; cloth has folds, the ground
falls off towards the corners, and all of it has a little noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SCENES", "Drawing", "draw"]

Array = NDArray[Any]
Color = tuple[float, float, float]

ROWS, COLS, FINE = 320, 240, 4
SKIN, HAIR = (0.78, 0.58, 0.47), (0.22, 0.15, 0.12)
RED, BLUE, GREEN = (0.62, 0.14, 0.16), (0.16, 0.24, 0.48), (0.20, 0.42, 0.26)


@dataclass(frozen=True)
class Drawing:
    """What a scene is made of; ``light`` multiplies all, ``grain`` is the noise's standard deviation."""

    ground: Color
    shirt: Color
    trousers: Color
    light: float = 1.0
    grain: float = 0.008
    texture: float = 0.0  # standard deviation of blotches on the ground


SCENES: Mapping[str, Drawing] = MappingProxyType(
    {
        "none": Drawing((0.72, 0.74, 0.76), RED, BLUE),
        "light": Drawing((0.95, 0.95, 0.95), (0.93, 0.93, 0.92), BLUE),
        "dark": Drawing((0.11, 0.11, 0.12), (0.13, 0.13, 0.14), (0.10, 0.10, 0.13)),
        "skin": Drawing((0.77, 0.59, 0.48), GREEN, BLUE),
        "hole": Drawing((0.70, 0.66, 0.30), BLUE, (0.30, 0.26, 0.24)),
        "dim": Drawing((0.72, 0.74, 0.76), RED, BLUE, light=0.16, grain=0.03),
        "noise": Drawing((0.72, 0.74, 0.76), RED, BLUE, grain=0.10, texture=0.16),
    }
)


def draw(drawing: Drawing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the picture (320, 240, 3) and its alpha (320, 240)."""
    rng = np.random.default_rng(7)
    color = np.zeros((ROWS * FINE, COLS * FINE, 3), np.float32)
    cover = np.zeros(color.shape[:2], np.uint8)
    for shade, part in _figure(drawing):
        color[part > 0] = shade
        cover |= part
    folds = cv2.GaussianBlur(rng.normal(0, 1, (ROWS, COLS)).astype(np.float32), (0, 0), 5)
    alpha = _small(cover.astype(np.float32))
    inside = _small(color * cover[..., None]) / np.maximum(alpha, 1e-3)[..., None]
    row, col = np.mgrid[:ROWS, :COLS].astype(np.float32)
    modeled = 1.06 - 0.22 * col / COLS + 0.5 * folds
    falloff = 1.02 - 0.10 * np.hypot((row - ROWS / 2) / ROWS, (col - COLS / 2) / COLS)
    blotches = cv2.GaussianBlur(rng.normal(0, 1, (ROWS, COLS, 3)).astype(np.float32), (0, 0), 2)
    ground = np.float32(drawing.ground) * falloff[..., None] + drawing.texture * blotches / blotches.std()
    image = alpha[..., None] * inside * modeled[..., None] + (1 - alpha[..., None]) * ground
    image = image * drawing.light + rng.normal(0, drawing.grain, image.shape)
    return np.clip(image, 0, 1).astype(np.float32), alpha


def _figure(drawing: Drawing) -> list[tuple[Color, NDArray[np.uint8]]]:
    """Return the parts of the figure from back to front, as colors and masks."""
    shirt, trousers = drawing.shirt, drawing.trousers
    return [
        (trousers, _limb([(104, 188), (98, 246), (96, 296)], 15)),
        (trousers, _limb([(136, 188), (142, 246), (146, 296)], 15)),
        (shirt, _limb([(90, 96), (54, 140), (92, 178)], 9)),
        (shirt, _limb([(150, 96), (186, 140), (148, 178)], 9)),
        (shirt, _shape([(86, 88), (154, 88), (150, 140), (152, 190), (88, 190), (90, 140)])),
        (trousers, _shape([(88, 184), (152, 184), (154, 206), (120, 214), (86, 206)])),
        (SKIN, _limb([(120, 70), (120, 88)], 9)),
        (SKIN, _limb([(94, 176), (99, 181)], 8)),
        (SKIN, _limb([(146, 176), (141, 181)], 8)),
        (HAIR, _oval((120, 46), (23, 28))),
        (SKIN, _oval((120, 53), (18, 23))),
        (HAIR, _limb([(88, 302), (102, 302)], 8)),
        (HAIR, _limb([(140, 302), (154, 302)], 8)),
    ]


def _limb(points: list[tuple[int, int]], radius: int) -> NDArray[np.uint8]:
    mask = _blank()
    cv2.polylines(mask, [np.int32(points) * FINE], False, 1, 2 * radius * FINE, cv2.LINE_8)
    return mask


def _shape(points: list[tuple[int, int]]) -> NDArray[np.uint8]:
    return np.asarray(cv2.fillPoly(_blank(), [np.int32(points) * FINE], 1))


def _oval(middle: tuple[int, int], radii: tuple[int, int]) -> NDArray[np.uint8]:
    size = tuple(radius * FINE for radius in radii)
    return np.asarray(cv2.ellipse(_blank(), (middle[0] * FINE, middle[1] * FINE), size, 0, 0, 360, 1, -1))


def _blank() -> NDArray[np.uint8]:
    return np.zeros((ROWS * FINE, COLS * FINE), np.uint8)


def _small(array: Array) -> Array:
    return cv2.resize(array, (COLS, ROWS), interpolation=cv2.INTER_AREA)
