"""Cut out scikit-image's sample pictures with the pipeline ``auto`` and show them.

Usage: python docs/demo.py FOLDER [--small]

Writes per picture the cutout (transparent PNG), the same on white (JPEG), and a strip: the
picture, alpha, the cutout over checkerboard, over black, and on white. ``--small`` writes the
strips of the README only, at its size.
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
SHOWN = ("astronaut", "coffee")  # in the README


def checkerboard(rows: int, cols: int, size: int = 12) -> np.ndarray:
    """A gray checkerboard of shape (rows, cols, 3)."""
    row, col = np.mgrid[:rows, :cols] // size
    return np.repeat(np.where((row + col) % 2, 0.6, 0.8)[..., None], 3, 2).astype(np.float32)


def over(layers: bgkit.Layers, ground: np.ndarray) -> np.ndarray:
    """The cutout over a ground."""
    alpha = layers.alpha[..., None]
    return alpha * layers.foreground + (1 - alpha) * ground


def strip_of(cutout: bgkit.Layers) -> np.ndarray:
    """The picture, alpha, and the cutout over checkerboard, black and white, side by side."""
    board, black = checkerboard(*cutout.alpha.shape), np.zeros_like(cutout.image)
    alpha = np.repeat(cutout.alpha[..., None], 3, 2)
    grounds = (board, black, np.ones_like(black))
    return np.hstack([cutout.image, alpha, *(over(cutout, ground) for ground in grounds)])


def small(strip: np.ndarray) -> np.ndarray:
    """A strip at the size of the README."""
    scale = 200 / strip.shape[0]
    return np.clip(cv2.resize(strip, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), 0, 1)


def cut_out(name: str) -> bgkit.Layers:
    """A sample, cut out by ``auto``."""
    return bgkit.remove(SAMPLES[name](), values={"composite.background": "none"})


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if "--small" in sys.argv:
        for name in SHOWN:
            write_picture(folder / f"{name}-strip.jpg", small(strip_of(cut_out(name))))
        return
    for name in SAMPLES:
        started = time.perf_counter()
        cutout = cut_out(name)
        seconds = time.perf_counter() - started
        write_picture(folder / f"{name}-strip.png", strip_of(cutout))
        cutout.save(folder / f"{name}-cutout.png")
        write_picture(folder / f"{name}-white.jpg", over(cutout, np.ones_like(cutout.image)))
        rows, cols = cutout.alpha.shape
        print(f"{name}: {cols} x {rows} pixels in {seconds:.2f} s")
    print(f"Look at the results in {folder.resolve()}")


if __name__ == "__main__":
    main()
