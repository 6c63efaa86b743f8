"""The study's page says what its figures say, and its rules find what they are for."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conftest import ROOT

from benchmarks.pages import fill, named
from benchmarks.study import measuring, modes
from benchmarks.study.chains import BEST, CHAINS, DEEP, KEY, MDF, chain
from benchmarks.study.keeping import join, recall
from benchmarks.study.page import blocks, difference
from benchmarks.study.scenes import SCENES, draw

PAGE = ROOT / "docs" / "explanation" / "study.md"


@pytest.fixture(scope="module")
def kept():
    """The figures as kept."""
    return recall(ROOT / "benchmarks" / "study" / "figures.json")


def test_page_says_what_the_figures_say(kept):
    """Every table and every sentence with a figure is the one that the kept figures give."""
    page = PAGE.read_text(encoding="utf-8")
    assert fill(page, blocks(kept)) == page


def test_changed_figure_shows(kept):
    """A page whose figures are not the kept ones is noticed."""
    page = PAGE.read_text(encoding="utf-8")
    changed = copy.deepcopy(kept)
    for record in changed["pictures"]:
        record["chains"][KEY]["iou"] = 0.123
    assert fill(page, blocks(changed)) != page


def test_every_block_of_the_page_is_made(kept):
    """No part is left without its block, no block without its part."""
    assert sorted(named(PAGE.read_text(encoding="utf-8"))) == sorted(blocks(kept))


def test_figures_follow_from_the_pictures(kept):
    """A figure of the table, worked out by hand from the records, stands in the page."""
    ecssd = [one["chains"]["cnn_mask"] for one in kept["pictures"] if one["set"] == "ecssd"]
    iou, edge = (np.mean([one[name] for one in ecssd]) for name in ("iou", "boundary_iou"))
    assert f"| `cnn_mask` | {iou:.3f} | {edge:.3f} |" in blocks(kept)["chains"]


def test_difference_has_a_sign():
    """The first less the second, with the interval on the same side."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1, 40)
    found = difference(low - 0.2 + rng.normal(0, 0.01, 40), low)
    assert found.low < found.mean < found.high < 0
    assert found.mean == pytest.approx(-0.2, abs=0.01)


@pytest.mark.parametrize("name", [name for name in SCENES if name != "none"])
def test_scene_is_a_case_of_its_failure(name):
    """The rule of a failure takes the scene drawn for it as a case."""
    assert name in modes.cases(modes.Scene.of(*draw(SCENES[name])))


def test_plain_scene_is_no_case_of_color_light_or_noise():
    """The scene with nothing hard is a case of none of these."""
    found = modes.cases(modes.Scene.of(*draw(SCENES["none"])))
    assert not set(found) - {"hole"}


@pytest.mark.parametrize("name", [name for name in SCENES if name != "none"])
def test_truth_never_fails(name):
    """The true alpha fails by no rule."""
    image, alpha = draw(SCENES[name])
    scene = modes.Scene.of(image, alpha)
    assert not [mode for mode, place in modes.cases(scene).items() if modes.failed(mode, alpha, place, scene)]


@pytest.mark.parametrize(
    ("name", "wrong"), [("light", 0), ("dark", 0), ("skin", 1), ("hole", 1), ("dim", 0), ("noise", 1)]
)
def test_rule_notices_its_failure(name, wrong):
    """A result that is all subject, or none, fails where that is the trouble."""
    image, alpha = draw(SCENES[name])
    scene = modes.Scene.of(image, alpha)
    place = modes.cases(scene)[name]
    assert modes.failed(name, np.full_like(alpha, wrong), place, scene)


def test_shared_steps_change_nothing():
    """Chains that share their beginnings give the alphas that they give alone."""
    image, _ = draw(SCENES["light"])
    made = {name: layers for name, layers, _ in measuring.run_chains(image, (KEY, BEST, "auto"))}
    for name, layers in made.items():
        alpha = layers.mask if layers.alpha is None else layers.alpha
        np.testing.assert_array_equal(alpha, chain(name).run(image).alpha)
    assert set(made) < set(CHAINS)


def test_one_chain_is_measured_anew(kept):
    """Its figures and failures replace the old ones; the others' stay; other pictures are refused."""
    one = kept["pictures"][0]
    mode = next(iter(one["modes"]), None)
    new = copy.deepcopy(kept)
    for name in ("pictures", "scenes"):
        for record in new[name]:
            record["chains"] = {KEY: dict.fromkeys(record["chains"][KEY], 0.5)}
            record["modes"] = {each: [KEY] for each in record["modes"]}
            record["poor"] = []
    joined = join(copy.deepcopy(kept), new)["pictures"][0]
    assert joined["chains"][KEY]["iou"] == 0.5
    assert {**joined["chains"], KEY: one["chains"][KEY]} == one["chains"]
    assert list(joined["chains"]) == list(one["chains"])
    assert joined["poor"] == [name for name in one["poor"] if name != KEY]
    if mode:
        assert set(joined["modes"][mode]) == {KEY, *one["modes"][mode]}
    new["pictures"][0]["name"] = "another"
    with pytest.raises(ValueError, match=r"expected .*, got another; measure all chains anew"):
        join(copy.deepcopy(kept), new)


def test_the_page_on_regions_says_what_the_study_finds(kept):
    """MDF is better than ``saliency``, not apart from ``grabcut`` and faster; the network is better, and faster."""
    ecssd = [one["chains"] for one in kept["pictures"] if one["set"] == "ecssd"]
    iou = {name: [one[name]["iou"] for one in ecssd] for name in ("saliency", "grabcut", MDF, DEEP)}
    for better, other in ((MDF, "saliency"), (DEEP, MDF)):
        found = difference(iou[better], iou[other])
        assert found.sure and found.mean > 0
    assert not difference(iou[MDF], iou["grabcut"]).sure
    seconds = {name: np.median([one["chains"][name]["cpu"] for one in kept["pictures"]]) for name in iou}
    assert seconds[DEEP] < seconds[MDF] < seconds["grabcut"]
