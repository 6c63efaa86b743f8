"""Measured figures come from benchmarks: blocks are as a command wrote them, and no figure stands outside of one."""

from __future__ import annotations

import ast
import json
import re
import shlex

import pytest
from conftest import ROOT

from benchmarks import pages
from benchmarks.alternatives import README, block_of, recalled
from bgkit import stages
from bgkit.models.store import locate

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
EXAMPLES = sorted((ROOT / "docs" / "gallery").glob("*.py"))

NUMBER = r"(?<![\w.])(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
UNIT = r"(?:s|ms|µs|[kKMG]B|seconds?|minutes?|hours?|times|(?:pictures|frames)(?:/s| a second)|fps)(?![\w])"
METRIC = r"\b(?:IoU|SAD|MAE|MSE|F max|Grad|dtSSD|AUC)\b"
DECIMAL = r"(?<![\w.])\d*\.\d+"
ERROR = rf"{METRIC}[^.|\n]{{0,20}}{NUMBER}|\bF\b[^.|\n]{{0,8}}{DECIMAL}|{DECIMAL} (?:in |of )?(?:{METRIC}|F\b)"
TIME = r"(?:half|thirds?|quarters?|fifths?|sixth|tenths?) (?:of )?the (?:processor )?time"
SHARE = r"(?<![\w.,])\d+ of (?:the )?(?!255)\d++(?!,\d| ?MB)"
FIGURE = re.compile(rf"{NUMBER}\s?{UNIT}|{ERROR}|{NUMBER}\s?iterations|{SHARE}|{TIME}")
SKIPPED = re.compile(r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)

# What has a unit and was not measured: limits and defaults of the program, sizes of packages, arithmetic, definitions.
FIXED = {
    "CHANGELOG.md": ["32s", "16s", "8s", "64 KB", "10 seconds"],  # FCN-32s; a limit and a pause of the program
    "docs/design.md": ["80 MB", "14 MB", "10 MB", "1.5 times", "0s"],  # packages; a factor of the program; zeros
    "docs/explanation/confidence.md": ["IoU at least 0.9", "IoU of 0.9"],  # what counts as good
    "docs/explanation/embedded-network.md": ["8.1 MB"],  # the file that ships, below
    "docs/explanation/evidence.md": ["SAD/1000"],
    "docs/how-to/in-the-browser.md": ["14 MB"],  # the npm package
    "docs/how-to/scale.md": ["11.6 pictures a second", "250 MB"],  # 10⁶ / 86,400; what `--memory` begins with
    "docs/how-to/serving.md": ["0 ms", "3 GB", "60 seconds"],
    "docs/how-to/video.md": ["20 s"],
    "docs/reference/architectures.md": ["425.9 MB", "8s", "32s"],  # a file that others published; FCN-8s
    "docs/reference/command-line.md": ["3 GB", "4000 times"],
    "docs/reference/formats.md": ["26 MB", "6 MB", "10 MB", "64 MB"],  # packages, and a limit
    "docs/reference/metrics.md": ["IoU 0"],  # 0/0
    "docs/reference/model-card.md": ["8.1 MB"],  # the file that ships, below
    "docs/reference/quality.md": ["SAD/1000"],
    "docs/tutorials/training.md": ["0.3 MB"],  # 320 x 240 pixels of 4 bytes
}


def unsealed(text: str, page: str, seals: dict[str, pages.Seal]) -> list[str]:
    """The blocks of a page that are not as a benchmark wrote them."""
    digests = {key: each["digest"] for key, each in seals.items()}
    return [name for name in pages.named(text) if digests.get(f"{page}#{name}") != pages.seal(pages.block(text, name))]


def loose(text: str) -> list[str]:
    """The measured figures that stand outside of blocks."""
    text = SKIPPED.sub("", pages.fill(text, dict.fromkeys(pages.named(text), "")))
    return [" ".join(found.split()) for found in FIGURE.findall(text)]


@pytest.fixture(scope="module")
def seals() -> dict[str, pages.Seal]:
    """The seal of every block as its benchmark wrote it."""
    return pages.seals()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_are_as_their_benchmark_wrote_them(page, seals):
    """Who edits a measured figure by hand is found out; `--write` of the benchmark is the way to change one."""
    assert not unsealed(page.read_text("utf-8"), page.relative_to(ROOT).as_posix(), seals)


def test_every_seal_has_its_block(seals):
    """No digest is left of a block that is gone."""
    there = {f"{page.relative_to(ROOT).as_posix()}#{name}" for page in PAGES for name in pages.named(page.read_text())}
    assert set(seals) == there


def test_every_seal_says_when_and_by_what(seals):
    """A day, a commit, and a command whose script is here."""
    for key, each in seals.items():
        for when in (each["measured"], each.get("since", each["measured"])):
            assert re.fullmatch(r"20\d\d-\d\d-\d\d, [0-9a-f]{7}", when), key
        program, *args = shlex.split(each["by"])
        script = args[1].replace(".", "/") if args[0] == "-m" else args[0].removesuffix(".py")
        assert program == "python"
        assert (ROOT / script).with_suffix(".py").is_file() or (ROOT / script / "__main__.py").is_file(), key


