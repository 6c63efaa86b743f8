"""Measured figures come from benchmarks: blocks are as a command wrote them, and no figure stands outside of one."""

from __future__ import annotations

import json
import re

import pytest
from conftest import ROOT

from benchmarks import pages
from benchmarks.alternatives import README, block_of, recalled
from bgkit import stages

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LOGS = ("design.md", "embedded-network.md")  # figures of the day of a decision or an experiment, as their heads say
KINDS = [page for page in PAGES if page.name not in LOGS]

NUMBER = r"(?<![\w.])(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
UNIT = r"(?:s|ms|µs|[kKMG]B|seconds?|minutes?|hours?|times|(?:pictures|frames)(?:/s| a second)|fps)(?![\w])"
ERROR = r"\b(?:IoU|SAD|MAE|MSE|F max|Grad|dtSSD|AUC)\b[^.|\n]{0,20}"
FIGURE = re.compile(rf"{NUMBER}\s?{UNIT}|{ERROR}{NUMBER}")
SKIPPED = re.compile(r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)

# What has a unit and was not measured: limits and defaults of the program, sizes of packages, arithmetic, definitions.
FIXED = {
    "docs/explanation/confidence.md": ["IoU at least 0.9", "IoU of 0.9"],  # what counts as good
    "docs/explanation/evidence.md": ["SAD/1000"],
    "docs/how-to/in-the-browser.md": ["14 MB"],  # the npm package
    "docs/how-to/scale.md": ["11.6 pictures a second", "250 MB"],  # 10⁶ / 86,400; what `--memory` begins with
    "docs/how-to/serving.md": ["0 ms", "3 GB", "60 seconds"],
    "docs/how-to/video.md": ["20 s"],
    "docs/reference/architectures.md": ["425.9 MB", "8s", "32s"],  # a file that others published; FCN-8s
    "docs/reference/command-line.md": ["3 GB", "4000 times"],
    "docs/reference/formats.md": ["26 MB", "6 MB", "10 MB", "64 MB"],  # packages, and a limit
    "docs/reference/metrics.md": ["IoU 0"],  # 0/0
    "docs/reference/model-card.md": ["7.9 MB"],  # the file that ships, below
    "docs/reference/quality.md": ["SAD/1000"],
    "docs/tutorials/training.md": ["0.3 MB"],  # 320 x 240 pixels of 4 bytes
}


def unsealed(text: str, page: str, seals: dict[str, str]) -> list[str]:
    """The blocks of a page that are not as a benchmark wrote them."""
    return [name for name in pages.named(text) if seals.get(f"{page}#{name}") != pages.seal(pages.block(text, name))]


def loose(text: str) -> list[str]:
    """The measured figures that stand outside of blocks."""
    text = SKIPPED.sub("", pages.fill(text, dict.fromkeys(pages.named(text), "")))
    return [" ".join(found.split()) for found in FIGURE.findall(text)]


@pytest.fixture(scope="module")
def seals() -> dict[str, str]:
    """The digest of every block as its benchmark wrote it."""
    return json.loads(pages.SEALS.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_are_as_their_benchmark_wrote_them(page, seals):
    """Who edits a measured figure by hand is found out; `--write` of the benchmark is the way to change one."""
    assert not unsealed(page.read_text("utf-8"), page.relative_to(ROOT).as_posix(), seals)


def test_every_seal_has_its_block(seals):
    """No digest is left of a block that is gone."""
    there = {f"{page.relative_to(ROOT).as_posix()}#{name}" for page in PAGES for name in pages.named(page.read_text())}
    assert set(seals) == there


def test_a_changed_figure_is_found_out(seals):
    """One digit of a block, anywhere, breaks its seal."""
    page = ROOT / "docs" / "reference" / "quality.md"
    changed = page.read_text("utf-8").replace("| studio | auto | 64 | 5.07 |", "| studio | auto | 64 | 4.07 |")
    assert unsealed(changed, "docs/reference/quality.md", seals) == ["studio"]


@pytest.mark.parametrize("page", KINDS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_measured_figure_stands_outside_of_a_block(page):
    """Times, rates, memory and errors in prose are limits and sizes, not measurements; each of these is known."""
    fixed = FIXED.get(page.relative_to(ROOT).as_posix(), [])
    assert not set(loose(page.read_text("utf-8"))) - set(fixed)


@pytest.mark.parametrize("name", stages.shipped())
def test_no_measured_figure_in_a_stages_docstring(name):
    """The same of what becomes the stage's reference page."""
    assert not loose(stages.find(name).doc)


def test_figures_in_prose_are_found():
    """The pattern finds what it is for, and leaves limits without a unit alone."""
    text = "It takes 0.4 s and 250 MB, 3.5 times less, at 12 pictures a second; IoU is 0.87. At most 20 px, 5 %.\n"
    assert loose(text) == ["0.4 s", "250 MB", "3.5 times", "12 pictures a second", "IoU is 0.87"]


def test_the_readmes_table_is_made_of_the_figures_kept():
    """The table beside the alternatives follows from the files that the study and `benchmarks.alternatives` wrote."""
    assert pages.block(README.read_text("utf-8"), "alternatives") == block_of(recalled())


def test_the_embedded_networks_size_is_its_files():
    """The size in the model card is that of the file that ships."""
    size = (ROOT / "bgkit" / "models" / "weights" / "coarse.onnx").stat().st_size
    assert f"{size / 1e6:.1f} MB" in (ROOT / "docs" / "reference" / "model-card.md").read_text("utf-8")
