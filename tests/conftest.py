"""What several test files share: the folder of real pictures, and drawn scenes with known alpha."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("BGKIT_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures with ground truth, or a skip that says where it was looked for."""
    if not (DATA / "test").is_dir():
        pytest.skip(f"no pictures at {DATA}; set BGKIT_DATA")
    return DATA


def disk_scene(rows: int = 96, cols: int = 128, backdrop=(0.9, 0.9, 0.9), color=(0.7, 0.15, 0.2), seed: int = 0):
    """A soft-edged disk with slightly noisy colors on a plain backdrop: (image, alpha), float32."""
    row, col = np.mgrid[:rows, :cols]
    distance = np.hypot(row - rows / 2, col - cols / 2) - min(rows, cols) / 3.5
    alpha = np.clip(0.5 - distance / 3, 0, 1).astype(np.float32)
    rng = np.random.default_rng(seed)
    image = alpha[..., None] * np.float32(color) + (1 - alpha[..., None]) * np.float32(backdrop)
    image = np.clip(image + rng.normal(0, 0.01, image.shape), 0, 1).astype(np.float32)
    return image, alpha


@pytest.fixture
def scene():
    """The scene of :func:`disk_scene`."""
    return disk_scene()
