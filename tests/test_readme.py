"""The README's figures are those that the study measured, its alternatives have no other, its pictures are fresh."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from conftest import ROOT

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


def test_figures_of_the_table_are_the_studys():
    """Each measured row of the table has the figures of the study's row of that name: IoU, SAD, CPU seconds."""
    study = (ROOT / "docs" / "explanation" / "study.md").read_text()
    table = (ROOT / "README.md").read_text().partition("## Beside the alternatives")[2].partition("##")[0]
    rows = re.findall(r"^\| (?:bgkit )?`([a-z]+)`[^|]*\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    assert len(rows) == 5
    for name, *figures in rows:
        measured = re.search(rf"^\| `{name}` \| (.*) \|$", study, re.MULTILINE)[1].split(" | ")
        assert figures == [measured[0], measured[3], measured[-1]], name


def test_every_other_row_is_empty():
    """What was not measured has no figure."""
    table = (ROOT / "README.md").read_text().partition("## Beside the alternatives")[2].partition("##")[0]
    others = [line for line in table.splitlines() if line.startswith("| rembg")]
    assert others and all(re.fullmatch(r"\| [^|]+\| \| \| \|", line) for line in others)
