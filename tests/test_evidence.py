"""Which of two masks to trust: signs on drawn scenes, the pool of both, the regression, and the merge."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import disk_scene

from bgkit import Pipeline, load_pipeline
from bgkit.evidence import FIT, SIGNS, chance_of_key, core, pool, read_signs, sureness
from bgkit.layers import Layers
from bgkit.logistic import Logistic, auc, crossed, fit_logistic
from bgkit.pipelinefile import read_pipeline
from bgkit.stages import cnn_mask, luv_threshold

IMAGE, ALPHA = disk_scene()
IMAGE = np.float32(IMAGE)
BUSY = np.float32(np.random.default_rng(0).random(IMAGE.shape))
CHAIN = "bgkit: 1\nstages:\n  - luv_threshold\n  - luv_threshold: {softness: 20, merge: evidence}\n"


def test_a_plain_backdrop_speaks_for_the_key():
    """On an even ground the chance is above one half, though the network found nothing."""
    key = luv_threshold(IMAGE)
    assert chance_of_key(read_signs(IMAGE, key, np.zeros_like(key))) > 0.5


def test_a_busy_background_speaks_for_the_network():
    """On noise of full range the chance is next to nothing."""
    key = luv_threshold(BUSY)
    assert chance_of_key(read_signs(BUSY, key, np.float32(ALPHA))) < 0.05


def test_a_network_that_doubts_what_it_marks_is_lost():
    """Of two networks the one that gives the subject six tenths is trusted less than the one that gives it all."""
    key = luv_threshold(IMAGE)
    lost, whole = (chance_of_key(read_signs(IMAGE, key, np.float32(each * ALPHA))) for each in (0.6, 1))
    assert lost > whole + 0.02


def test_doubt_counts_though_a_refinement_has_hidden_it():
    """What the network itself was unsure of speaks for the key, however hard the refined mask is."""
    key = luv_threshold(IMAGE)
    lost, whole = (chance_of_key(read_signs(IMAGE, key, np.float32(ALPHA), sure)) for sure in (0.5, 1))
    assert lost > whole + 0.02


def test_the_merge_reads_how_sure_the_network_was_before_refinement():
    """The sign is the one that ``cnn_mask`` noted, not that of the mask that the CRF has hardened."""
    chain = "bgkit: 1\nstages: [cnn_mask, dense_crf, {luv_threshold: {merge: evidence}}]\n"
    facts = read_pipeline(chain).run(IMAGE).facts
    assert facts["luv_threshold"]["evidence"]["sure"] == facts["cnn_mask"]["sure"] == sureness(cnn_mask(IMAGE))


def scene(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture with noise, what a key keeps of it, and what a network marks: a disk of 40 px."""
    rows, cols = np.mgrid[:192, :256]
    disk = np.hypot(rows - 90, cols - 128) < 40
    keeps = {
        "a lawn under a plain sky": disk | (rows > 120),
        "a photograph on a page": (abs(rows - 96) < 80) & (abs(cols - 128) < 90),
        "a plant that the frame cuts": disk | ((rows > 60) & (cols > 20) & (cols < 230) & ((rows + cols) % 7 < 4)),
        "a thing in a corner": disk | ((rows > 150) & (cols < 60)),
        "a thing": disk,
    }[kind]
    noise = np.random.default_rng(0).normal(0, 0.004, (*rows.shape, 3))
    image = np.where(keeps[..., None], (0.2, 0.4, 0.15), (0.85, 0.9, 0.95)) + noise
    return np.float32(image), np.float32(keeps), np.float32(0.97 * disk)


def test_ground_under_a_plain_sky_is_no_subject():
    """It holds both lower corners; a plant holds none, a thing one, and then nothing speaks against the key."""
    assert read_signs(*scene("a lawn under a plain sky"))["ground"] == 0.5
    for other in ("a plant that the frame cuts", "a thing in a corner", "a thing"):
        assert read_signs(*scene(other))["ground"] == 0
    lawn, cut = (
        chance_of_key(read_signs(*scene(kind))) for kind in ("a lawn under a plain sky", "a plant that the frame cuts")
    )
    assert lawn < 0.5 < cut


def test_a_photograph_on_a_page_is_no_subject():
    """What the key keeps is a rectangle, and the network sees a thing in it; a box that it marks whole is a box."""
    image, key, network = scene("a photograph on a page")
    assert read_signs(image, key, network)["boxed"] > 0.7
    assert chance_of_key(read_signs(image, key, network)) < 0.5
    assert read_signs(image, key, key)["boxed"] == 0
    assert chance_of_key(read_signs(image, key, 0.97 * key)) > 0.5
    assert read_signs(*scene("a plant that the frame cuts"))["boxed"] == 0


def test_every_sign_is_in_the_fit_and_speaks_against_the_key():
    """The fit has no sign that cannot be read, and none that praises."""
    assert set(FIT.weights) <= set(SIGNS)
    assert max(FIT.weights.values()) <= 0


