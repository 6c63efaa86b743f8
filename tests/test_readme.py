"""The README's table is whole, and its pictures are fresh; ``test_written.py`` holds its figures to their files."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from conftest import ROOT

from benchmarks.pages import block
from bgkit.imagefile import read_picture

sys.path.insert(0, str(ROOT / "docs"))
import demo


@pytest.mark.parametrize("name", demo.SHOWN)
def test_pictures_are_fresh(name):
    """A strip of the README shows what ``auto`` makes today, up to JPEG and a processor's rounding."""
    shown = read_picture(ROOT / "docs" / "images" / f"{name}-strip.jpg").image
    made = demo.small(demo.strip_of(demo.cut_out(name)))
    assert made.shape == shown.shape
    assert np.abs(made - shown).mean() < 0.02


def test_no_other_picture_is_committed():
    """The README shows the strips that are committed; what pages in ``docs`` show beside them is made by the build."""
    committed = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "images").iterdir()}
    assert committed == {f"docs/images/{name}-strip.jpg" for name in demo.SHOWN}
    assert committed == set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", (ROOT / "README.md").read_text("utf-8")))


def test_no_cell_of_the_table_is_empty():
    """Each row of the table beside the alternatives has a figure in each column; what was not measured has no row."""
    lines = [
        line for line in block((ROOT / "README.md").read_text("utf-8"), "alternatives").splitlines() if "|" in line
    ]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert len(rows) >= 6
    assert all(re.fullmatch(r"\d+\.\d+", cell) for _, *cells in rows for cell in cells)
