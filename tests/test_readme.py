"""The README's figures are those that the study measured, and its picture of alternatives has no other."""

from __future__ import annotations

import re

from conftest import ROOT


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
