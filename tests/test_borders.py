"""Borders of a key without an edge: shadows go and stripes of a subject are filled; gaps and faint things stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bgkit.borders import at_edges, shadowed, with_gaps
from bgkit.findings import measure
from bgkit.layers import Layers
from bgkit.pipelinefile import read_pipeline


def beside_a_disk(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a white disk before near white and something gray beside it, the key of both, the disk, and the thing."""
    rows, cols = np.mgrid[:300, :400]
    disk = np.hypot(rows - 130, cols - 200) < 70
    foot = np.float32(np.hypot((rows - 200) / 22, (cols - 200) / 110) < 1)
    soft = cv2.GaussianBlur(foot, (0, 0), 9)
    share = foot if kind == "with an edge" else soft
    light = {"in color": (0.75, 0.3, 0.1), "deep": (0.6, 0.6, 0.6), "contact": (0.5, 0.5, 0.5)}
    picture = np.full((300, 400, 3), 0.93) * (1 - share[..., None] * np.float64(light.get(kind, (0.25, 0.25, 0.25))))
    picture[disk] = (0.7, 0.2, 0.2) if kind == "beside red" else 0.86
    if kind == "beside red":
        lightness, *colors = cv2.split(cv2.cvtColor(np.float32(picture), cv2.COLOR_RGB2YCrCb))
        colors = [cv2.blur(each, (13, 13)) for each in colors]
        picture = cv2.cvtColor(cv2.merge([lightness, *colors]), cv2.COLOR_YCrCb2RGB)
    picture += np.random.default_rng(5).normal(0, 0.004, picture.shape)
    return np.float32(picture), np.float32(disk | (share > 0.2)), np.float32(disk), (share > 0.5) & ~disk


@pytest.mark.parametrize("kind", ["soft", "contact", "beside red"])
def test_a_shadow_that_the_network_does_not_know_is_no_subject(kind):
    """A soft shadow of the backdrop's hue goes, to its rim, also where it is half as bright, or where the color of what
    casts it runs into it as in a JPEG; the disk that casts it stays as it is.
    """
    picture, key, network, shadow = beside_a_disk(kind)
    cleared = at_edges(picture, key, network)
    assert key[shadow].min() == 1 and cleared[shadow].max() < 0.05
    assert cleared[network == 0].mean() < 0.005
    np.testing.assert_array_equal(cleared[network == 1], key[network == 1])


@pytest.mark.parametrize("kind", ["with an edge", "in color", "deep", "known"])
def test_what_has_an_edge_or_a_color_is_no_shadow(kind):
    """A gray thing with an edge stays, so does a blurred one in color, a dark one, and one that the network knows."""
    picture, key, network, _ = beside_a_disk(kind)
    if kind == "known":
        network = np.maximum(network, 0.4 * key)
    np.testing.assert_array_equal(at_edges(picture, key, network), key)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("kind", "told"), [("with an edge", True), ("in color", False), ("soft", False)])
def test_what_may_be_a_shadow_with_an_edge_is_kept_and_told(kind, told, known):
    """Nobody can tell a gray thing from the shadow of a bare lamp: the finding says what share of the result it is."""
    picture, key, network, shadow = beside_a_disk(kind)
    if known:  # and the network takes it for a thing, too
        network = key
    share = shadowed(picture, at_edges(picture, key, network), network)
    facts = {"chance": 0.8, "shade": share}
    findings = measure({"shade": 3}, picture, Layers(picture, facts={"luv_threshold": facts}))
    assert findings["shade"]["flagged"] == told
    assert findings["shade"]["value"] == pytest.approx(100 * shadow.sum() / key.sum() if told else 0, abs=2)


