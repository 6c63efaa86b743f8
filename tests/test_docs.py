"""What the documentation shows works: Python blocks run, YAML blocks are pipelines, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, disk_scene
from onnx import helper
from onnx_files import value, write

from bgkit import stages
from bgkit.findings import FINDINGS
from bgkit.layers import Layers
from bgkit.models.card import CHANNELS, parse_card
from bgkit.pipelinefile import read_pipeline, shipped

MADE = ("docs/reference/", "docs/gallery/", "docs/images/")  # made by the build, which checks the links to them
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page, language: str) -> list[str]:
    """The fenced blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other in a folder with a photo.jpg."""
    image, _ = disk_scene()
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.rint(image[..., ::-1] * 255).astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for text in blocks(page, "python"):
        exec(compile(text, page.name, "exec"), names)


CHAINS = [(page.stem, text) for page in PAGES for text in blocks(page, "yaml") if "stages:" in text]


@pytest.mark.parametrize(("page", "text"), CHAINS)
def test_yaml_blocks_are_pipelines(page, text, own_networks):
    """Each pipeline shown can be read."""
    read_pipeline(text, page)


@pytest.mark.parametrize("text", [text for page, text in CHAINS if page == "bring-your-own-network"])
def test_pipelines_of_own_networks_run(text, own_networks):
    """Those of "Bring your own network" run with its cards beside networks that fit them."""
    chain = read_pipeline(text, "page")
    assert chain.run(Layers.of(disk_scene()[0])).result.shape == (96, 128, 4)


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    """A folder with the cards of "Bring your own network", each beside a drawn network that fits it."""
    monkeypatch.chdir(tmp_path)
    for text in blocks(ROOT / "docs" / "how-to" / "bring-your-own-network.md", "toml"):
        card = parse_card(text, "page")
        if card.output.instances is not None or card.output.regions is not None:
            continue
        counts = [sum(CHANNELS[layer] for layer in tensor.layers) for tensor in card.tensors]
        names = [tensor.name or "input" for tensor in card.tensors]
        out, sides = card.output.name or "out", card.input.fixed or ("H", "W")
        write(
            Path(card.file.name),
            [helper.make_node("Gather", [names[0], "last"], [out], axis=1)],
            [value(name, ["N", count, *sides]) for name, count in zip(names, counts, strict=True)],
            [value(out, ["N", 1, *sides])],
            {"last": np.array([counts[0] - 1], np.int64)},
        )
        Path(card.file.name).with_suffix(".toml").write_text(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    """Links to files of the repository name files that are there, or pages that the build makes."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        path = (page.parent / target).resolve()
        made = path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix().startswith(MADE)
        assert target.startswith("http") or path.exists() or made, target


def test_a_page_lists_every_shipped_pipeline():
    """The table of pipelines is complete."""
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "how-to" / "which-pipeline.md").read_text(), re.MULTILINE)
    assert sorted(rows) == shipped()


def test_changelog_names_every_stage():
    """No stage was added in silence."""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert not [name for name in stages.shipped() if f"`{name}`" not in text]


def test_the_table_of_findings_is_complete():
    """The studio page lists every finding with its unit."""
    text = (ROOT / "docs" / "tutorials" / "studio.md").read_text()
    rows = [f"| `{each.name}` | {each.limit} | {each.range.unit} | {each.meaning} |" for each in FINDINGS.values()]
    assert not [row for row in rows if row not in text]
