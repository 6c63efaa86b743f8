"""What the site is made of: every stage and pipeline can be shown, and the check of the built site finds faults."""

from __future__ import annotations

import re
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))
pytest.importorskip("numpydoc", reason="the site needs bgkit[docs]")

import pages
import site_check
from made import effects, pipelines
from made import stages as stage_pages

from bgkit import stages
from bgkit.params import Param
from bgkit.pipelinefile import shipped


@pytest.mark.parametrize("name", stages.shipped())
def test_each_stage_can_be_shown(name):
    """It has an effect, whose parameter is there and takes the values; stages with numbers show two or more."""
    effect = effects.effect_of(name)
    for value in effect.values:
        stages.find(name).check({effect.param: value})
    assert len(effect.values) != 1


@pytest.mark.parametrize("name", stages.shipped())
def test_page_of_a_stage_tells_every_parameter(name):
    """Each has a row with what it may be and its text."""
    info = stages.find(name)
    text = stage_pages.page(info, [("before", "a.png")])
    for word, param in info.settings.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{word}` |")]
        assert param.expected.replace("|", "\\|") in row


MORE = re.compile(
    r"\b(larger|more|less|smaller|higher|lower|nearer|deeper|fainter|wider|finer|grows|above|both add)\b|with 1|^0 ",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", stages.shipped())
def test_each_number_says_what_more_of_it_does(name):
    """In the words that the page shows."""
    info = stages.find(name)
    numbers = [word for word, param in info.settings.items() if re.search(r"\d\.\.", param.expected)]
    silent = [word for word in numbers if word != "merge" and not MORE.search(info.settings[word].doc)]
    assert not silent


def test_a_stage_without_an_effect_ends_the_build(monkeypatch):
    """A new stage that nobody has shown is an error that says where."""
    monkeypatch.delitem(effects.EFFECTS, "opening")
    with pytest.raises(LookupError, match=r"docs/made/effects.py: the stage opening has no entry"):
        effects.effect_of("opening")


def test_a_renamed_parameter_ends_the_build(monkeypatch):
    """An effect that turns a parameter which is no longer there is an error that says which."""
    monkeypatch.setitem(effects.EFFECTS, "opening", effects.Effect("specks", "mask", "size", (1.0, 2.0)))
    with pytest.raises(LookupError, match=r"opening\.size: no such parameter"):
        effects.effect_of("opening")


def test_a_parameter_without_a_text_ends_the_build():
    """The table of parameters refuses a row without what more of it does."""
    with pytest.raises(LookupError, match="size has no text"):
        stage_pages.params_table({"size": Param("size", float, 1.0)})


def test_a_measured_block_says_when_and_by_what():
    """Below the block of that name, and below no other."""
    block = "<!-- measured: {0} -->\n| {0} |\n<!-- /measured -->"
    seal = {"digest": "", "measured": "2026-11-29, bbbbbbb", "since": "2026-11-21, aaaaaaa", "by": "python a.py"}
    text = pages.say_when(f"{block.format('one')}\n\n{block.format('two')}\n", "two", seal)
    said = "Measured 2026-11-21, aaaaaaa, to 2026-11-29, bbbbbbb, by <code>python a.py</code>"
    assert text.endswith(f'{block.format("two")}\n\n<p class="measured">{said}</p>\n\n')
    assert text.count("class=") == 1


def test_each_pipeline_has_a_scene():
    """It is shown on a picture that it is made for."""
    assert set(pipelines.SCENES) == set(shipped())


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="b.html">b</a>', "leads nowhere"),
        ('<a href="#b">b</a>', "no such place"),
        ('<img src="b.png">', "leads nowhere"),
        ('<script src="https://example.org/a.js"></script>', "asks another host"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "asks another host"),
        ("see :func:`frame`", "stands there as text"),
    ],
)
def test_faults_of_a_site_are_found(page, fault, tmp_path):
    """Dead links, lost pictures, whatever asks another host, and markup that was not read as such."""
    (tmp_path / "a.html").write_text(page)
    (only,) = site_check.faults(tmp_path)
    assert fault in only


def test_links_to_other_hosts_are_allowed(tmp_path):
    """A link asks nobody for anything until it is followed."""
    (tmp_path / "a.html").write_text('<a href="https://example.org">e</a><p id="b"></p><a href="#b">b</a>')
    assert site_check.faults(tmp_path) == []
