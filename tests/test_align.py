"""A series gets one scale and one ground line, measured once, kept by every picture however it comes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from bgkit.cli import app

CHAIN = "bgkit: 1\nstages: [luv_threshold, composite, frame: {fill: 0.8, size: 120}]\nchecks: {outside: 0}\n"
SERIES = {"tall": (30, 120, 100, 60), "short": (100, 40, 20, 80), "small": (10, 20, 230, 24)}  # top, rows, left, cols


@pytest.fixture(autouse=True)
def shots(tmp_path, monkeypatch):
    """Blue boxes of three sizes at three places, as one camera would see them."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(CHAIN)
    Path("in").mkdir()
    for name, (top, rows, left, cols) in SERIES.items():
        picture = np.full((200, 300, 3), 240, np.uint8)
        picture[top : top + rows, left : left + cols] = (160, 60, 30)
        cv2.imwrite(f"in/{name}.png", picture)


def bgkit(*args: str, status: int = 0):
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == status, result.stderr
    return result


def heights(folder: str) -> dict[str, tuple[int, int]]:
    """First row and last row + 1 of the subject, by name."""
    found = {}
    for path in Path(folder).glob("*.png"):
        rows = np.flatnonzero((cv2.imread(str(path))[..., 2] < 128).any(axis=1))
        found[path.stem] = (int(rows[0]), int(rows[-1]) + 1)
    return found


def test_what_align_prints_gives_a_series_one_scale_and_one_line():
    """The tallest takes its share, the others keep their size against it, and all stand on one row."""
    settings = shlex.split(bgkit("align", "in", "-p", "mine.yaml", "-q").stdout)
    bgkit("remove", "in", "-o", "out", "-p", "mine.yaml", *settings, "--report", "log.jsonl")
    scales = {json.loads(line)["facts"]["frame"]["scale"] for line in Path("log.jsonl").read_text().splitlines()}
    assert len(scales) == 1
    found = heights("out")
    assert len({bottom for _, bottom in found.values()}) == 1
    full = found["tall"][1] - found["tall"][0]
    assert full == pytest.approx(0.8 * cv2.imread("out/tall.png").shape[0], abs=2)
    for name, (top, bottom) in found.items():
        assert bottom - top == pytest.approx(full * SERIES[name][1] / SERIES["tall"][1], abs=1.5)


def test_a_watched_folder_keeps_the_scale():
    """Pictures that come one by one come out as those of a batch."""
    settings = shlex.split(bgkit("align", "in/tall.png", "-p", "mine.yaml", "-q").stdout)
    bgkit("remove", "in", "-o", "out", "-p", "mine.yaml", *settings)
    bgkit("watch", "in", "-o", "one", "-p", "mine.yaml", *settings, "--settle", "0", "--every", "0.02", "--once")
    assert heights("one") == heights("out")


def test_a_subject_larger_than_the_measured_ones_is_flagged():
    """Measured on the small ones, the tall one does not fit, and that is told."""
    settings = shlex.split(bgkit("align", "in/small.png", "-p", "mine.yaml", "-q").stdout)
    settings += ["--set", "frame.size=20"]  # a larger frame than the small one fills would have room for the tall one
    done = bgkit("remove", "in", "-o", "out", "-p", "mine.yaml", *settings, "--strict", status=1)
    assert "look: in/tall.png: outside" in done.stderr
    assert "look: in/small.png" not in done.stderr


def test_align_refuses_what_it_cannot_measure():
    """A pipeline that does not frame, a series without a subject, a file that is no picture."""
    assert "no stage frame" in bgkit("align", "in", "-p", "fast", status=2).stderr
    Path("empty").mkdir()
    cv2.imwrite("empty/a.png", np.full((50, 50, 3), 240, np.uint8))
    assert "no subject found in any picture" in bgkit("align", "empty", "-p", "mine.yaml", status=1).stderr
    Path("in/broken.png").write_bytes(b"no picture")
    assert "error: in/broken.png" in bgkit("align", "in", "-p", "mine.yaml", status=1).stderr
