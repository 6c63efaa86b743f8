"""The examples of the gallery run, show something, and each has its page."""

from __future__ import annotations

import importlib.util
import re
import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))

import gallery_pages

NEEDS = {"dask_cluster": "distributed", "server": "fastapi", "matting_methods": "pymatting", "own_network": "onnx"}
NAMES = gallery_pages.examples()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_shows_pictures(name):
    """It ends, and no picture that it shows is blank."""
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    made = gallery_pages.run(name)
    assert made.shown
    for pictures in made.shown:
        for caption, array in pictures.items():
            assert array.min() >= 0 and array.max() <= 1, caption
            assert np.ptp(array) > 0.02, f"{caption} is blank"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_what_it_is_about(name):
    """Its docstring has a short title and two to five sentences; its code is short."""
    example = gallery_pages.read(name)
    assert len(example.title) <= 70 and not example.title.endswith(".")
    assert 2 <= len(re.findall(r"[.?!](?=\s|$)", example.text)) <= 5
    assert len(example.code.splitlines()) <= 70


def test_every_example_is_in_one_group():
    """The index lists each file once, and nothing else."""
    listed = [name for names in gallery_pages.GROUPS.values() for name in names]
    assert sorted(listed) == NAMES
    assert len(NAMES) >= 30


def test_a_page_has_title_code_output_and_pictures(tmp_path):
    """What an example printed and showed stands on its page, and its pictures beside it."""
    example = gallery_pages.read("white_balance")
    made = gallery_pages.Run(
        "printed", [{"before": np.zeros((4, 4, 3), np.float32), "after": np.ones((4, 4, 3), np.float32)}]
    )
    gallery_pages.write_page(example, made, tmp_path)
    text = (tmp_path / "white_balance.md").read_text()
    assert text.startswith(f"# {example.title}\n") and example.code in text and "```text\nprinted\n```" in text
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert sorted(pictures) == sorted(path.name for path in tmp_path.glob("*.png")) and len(pictures) == 2
