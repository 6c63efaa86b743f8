"""Cut out scikit-image's sample pictures with the pipeline ``auto`` and show them.

Usage: python docs/demo.py FOLDER [--small]

Writes per picture the cutout (transparent PNG), the same on white (JPEG), and a strip: the
picture, alpha, the cutout over checkerboard, over black, and on white. ``--small`` writes the
strips only, at the size the README shows.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np
from skimage import data

import bgkit
from bgkit.imagefile import write_picture

SAMPLES = {"astronaut": data.astronaut, "cat": data.chelsea, "coffee": data.coffee}


def checkerboard(rows: int, cols: int, size: int = 12) -> np.ndarray:
    """A gray checkerboard of shape (rows, cols, 3)."""
    row, col = np.mgrid[:rows, :cols] // size
    return np.repeat(np.where((row + col) % 2, 0.6, 0.8)[..., None], 3, 2).astype(np.float32)


def over(layers: bgkit.Layers, ground: np.ndarray) -> np.ndarray:
    """The cutout over a ground."""
    alpha = layers.alpha[..., None]
    return alpha * layers.foreground + (1 - alpha) * ground


def main() -> None:
    folder = Path(sys.argv[1])
    small = "--small" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    for name, sample in SAMPLES.items():
        started = time.perf_counter()
        cutout = bgkit.remove(sample(), values={"composite.background": "none"})
        seconds = time.perf_counter() - started
        white = over(cutout, np.ones_like(cutout.image))
        board, black = checkerboard(*cutout.alpha.shape), np.zeros_like(cutout.image)
        alpha = np.repeat(cutout.alpha[..., None], 3, 2)
        strip = np.hstack([cutout.image, alpha, over(cutout, board), over(cutout, black), white])
        if small:
            scale = 200 / strip.shape[0]
            strip = cv2.resize(strip, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            write_picture(folder / f"{name}-strip.jpg", np.clip(strip, 0, 1))
            continue
        write_picture(folder / f"{name}-strip.png", strip)
        cutout.save(folder / f"{name}-cutout.png")
        write_picture(folder / f"{name}-white.jpg", white)
        rows, cols = cutout.alpha.shape
        print(f"{name}: {cols} x {rows} pixels in {seconds:.2f} s")
    print(f"Look at the results in {folder.resolve()}")


if __name__ == "__main__":
    main()
