"""A stage of another package that does what stages must not, told by the color of the first pixel."""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import cv2
import numpy as np

from bgkit.errors import ConvergenceWarning, LayerError
from bgkit.stage import note, stage
from bgkit.threads import threads

# In the order of RGB.
HARMLESS, REFUSES, BREAKS, DIES, WARNS, STOPS, SLEEPS = (
    (250, 250, 250),
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (255, 0, 255),
    (0, 255, 255),
)


@stage(gives="mask")
def minefield(image: np.ndarray) -> np.ndarray:
    """Mark all that is not red, or fail in the way that the first pixel asks for."""
    first = tuple(int(value) for value in np.round(image[0, 0] * 255))
    held = sys.modules.get("bgkit.models.session")
    networks = [id(each) for each in held._networks.values()] if held else []
    note(
        threads=threads(),
        nan=float("nan"),
        level=np.float32(0.5),
        pid=os.getpid(),
        networks=networks,
    )
    if first == REFUSES:
        raise LayerError("does not like red")
    if first == BREAKS:
        raise RuntimeError("a\nbug")
    if first == DIES:
        os._exit(9)
    if first == WARNS:
        warnings.warn("stopped early", ConvergenceWarning, stacklevel=1)
    if first == STOPS:
        raise KeyboardInterrupt
    if first == SLEEPS:
        time.sleep(60)
    return np.ascontiguousarray(1 - image[:, :, 0], np.float32)


PIPELINE = """\
bgkit: 1
stages:
  - minefield
  - composite: {background: none}
"""


def install(folder: Path) -> None:
    """Make ``folder``, once it is on the path, an installed package that registers the stage, and a store."""
    info = folder / "minefield-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: minefield\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bgkit.stages]\nminefield = minefield:minefield\n[fsspec.specs]\nshop = shop_store:Shop\n"
    )


def draw(path: Path, color: tuple[int, int, int] = HARMLESS, rows: int = 12, cols: int = 16) -> Path:
    """Write a picture of one color with a dark red box in it."""
    picture = np.full((rows, cols, 3), color, np.uint8)
    picture[rows // 3 : -rows // 3, cols // 3 : -cols // 3] = (120, 10, 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture[:, :, ::-1])[1].tobytes())
    return path