@pytest.mark.parametrize("kind", ["pale", "uneven", "within a thing", "black"])
def test_a_gray_thing_that_is_no_shadow_is_not_told(kind):
    """A shadow in hard light is deep but not black, evenly dark, and lies beside the backdrop."""
    rows, cols = np.mgrid[:300, :400]
    thing = (np.abs(rows - 150) < 80) & (np.abs(cols - 200) < 60)
    gray = (np.abs(rows - 150) < 50) & (np.abs(cols - 200) < 40) if kind == "within a thing" else np.zeros_like(thing)
    gray |= (kind != "within a thing") & (np.abs(rows - 190) < 40) & (np.abs(cols - 300) < 42)
    light = {"pale": 0.88, "black": 0.1, "uneven": 0.4 + 0.4 * (cols - 258) / 84}.get(kind, 0.6)
    picture = np.full((300, 400), 0.9)[..., None] * np.ones(3)
    picture[thing] = (0.7, 0.2, 0.2)
    picture = np.where(gray[..., None], 0.9 * np.broadcast_to(light, gray.shape)[..., None], picture)
    picture = np.float32(picture + np.random.default_rng(6).normal(0, 0.004, picture.shape))
    mask = np.float32(thing | gray)
    assert shadowed(picture, mask, mask) == 0
    if kind != "within a thing":
        deep = np.where((gray & ~thing)[..., None], np.float32(0.9 * 0.6), picture)
        assert shadowed(deep, mask, mask) == pytest.approx(gray.sum() / mask.sum(), rel=0.1)


def test_a_shadow_is_told_in_each_pipeline_that_merges_but_not_before_a_busy_scene():
    picture, key, _, shadow = beside_a_disk("with an edge")
    for text in ("luv_threshold: {merge: evidence}", "backdrop_key: {merge: core}", "clean_plate: {merge: core}"):
        step = read_pipeline(f"bgkit: 1\nstages: [{{{text}}}]\n").steps[0]
        layers = Layers(picture).put("mask", key)
        if "plate" in text:
            layers = layers.put("plate", np.full_like(picture, 0.93))
        made = step.apply(layers)
        assert made.facts[step.name]["shade"] > 0.7 * shadow.sum() / key.sum()
    facts = made.facts[step.name]
    assert measure({"shade": 3}, picture, made)["shade"]["flagged"]
    busy = Layers(picture, facts={step.name: {**facts, "chance": 0.1}})
    assert not measure({"shade": 3}, picture, busy).get("shade", {"flagged": False})["flagged"]


def test_a_part_in_the_color_of_the_backdrop_is_told():
    """A third of a box is as white as the wall. The network knows it, the key does not, and nothing soft parts them."""
    rows, cols = np.mgrid[:300, :400]
    box, dark = (np.abs(rows - 150) < 80) & (np.abs(cols - 200) < 100), cols < 230
    picture = np.full((300, 400, 3), 0.93)
    picture[box & dark] = 0.4
    picture = np.float32(picture + np.random.default_rng(4).normal(0, 0.004, picture.shape))
    step = read_pipeline("bgkit: 1\nstages: [{backdrop_key: {merge: core}}]\n").steps[0]
    made = step.apply(Layers(picture).put("mask", np.float32(box)))
    findings = measure({"dropped": 25}, picture, made)
    assert made.mask[box & ~dark].mean() < 0.1
    assert findings["dropped"]["flagged"] and findings["dropped"]["value"] == pytest.approx(35, abs=3)