def test_pool_takes_the_mask_that_is_surely_better():
    """At a chance of 1 the key's mask is the result bit for bit, at 0 the network's."""
    key, network = np.float32([[0.2, 1.0]]), np.float32([[0.9, 0.0]])
    assert pool(key, network, 1.0) is key
    assert pool(key, network, 0.0) is network


def test_pool_shows_contradiction_where_nothing_is_decided():
    """At even chances 0 against 1 gives one half; what both say stays."""
    assert pool(np.float32([[1, 1]]), np.float32([[0, 1]]), 0.5)[0] == pytest.approx([0.5, 1], abs=0.01)


def test_pool_leaves_hair_to_the_key():
    """Soft beside the background the key counts, however sure the network is; deep in the subject the network does."""
    network = np.zeros((100, 100), np.float32)
    network[:, 40:] = 1
    key = network.copy()
    key[:, 40] = 0.5  # hair, of which the network sees the outline
    key[40:60, 70:90] = 0.5  # a white shirt before white
    both = pool(key, network, 0.5)
    assert both[:, 40] == pytest.approx(0.5)
    assert both[40:60, 70:90].min() > 0.95
    assert both[:, :40].max() < 0.01
    assert both[:, 41:70].min() > 0.99
    assert pool(key, network, 0.08)[:, 40].min() > 0.9  # a pen that is nearly as light as the backdrop is no hair


def test_the_merge_notes_signs_and_chance():
    """What decided can be read from the facts of the stage that merged."""
    facts = read_pipeline(CHAIN).run(IMAGE).facts["luv_threshold"]
    assert set(facts["evidence"]) == set(SIGNS)
    assert 0 <= facts["chance"] <= 1


def test_auto_leaves_a_mask_of_the_users_own_alone():
    """The key is a source: where a mask is brought it does not run."""
    steps = load_pipeline("auto").plan({"image", "mask"})
    assert "luv_threshold" not in [step.name for step in steps]


def test_regression_finds_the_sign_that_matters():
    """Of two signs the one that goes with the truth gets the weight, and cross-validation agrees."""
    rng = np.random.default_rng(1)
    rows = [{"matters": value, "chance": rng.random()} for value in rng.random(200)]
    true = [row["matters"] < 0.5 for row in rows]
    fitted = fit_logistic(rows, true)
    assert fitted.weights["matters"] < -10
    assert abs(fitted.weights.get("chance", 0)) < 2
    assert auc(crossed(rows, true, [str(index % 5) for index in range(200)]), true) > 0.98


def test_regression_never_praises_a_sign():
    """A sign that is larger where all is well has no weight."""
    assert fit_logistic([{"sign": 1.0}, {"sign": 0.0}] * 10, [True, False] * 10).weights == {}


def test_cases_that_count_more_decide():
    """Of two cases that contradict each other the heavier one is believed."""
    rows, true = [{"sign": 0.0}, {"sign": 0.0}], [True, False]
    assert fit_logistic(rows, true, [9.0, 1.0]).chance({"sign": 0.0}) == pytest.approx(0.9, abs=0.01)


def test_source_can_be_read_back():
    """The text that the command writes into the code is the fit."""
    fit = Logistic(1.5, {"a": -2.0})
    assert eval(fit.source("FIT").partition("= ")[2], {"Logistic": Logistic}) == fit


def core_scene() -> tuple[np.ndarray, np.ndarray]:
    """A key and a network's mask of a subject with papers, a gap in shade, leaves that only the key knows, and hair."""
    network = np.zeros((200, 200), np.float32)
    network[20:180, 60:180] = 0.98
    key = (network > 0).astype(np.float32)
    key[40:80, 100:150] = 0.5  # white paper before white
    key[100:120, 100:120] = 0.08  # a gap, in shade
    key[130:150, 100:120] = 0  # a gap
    key[20:40, 10:60] = 1  # leaves of which the network knows nothing
    key[60:180, 60] = 0.5  # hair, of which the network sees the outline
    return key, network


def test_a_core_matte_makes_solid_what_the_key_leaves_soft():
    """Soft inside becomes nearly solid; gaps, leaves and hair are the key's, bit for bit."""
    key, network = core_scene()
    solid = core(key, network, 0.6)
    assert solid[40:80, 100:150].min() > 0.8
    kept = np.ones_like(key, bool)
    kept[40:80, 100:150] = False
    assert np.array_equal(solid[kept], key[kept])


def test_a_core_matte_takes_nothing_away():
    """However sure of the background the network is, and however likely to be right, no pixel becomes clearer."""
    key, _ = core_scene()
    assert np.array_equal(core(key, np.zeros_like(key), 0.06), key)


