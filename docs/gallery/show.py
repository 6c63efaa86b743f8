"""Show pictures side by side: what every example of the gallery ends with.

Run as a script, an example writes its pictures to ``build/gallery/NAME/``; ``docs/gallery_pages.py`` collects them for
its page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from bgkit.imagefile import write_picture

__all__ = ["on_checkerboard", "show"]

SQUARE = 8  # px of the checkerboard
ROWS = 240  # px, the height at which pictures are shown

listener = None  # set by the runner: a function that takes the pictures by caption


def show(**pictures) -> None:
    """Show pictures side by side.

    Parameters
    ----------
    **pictures : arrays of shape (M, N), (M, N, 3) or (M, N, 4)
        Floats 0..1, bool, or uint8. The keyword is the caption, with spaces for underscores. What is transparent is
        shown over a checkerboard.
    """
    shown = {caption.replace("_", " "): _as_rgb(np.asarray(array)) for caption, array in pictures.items()}
    if listener is not None:
        listener(shown)
        return
    folder = Path("build/gallery") / Path(sys.argv[0]).stem
    folder.mkdir(parents=True, exist_ok=True)
    for caption, array in shown.items():
        target = folder / f"{caption.replace(' ', '-')}.png"
        write_picture(target, array)
        print(target)


def on_checkerboard(picture):
    """Put a picture of shape (M, N, 4), 0..1, on a gray checkerboard: shape (M, N, 3)."""
    row, col = np.mgrid[: picture.shape[0], : picture.shape[1]] // SQUARE
    board = np.where((row + col) % 2, 0.6, 0.8).astype(np.float32)[..., None]
    alpha = picture[..., 3:]
    return picture[..., :3] * alpha + board * (1 - alpha)


def _as_rgb(array):
    """Return the picture as float32 of shape (M', N', 3), at most ROWS high."""
    array = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    scale = ROWS / array.shape[0]
    if scale < 1:
        size = round(array.shape[1] * scale), ROWS
        if array.ndim == 3 and array.shape[2] == 4:  # colors of clear pixels must not bleed in
            alpha = array[..., 3:]
            small = cv2.resize(np.dstack([array[..., :3] * alpha, alpha]), size, interpolation=cv2.INTER_AREA)
            small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
            array = small
        else:
            array = cv2.resize(array, size, interpolation=cv2.INTER_AREA)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    return np.clip(on_checkerboard(array) if array.shape[2] == 4 else array, 0, 1)