def test_a_block_written_in_part_keeps_its_oldest_day(tmp_path, monkeypatch):
    """Rows that were not measured again are not passed off as today's; a block written whole is."""
    page = tmp_path / "page.md"
    page.write_text("<!-- measured: speed -->\nold\n<!-- /measured -->\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "SEALS", tmp_path / "seals.json")
    monkeypatch.setattr(pages, "_now", lambda: "2026-11-29, bbbbbbb")
    old = {"digest": "", "measured": "2026-11-21, aaaaaaa", "by": "python old.py"}
    (tmp_path / "seals.json").write_text(json.dumps({"page.md#speed": old}))
    pages.write(page, {"speed": "new"}, some=True)
    assert pages.seals()["page.md#speed"]["since"] == "2026-11-21, aaaaaaa"
    pages.write(page, {"speed": "new"})
    assert "since" not in pages.seals()["page.md#speed"]
    assert pages.seals()["page.md#speed"]["measured"] == "2026-11-29, bbbbbbb"


def test_a_changed_figure_is_found_out(seals):
    """One digit of a block, anywhere, breaks its seal."""
    page = ROOT / "docs" / "reference" / "quality.md"
    changed = re.sub(
        r"(\| studio \| auto \| 64 \| )(\d)", lambda at: f"{at[1]}{(int(at[2]) + 1) % 10}", page.read_text("utf-8")
    )
    assert unsealed(changed, "docs/reference/quality.md", seals) == ["studio"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_measured_figure_stands_outside_of_a_block(page):
    """Times, rates, memory and errors in prose are limits and sizes, not measurements; each of these is known."""
    fixed = FIXED.get(page.relative_to(ROOT).as_posix(), [])
    assert not set(loose(page.read_text("utf-8"))) - set(fixed)


@pytest.mark.parametrize("name", stages.shipped())
def test_no_measured_figure_in_a_stages_docstring(name):
    """The same of what becomes the stage's reference page."""
    assert not loose(stages.find(name).doc)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_no_measured_figure_in_an_examples_text(example):
    """What an example measures it prints; its text repeats none of it."""
    assert not loose(ast.get_docstring(ast.parse(example.read_text("utf-8"))) or "")


def test_figures_in_prose_are_found():
    """The pattern finds what it is for, and leaves limits without a unit alone."""
    text = (
        "It takes 0.4 s and 250 MB, 3.5 times less, at 12 pictures a second; IoU is 0.87. At most 20 px, 5 %.\n"
        "It flags 12 of 194 at a quarter of the time. It moves by 0.05 in F max.\nF 0.910 after 70 iterations.\n"
    )
    found = ["0.4 s", "250 MB", "3.5 times", "12 pictures a second", "IoU is 0.87"]
    assert loose(text) == [*found, "12 of 194", "quarter of the time", "0.05 in F max", "F 0.910", "70 iterations"]


def test_the_notebook_of_decisions_follows_the_decisions():
    """Figures of the day stand under the title of a decision that is on the page, with their day and commit."""
    titles = re.findall(r"^\*\*(.+)\*\*$", (ROOT / "docs" / "design.md").read_text("utf-8"), re.MULTILINE)
    notebook = (ROOT / "benchmarks" / "decisions.md").read_text("utf-8")
    head, *entries = re.split(r"^\*\*(.+)\*\*$", notebook, flags=re.MULTILINE)
    assert "not documentation" in head
    assert not set(entries[::2]) - set(titles)
    assert all(re.match(r"\n\n\*20\d\d-\d\d-\d\d, [0-9a-f]{7}\*\n\n", entry) for entry in entries[1::2])


def test_the_readmes_table_is_made_of_the_figures_kept():
    """The table beside the alternatives follows from the files that the study and `benchmarks.alternatives` wrote."""
    assert pages.block(README.read_text("utf-8"), "alternatives") == block_of(recalled())


def test_the_embedded_networks_size_and_version_are_its_files():
    """The size and the version in the model card are those of the file that ships."""
    card = locate("coarse")[0]
    assert f"| version | {card.version} |" in (ROOT / "docs" / "reference" / "model-card.md").read_text("utf-8")
    assert f"`coarse`, version {card.version}," in (ROOT / "docs/explanation/embedded-network.md").read_text("utf-8")
    size = (ROOT / "bgkit" / "models" / "weights" / "coarse.onnx").stat().st_size
    for page in ("reference/model-card.md", "explanation/embedded-network.md"):
        assert f"{size / 1e6:.1f} MB" in (ROOT / "docs" / page).read_text("utf-8")


@pytest.mark.parametrize("page", FIXED)
def test_no_exception_is_stale(page):
    """What is listed as no measurement stands on its page."""
    assert not set(FIXED[page]) - set(loose((ROOT / page).read_text("utf-8")))
