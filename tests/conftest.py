"""What several test files share: the folder of real pictures, and drawn scenes with known alpha."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bgkit.testing import draw_disk as disk_scene

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("BGKIT_DATA", ROOT.parent / "shared" / "data"))

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures with ground truth, or a skip that says where it was looked for."""
    if not (DATA / "test").is_dir():
        pytest.skip(f"no pictures at {DATA}; set BGKIT_DATA")
    return DATA


@pytest.fixture
def scene():
    """The scene of :func:`disk_scene`."""
    return disk_scene()