def test_a_key_that_is_surely_wrong_is_not_in_charge():
    """On noise a key with a core matte is the network's mask, which the facts say; on a plain ground the key's."""
    chain = "bgkit: 1\nstages:\n  - luv_threshold\n  - luv_threshold: {softness: 20, merge: core}\n"
    step = read_pipeline(chain).steps[1]
    network = np.float32(0.99 * (ALPHA > 0.5))
    lost = step.apply(Layers.of(BUSY).put("mask", network))
    assert lost.facts["luv_threshold"]["overruled"]
    np.testing.assert_array_equal(lost.mask, network)
    kept = step.apply(Layers.of(IMAGE).put("mask", network))
    assert not kept.facts["luv_threshold"]["overruled"]
    assert (kept.mask != network).any()


def test_a_network_that_sees_no_gaps_fills_none():
    """Half clear gaps between leaves stay where the network is sure of clear ones, too; else it makes them solid."""
    rows, cols = np.indices((240, 240))
    leaves = (np.hypot(rows - 120, cols - 120) < 90)[..., None]
    noise = np.random.default_rng(0).normal(0, 0.004, (240, 240, 3))
    soft = (abs(rows - 120) < 25)[..., None] & (abs(cols - 120) < 60)[..., None]
    image = np.where(leaves, (0.2, 0.4, 0.1), 0.9)
    image = np.where(soft, 0.8 * 0.9 + 0.2 * np.array((0.2, 0.4, 0.1)), image)
    step = read_pipeline("bgkit: 1\nstages: [{backdrop_key: {merge: core}}]\n").steps[0]
    clear = (abs(rows - 60) < 12) & (abs(cols - 120) < 30)
    filled, blind = (np.float32(each + noise) for each in (image, np.where(clear[..., None], 0.9, image)))
    network = np.where(leaves[..., 0], np.float32(0.98), np.float32(0.02))
    inside = soft[..., 0] & (abs(rows - 120) < 15) & (abs(cols - 120) < 50)
    for picture, kept in ((filled, False), (blind, True)):
        alone = step.apply(Layers(picture)).mask
        merged = step.apply(Layers(picture, mask=network, facts={"cnn_mask": {"sure": 0.98}})).mask
        assert np.array_equal(merged, alone) is kept
        assert (merged[inside].mean() > alone[inside].mean() + 0.05) is not kept


def test_the_merge_makes_solid_what_the_key_of_a_picture_leaves_soft():
    """A gray veil on white, which the network takes for a thing: solid with it, half clear without; the rest stays."""
    rows, cols = np.indices((240, 240))
    veil = np.clip((90 - np.hypot(rows - 120, cols - 120)) / 60, 0, 1)[..., None]
    noise = np.random.default_rng(0).normal(0, 0.004, (240, 240, 3))
    image = np.float32(0.9 * (1 - veil) + veil * [0.55, 0.5, 0.6] + noise)
    step = read_pipeline("bgkit: 1\nstages: [{backdrop_key: {merge: core}}]\n").steps[0]
    alone = step.apply(Layers(image)).mask
    thing = np.float32(0.98 * (veil[..., 0] > 0.1))
    found = step.apply(Layers(image).put("mask", thing))
    soft = (alone > 0.35) & (alone < 0.6) & (veil[..., 0] > 0.2)
    assert soft.sum() > 100
    assert np.median(found.mask[soft]) > 0.9
    assert np.array_equal(found.mask[alone < 0.1], alone[alone < 0.1])
    assert 0 <= found.facts["backdrop_key"]["chance"] <= 1


@pytest.mark.parametrize("name, key", [("studio-white", "backdrop_key"), ("clean-plate", "clean_plate")])
def test_chains_of_a_known_background_run_without_a_network_too(name, key):
    """Their first line may be deleted, as the page on licenses says: the key then has no core matte."""
    chain = load_pipeline(name)
    assert [step.name for step in chain.steps[:2]] == ["cnn_mask", key]
    without = Pipeline(name, chain.steps[1:])
    layers = without.run(IMAGE, **({"plate": np.full_like(IMAGE, IMAGE[0, 0])} if key == "clean_plate" else {}))
    assert "chance" not in layers.facts.get(key, {})
    assert np.abs(layers.alpha - ALPHA).mean() < 0.01


@pytest.mark.parametrize("weighed", [pool, core])
def test_masks_are_weighed_alike_whichever_way_they_are_turned(weighed):
    """Hair beside the background, which lies on one side alone, is the same above and below, left and right."""
    key = np.repeat(np.float32([0] * 40 + [0.6] * 20 + [1] * 40)[:, None], 90, axis=1)
    network = np.repeat(np.float32([0.02] * 55 + [0.98] * 45)[:, None], 90, axis=1)
    found = weighed(key, network, 0.6)
    for turns in (1, 2, 3):
        turned = weighed(*(np.ascontiguousarray(np.rot90(each, turns)) for each in (key, network)), 0.6)
        np.testing.assert_allclose(np.rot90(turned, -turns), found, atol=1e-6)
    odds = 0.6 * np.log(0.6 / 0.4) + 0.4 * np.log(0.02 / 0.98)
    if weighed is pool:  # drawn to the key beside the background, by its softness
        assert found[40, 0] == pytest.approx(0.6 * 0.96 + 0.04 / (1 + np.exp(-odds)), abs=1e-3)
