"""Commands that pages show in blocks marked ``bash`` run as they stand, in a folder with pictures of these names."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, disk_scene

from bgkit.cli import app

PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(bash|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("training",)  # test_docs_training.py runs its commands, on pictures to train with
SESSIONS = [
    page
    for page in PAGES
    if page.stem not in ELSEWHERE and any(kind == "bash" for kind, _ in BLOCK.findall(page.read_text()))
]


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: page.stem)
def test_commands_run(page, tmp_path, monkeypatch):
    """Every command ends with status 0; a pipeline shown above it is ``mine.yaml``."""
    monkeypatch.chdir(tmp_path)
    _draw_files()
    for kind, text in BLOCK.findall(page.read_text()):
        if kind == "yaml":
            Path("mine.yaml").write_text(text)
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "bgkit", line
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a disk is no portrait: findings and notes are expected
                done = CliRunner().invoke(app, words, catch_exceptions=False)
            assert done.exit_code == 0, f"{line}\n{done.output}"


def _draw_files():
    """Write the files that pages speak of: a photograph, layers for it, a folder of shots and their truth."""
    image, alpha = disk_scene()
    green, _ = disk_scene(backdrop=(0.2, 0.6, 0.3))
    marks = np.where(alpha == 1, 255, np.where(alpha == 0, 0, 128))
    strokes = np.full(alpha.shape, 128)
    strokes[48, 50:78], strokes[3] = 255, 0
    pictures = {"photo.jpg": image, "second.jpg": green, "plate.jpg": np.full_like(image, 0.9), "mask.png": alpha}
    for name, array in pictures.items():
        _write(name, array * 255)
    _write("trimap.png", marks)
    _write("strokes.png", strokes)
    for folder in ("shots", "truth"):
        Path(folder).mkdir()
    for seed in (1, 2):
        shot, truth = disk_scene(seed=seed)
        _write(f"shots/{seed}.jpg", shot * 255)
        _write(f"truth/{seed}.png", truth * 255)


def _write(name, array):
    cv2.imwrite(name, np.rint(array if array.ndim == 2 else array[..., ::-1]).astype(np.uint8))