def across_a_disk(edge: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a round thing that passes through the backdrop's gray, softly or between edges, the key, and the band."""
    rows, cols = np.mgrid[:300, :400]
    disk, band = np.hypot(rows - 150, cols - 200) < 90, np.abs(cols - 200) < 15
    shade = np.where(band, 0, np.sign(cols - 200)) if edge else np.clip((cols - 200) / 90, -1, 1)
    picture = np.full((300, 400, 3), 0.85) + (0.13 * shade * disk)[..., None]
    picture += np.random.default_rng(6).normal(0, 0.004, picture.shape)
    return np.float32(picture), np.float32(disk & ~band), np.float32(disk), disk & band


def test_what_passes_through_the_color_of_the_backdrop_is_filled():
    """A band of a thing that is as bright as the backdrop has no edge: the network's word counts, and nowhere else."""
    picture, key, network, band = across_a_disk(edge=False)
    filled = at_edges(picture, key, network)
    assert key[band].max() == 0 and filled[band].mean() > 0.98
    assert filled[network == 0].max() == 0


@pytest.mark.parametrize("thing", ["with a label", "out of focus"])
def test_edges_beside_what_is_missing_are_told_from_a_gap_that_is_partly_soft(thing):
    """A label ends the band of a thing in edges, and shading beside it says what it is. A gap that is sharp at one end
    and out of focus at the other shows softer borders than edges, too, and is none.
    """
    rows, cols = np.mgrid[:300, :400]
    disk = np.hypot(rows - 150, cols - 200) < 90
    if thing == "with a label":
        dark = np.minimum(0.3 * ((cols - 200) / 90) ** 2, 0.3) + 0.4 * (np.abs(rows - 150) < 30)
    else:
        dark = 0.13 * (np.abs(cols - 200) > 15)
    picture = np.full((300, 400, 3), 0.85) - (dark * disk)[..., None]
    if thing == "out of focus":
        inner = np.s_[80:150, 150:250]
        picture[inner] = cv2.GaussianBlur(picture, (0, 0), 5)[inner]
    key = np.float32(picture.mean(2) < 0.82)
    picture += np.random.default_rng(9).normal(0, 0.003, picture.shape)
    corrected = at_edges(np.float32(picture), key, np.float32(disk))
    if thing == "with a label":
        assert key[disk].mean() < 0.8 and corrected[disk].mean() > 0.97
    else:
        np.testing.assert_array_equal(corrected, key)


def test_a_gap_with_edges_stays_open():
    """Between two leaves the backdrop shows, whatever the network says; nor is a gap filled that it leaves open."""
    picture, key, network, _ = across_a_disk(edge=True)
    np.testing.assert_array_equal(at_edges(picture, key, network), key)
    picture, key, network, band = across_a_disk(edge=False)
    network[band] = 0.5
    np.testing.assert_array_equal(at_edges(picture, key, network), key)


def leaves(cols: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return leaves in shaded light, cut above and below, on a gray ground of so many columns, alpha and an outline."""
    rng, fine = np.random.default_rng(3), np.zeros((900, 4 * 420), np.uint8)
    for angle in rng.uniform(0, 180, 160):
        center = int(840 + 160 * rng.normal()), int(rng.uniform(0, 900))
        cv2.ellipse(fine, center, (int(rng.uniform(50, 100)), 13), angle, 0, 360, 1, -1)
    left, right = (cols - 420) // 2, cols - 420 - (cols - 420) // 2
    alpha = np.pad(cv2.resize(np.float32(fine), (420, 225), interpolation=cv2.INTER_AREA), [(0, 0), (left, right)])
    outline = cv2.morphologyEx(
        np.pad(np.float32(alpha > 0.5), 40, "edge"), cv2.MORPH_CLOSE, np.ones((35, 35), np.uint8)
    )
    ground = 0.62 * (1 - 0.1 * cv2.GaussianBlur(alpha, (0, 0), 12)[..., None])
    picture = alpha[..., None] * np.array([0.25, 0.35, 0.12]) + (1 - alpha[..., None]) * ground
    picture += rng.normal(0, 0.004, picture.shape)
    return np.float32(picture), alpha, np.clip(outline[40:-40, 40:-40], 0.001, 0.999)


@pytest.mark.parametrize("way", ["evidence", "core"])
@pytest.mark.parametrize("cols", [420, 1600])
def test_what_shows_between_leaves_stays_open_on_any_canvas(way, cols, monkeypatch):
    """A network is sure of a plant's outline and knows none of its gaps; the key counts for as much, and shows them."""
    picture, alpha, outline = leaves(cols)
    gaps = (alpha == 0) & (outline > 0.5)
    monkeypatch.setattr("bgkit.evidence.chance_of_key", lambda signs: 0.5)
    monkeypatch.setattr("bgkit.evidence.sees_gaps", lambda signs, chance: True)
    step = read_pipeline(f"bgkit: 1\nstages: [{{luv_threshold: {{merge: {way}}}}}]\n").steps[0]
    key = np.where(gaps, np.float32(0.3), alpha)  # shaded
    mask = step._merged(key, Layers(picture).put("mask", outline), {})
    assert np.count_nonzero(gaps) > 2000
    assert mask[gaps].mean() < 0.4
    assert mask[alpha == 1].mean() > 0.99


@pytest.mark.parametrize("wide", [0, 5])
def test_slits_that_show_no_color_are_gaps_among_wide_ones(wide):
    """Leaves blur into a slit of two pixels; beside wide gaps, none of which the network sees, it is a gap too."""
    thing = np.pad(np.ones((200, 300)), 60)
    slits = [slice(100 + 40 * index, 102 + 40 * index) for index in range(6)]
    for index in range(wide):
        thing[80:240, 115 + 40 * index : 125 + 40 * index] = 0
    for slit in slits:
        thing[80:240, slit] = 0
    alpha = cv2.GaussianBlur(thing, (0, 0), 0.9)
    picture = 0.75 - 0.55 * alpha[..., None] * np.array([1, 0.7, 1])
    picture += np.random.default_rng(6).normal(0, 0.003, picture.shape)
    key, outline = np.float32(alpha > 0.5), cv2.morphologyEx(np.float32(thing), cv2.MORPH_CLOSE, np.ones((25, 25)))
    opened = with_gaps(np.float32(picture), key, outline)
    np.testing.assert_array_equal(opened, key if wide else outline)


@pytest.mark.parametrize("kind", ["of another hue", "with a faint edge", "brighter"])
def test_what_the_key_has_lost_is_no_gap(kind):
    """A stripe between sharp edges that is tinted or brighter, and a part of a thing with a faint edge, are filled."""
    rows, cols = np.mgrid[:300, :400]
    disk, band = np.hypot(rows - 150, cols - 200) < 90, np.abs(cols - 200) < 15
    picture = np.full((300, 400, 3), 0.75)
    picture[disk] = 0.72 if kind == "with a faint edge" else 0.3
    picture[disk & band] = {"of another hue": (0.75, 0.77, 0.71), "brighter": (0.82, 0.82, 0.82)}.get(kind, (0.75,) * 3)
    picture = np.float32(picture + np.random.default_rng(6).normal(0, 0.003, picture.shape))
    key, network = np.float32(disk & ~band), np.float32(disk)
    np.testing.assert_array_equal(with_gaps(picture, key, network), network)
    picture[disk & band], picture[disk & ~band] = 0.75, 0.3
    np.testing.assert_array_equal(with_gaps(picture, key, network), key)


def test_a_speck_where_two_colors_meet_is_no_gap():
    """Between a white star and a blue flag the mixture passes through the backdrop's gray, in a few pixels."""
    picture = np.full((300, 400, 3), 0.5)
    picture[60:240, 80:320] = 0.1
    picture[130:170, 180:220] = 0.9
    key = np.float32(picture[..., 0] != 0.5)
    picture[128:131, 196:199] = 0.5
    key[128:131, 196:199] = 0
    network = np.float32(np.pad(np.ones((180, 240)), ((60, 60), (80, 80))))
    picture = np.float32(picture + np.random.default_rng(6).normal(0, 0.003, picture.shape))
    np.testing.assert_array_equal(with_gaps(picture, key, network), network)


@pytest.mark.parametrize(("brought", "lost"), [(False, False), (False, True), (True, False), (True, True)])
def test_beside_a_plate_gaps_open_only_where_they_are_most_of_what_is_filled(brought, lost, monkeypatch):
    """Slits between bars; and papers behind a mesh, which a plate's key has lost, among them."""
    thing, gaps = np.pad(np.ones((200, 300)), 60), np.zeros((320, 420), bool)
    for left in range(90, 340, 40):
        gaps[80:160, left : left + 12] = True
    picture = 0.75 - 0.55 * (thing * ~gaps)[..., None] * np.array([1, 0.7, 1])
    if lost:
        picture[180:240, 90:330] = 0.75, 0.77, 0.71
    picture = np.float32(picture + np.random.default_rng(6).normal(0, 0.003, picture.shape))
    key, network = np.float32(thing * ~gaps), np.float32(thing)
    key[180:240, 90:330] *= not lost
    monkeypatch.setattr("bgkit.evidence.chance_of_key", lambda signs: 0.5)
    step = read_pipeline("bgkit: 1\nstages: [{luv_threshold: {merge: evidence}}]\n").steps[0]
    layers = Layers(picture).put("mask", np.clip(network, 0.01, 0.99))
    layers = layers.put("plate", np.full_like(picture, 0.75)) if brought else layers
    mask = step._merged(np.clip(key, 0.2, 1), layers, {})
    assert (mask[gaps].mean() < 0.5) == (not brought or not lost)


@pytest.mark.parametrize("way", ["evidence", "core"])
def test_a_merge_leaves_shadows_out_but_not_beside_a_plate(way):
    """Both merges that read evidence leave the shadow to the network, unless an empty plate shows the light."""
    picture, key, network, shadow = beside_a_disk("soft")
    step = read_pipeline(f"bgkit: 1\nstages: [{{luv_threshold: {{merge: {way}}}}}]\n").steps[0]
    for plate, kept in ((None, False), (picture, True)):
        layers = Layers(picture).put("mask", network)
        layers = layers if plate is None else layers.put("plate", plate)
        assert (step._merged(key, layers, {})[shadow].mean() > 0.5) == kept


@pytest.mark.parametrize(("end", "blurred", "filled"), [(270, 0, True), (230, 0, False), (None, 9, False)])
def test_a_thing_that_fades_into_the_wall_is_filled_to_its_side_but_no_rim_is(end, blurred, filled):
    """A box passes into the wall's gray: the network knows where it ends. Out of focus, its outline lies too wide; and
    of what has more than two thirds of its border to the wall, too little speaks for the subject.
    """
    rows, cols = np.mgrid[:300, :400]
    box = (np.abs(rows - 150) < 70) & (np.abs(cols - 200) < 100)
    light = np.clip((cols - end) / (end - 100), -1, 0) if end else np.full(cols.shape, -1.0)
    picture = np.full((300, 400, 3), 0.85) + (0.2 * light * box)[..., None]
    if blurred:
        picture = cv2.GaussianBlur(picture, (0, 0), blurred)
    picture += np.random.default_rng(7).normal(0, 0.003, picture.shape)
    key = np.float32(np.abs(picture.mean(2) - 0.85) > 0.03) * cv2.erode(np.uint8(box), np.ones((3, 3)))
    network = cv2.dilate(np.float32(box), np.ones((13, 13))) if blurred else np.float32(box)
    corrected = at_edges(np.float32(picture), np.float32(key), network)
    if filled:
        right = box & (cols > end - 8)
        assert key[right].mean() < 0.1 and corrected[right].mean() > 0.95
    else:
        np.testing.assert_array_equal(corrected, key)


def test_what_fades_is_filled_beside_a_shadow_that_the_key_kept():
    """The shadow at the foot of the box goes first: its border with what is missing is none of the subject."""
    rows, cols = np.mgrid[:300, :400]
    box = (np.abs(rows - 140) < 70) & (np.abs(cols - 200) < 100)
    foot = cv2.GaussianBlur(np.float32(np.hypot((rows - 214) / 16, (cols - 220) / 130) < 1), (0, 0), 7)
    light = np.clip((cols - 270) / 170, -1, 0)
    picture = np.full((300, 400, 3), 0.85) * (1 - 0.3 * foot[..., None])
    picture[box] = (0.85 + 0.2 * light[box])[:, None]
    picture += np.random.default_rng(8).normal(0, 0.003, picture.shape)
    key = np.float32(np.abs(cv2.blur(picture.mean(2), (3, 3)) - 0.85) > 0.03)
    corrected = at_edges(np.float32(picture), key, np.float32(box))
    right, below = box & (cols > 262), (foot > 0.5) & (rows > 216)
    assert key[right].mean() < 0.2 and corrected[right].mean() > 0.95
    assert key[below].mean() > 0.9 and corrected[below].mean() < 0.1
