"""Strokes on scikit-image's sample pictures, grown to a trimap and straight to matting.

Usage: python docs/strokes.py FOLDER

Writes a strip per picture: the strokes, the trimap they grow to, its alpha, alpha with the strokes as sparse
constraints, and the first over checkerboard.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from demo import SAMPLES, checkerboard

import bgkit
from bgkit.imagefile import write_picture

# Lines as (row, col) points, in shares of the height and the width; six to ten a picture, a minute's work.
SUBJECT = {
    "astronaut": [
        [(0.12, 0.42), (0.2, 0.45), (0.36, 0.43)],
        [(0.06, 0.4), (0.08, 0.48), (0.2, 0.53)],
        [(0.45, 0.42), (0.6, 0.3), (0.95, 0.12)],
        [(0.5, 0.5), (0.95, 0.5)],
        [(0.5, 0.6), (0.65, 0.63), (0.97, 0.62)],
        [(0.72, 0.7), (0.72, 0.85), (0.9, 0.95)],
    ],
    "cat": [
        [(0.04, 0.3), (0.05, 0.6)],
        [(0.12, 0.4), (0.35, 0.4), (0.6, 0.55)],
        [(0.3, 0.75), (0.45, 0.68), (0.7, 0.7)],
        [(0.3, 0.2), (0.6, 0.2), (0.85, 0.35), (0.95, 0.5)],
        [(0.1, 0.28), (0.2, 0.3)],
    ],
    "coffee": [
        [(0.25, 0.35), (0.4, 0.45), (0.3, 0.6)],
        [(0.45, 0.31), (0.6, 0.38), (0.63, 0.5), (0.5, 0.65)],
        [(0.12, 0.35), (0.08, 0.5), (0.12, 0.64)],
        [(0.42, 0.18), (0.6, 0.17), (0.8, 0.3), (0.88, 0.45), (0.8, 0.68), (0.55, 0.78)],
    ],
}
GROUND = {
    "astronaut": [
        [(0.05, 0.05), (0.45, 0.06)],
        [(0.03, 0.25), (0.3, 0.27)],
        [(0.05, 0.65), (0.4, 0.66)],
        [(0.05, 0.95), (0.6, 0.95)],
        [(0.05, 0.8), (0.55, 0.81)],
    ],
    "cat": [
        [(0.04, 0.02), (0.6, 0.02)],
        [(0.03, 0.93), (0.9, 0.93)],
        [(0.5, 0.97), (0.97, 0.97)],
    ],
    "coffee": [
        [(0.04, 0.04), (0.95, 0.05)],
        [(0.04, 0.2), (0.06, 0.95), (0.6, 0.96)],
        [(0.97, 0.2), (0.97, 0.9)],
        [(0.1, 0.75), (0.45, 0.88)],
        [(0.3, 0.82), (0.6, 0.9)],
    ],
}


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The strokes of a picture: 0, 255, and 128 elsewhere, uint8 (M, N)."""
    drawn = np.full(shape[:2], 128, np.uint8)
    for lines, value in ((GROUND[name], 0), (SUBJECT[name], 255)):
        for line in lines:
            points = np.array([[col * shape[1], row * shape[0]] for row, col in line]).astype(np.int32)
            cv2.polylines(drawn, [points], False, value, max(3, shape[0] // 80))
    return drawn


def gray(layer: np.ndarray) -> np.ndarray:
    return np.repeat(np.float32(layer)[..., None], 3, 2)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, sample in SAMPLES.items():
        drawn = draw(name, sample().shape)
        grown, sparse = (
            bgkit.remove(sample(), "strokes", values={"strokes.grow": how}, strokes=drawn) for how in ("true", "false")
        )
        shown = np.where((drawn != 128)[..., None], [0.1, 0.3, 1], grown.image / 2 + 0.25)
        shown[drawn == 255] = 1, 0.85, 0.1
        alpha = grown.alpha[..., None]
        cutout = alpha * grown.foreground + (1 - alpha) * checkerboard(*grown.alpha.shape)
        strip = np.hstack([shown, gray(grown.trimap / 255), gray(grown.alpha), gray(sparse.alpha), cutout])
        scale = 200 / strip.shape[0]
        strip = cv2.resize(np.float32(strip), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        write_picture(folder / f"{name}-strokes.jpg", np.clip(strip, 0, 1))


if __name__ == "__main__":
    main()
