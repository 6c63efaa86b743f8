"""Findings: each figure on a drawn scene that has the fault, thresholds from the file, and where they end up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import disk_scene

import bgkit
from bgkit.errors import ParamError, PipelineError
from bgkit.findings import FINDINGS, TRUST, flag_lines, measure, trust_signs
from bgkit.layers import Layers
from bgkit.pipelinefile import load_pipeline, pipeline_schema, read_pipeline, shipped

IMAGE, ALPHA = disk_scene()


def value(name: str, image=IMAGE, alpha=ALPHA, **facts) -> float | None:
    """The figure of one finding."""
    layers = Layers(np.asarray(image, np.float32), alpha=None if alpha is None else np.asarray(alpha, np.float32))
    layers = Layers(layers.image, alpha=layers.alpha, facts=facts)
    return FINDINGS[name].measure(layers.image, layers)


def test_a_good_shot_has_no_fault():
    """A disk on an even ground passes thresholds that are tight."""
    checks = {"backdrop": 90, "unevenness": 2, "touching": 0, "subjects": 1, "holes": 0, "blur": 0.6, "subject": 5}
    found = measure(checks, IMAGE, Layers(IMAGE, alpha=ALPHA))
    assert set(found) == set(checks)
    assert flag_lines(found) == []


def test_missing_is_what_differs_and_was_left_out():
    """Half of the disk dropped is as much missing as is there; a shadow is not, and nothing is on a busy ground."""
    half = ALPHA.copy()
    half[:, : half.shape[1] // 2] = 0
    quiet = np.where(ALPHA[..., None] > 0.5, [0.5, 0.2, 0.2], 0.9)
    assert value("missing", quiet, half) == pytest.approx(100, abs=15)
    assert value("missing", quiet) < 1
    noise = np.random.default_rng(0).random(IMAGE.shape)
    assert value("missing", np.where(ALPHA[..., None] > 0.5, IMAGE, noise), half) is None


def test_covered_is_the_share_of_the_picture():
    """A picture that was kept whole is covered."""
    assert value("covered", alpha=np.ones_like(ALPHA)) == 100


def test_unsolved_is_the_largest_error_a_solver_left():
    """In percent of opacity, over all stages that say one."""
    assert value("unsolved", closed_form_matting={"error": 0.02}, other={"error": 1e-5}) == pytest.approx(2)
    assert value("unsolved") is None


def test_missing_parts_are_a_sign_against_trust():
    """Half of the subject lost shows among the signs of trust, and no sign praises."""
    half = ALPHA.copy()
    half[:, : half.shape[1] // 2] = 0
    quiet = np.where(ALPHA[..., None] > 0.5, [0.5, 0.2, 0.2], 0.9)
    assert trust_signs(quiet.astype(np.float32), Layers(np.float32(quiet), alpha=half))["missing"] > 4
    assert trust_signs(quiet.astype(np.float32), Layers(np.float32(quiet), alpha=ALPHA))["missing"] < 1
    assert TRUST.weights.get("missing", 0) <= 0


def test_nothing_is_missing_where_the_network_alone_is_believed():
    """What looks like a plain backdrop there is none; where the key has a chance, parts are missed as ever."""
    half = ALPHA.copy()
    half[:, : half.shape[1] // 2] = 0
    quiet = np.where(ALPHA[..., None] > 0.5, [0.5, 0.2, 0.2], 0.9)
    assert value("missing", quiet, half, luv_threshold={"chance": 0.2}) is None
    assert value("missing", quiet, half, luv_threshold={"chance": 0.5}) == pytest.approx(100, abs=15)


def test_a_rectangle_that_the_key_kept_may_be_a_box():
    """A network may know only the label of a box: what it leaves out of a rectangle is missing, believed or not."""
    half = ALPHA.copy()
    half[:, : half.shape[1] // 2] = 0
    quiet = np.where(ALPHA[..., None] > 0.5, [0.5, 0.2, 0.2], 0.9)
    facts = {"chance": 0.01, "evidence": {"boxed": 0.6}}
    assert value("missing", quiet, half, luv_threshold=facts) == pytest.approx(100, abs=15)


def test_a_backdrop_counts_only_where_its_key_does():
    """Where a network overruled the key, the result does not hang on the backdrop; trust tells then."""
    busy = np.float32(np.random.default_rng(0).random(IMAGE.shape))
    assert value("backdrop", busy, backdrop_key={"overruled": False}) < 10
    assert value("backdrop", busy, backdrop_key={"overruled": True}) is None


def test_an_unsure_network_costs_trust_as_far_as_it_is_believed():
    """Unsure and believed is trusted less than sure and believed; where the key is taken it makes no difference."""

    def trust(sure, chance):
        return value("trust", cnn_mask={"sure": sure}, luv_threshold={"chance": chance})

    assert trust(0.5, 0.0) < trust(0.95, 0.0) - 5
    assert trust(0.5, 1.0) == trust(0.95, 1.0)


def test_the_most_severe_comes_first():
    """Lines come in the order of FINDINGS, whatever order the pipeline file has; large figures have no exponent."""
    one = {"value": 1361.0, "limit": "at least 1600", "unit": "px", "flagged": True, "do": "shoot larger"}
    lines = flag_lines({"pixels": one, "subject": one | {"value": 0.0, "unit": "%"}})
    assert [line.split()[0] for line in lines] == ["subject", "pixels"]
    assert "1,361 px" in lines[1]


def test_unevenness_sees_light_and_not_a_shadow():
    """A lamp's falloff counts, the subject and a dark spot beside it do not."""
    falloff = np.linspace(1, 0.8, IMAGE.shape[1])[:, None]
    assert value("unevenness", IMAGE * falloff) > 10
    spot = IMAGE.copy()
    spot[70:80, 85:95] *= 0.7
    assert value("unevenness", spot) < 2


def test_clipping_of_ground_and_subject_are_told_apart():
    """What is 255 in all channels counts, on its own side of alpha."""
    burnt = np.where(ALPHA[..., None] > 0.5, IMAGE, 1)
    assert value("backdrop_clipping", burnt) > 99
    assert value("subject_clipping", burnt) == 0
    assert value("subject_clipping", np.ones_like(IMAGE)) == 100


def test_a_colored_highlight_is_burnt_when_two_channels_are():
    """An orange subject that lost red and green is burnt; a pure red one, or an orange ground, is not."""
    inside = ALPHA[..., None] > 0.5
    orange, red = (np.where(inside, color, IMAGE) for color in ([1, 1, 0.3], [1, 0.2, 0.1]))
    assert value("subject_clipping", orange) == 100
    assert value("subject_clipping", red) == 0
    assert value("backdrop_clipping", np.where(inside, IMAGE, [1, 1, 0.9])) == 0


def test_touching_is_the_share_of_the_border():
    """A subject over the whole left side of a square lies on a quarter of the border."""
    alpha = np.zeros((40, 40))
    alpha[:, 0] = 1
    assert value("touching", np.ones((40, 40, 3)), alpha) == pytest.approx(26, abs=1)


def test_subjects_counts_pieces_but_no_specks():
    """Two disks are two, a pixel is none, nothing is none."""
    two = np.concatenate([ALPHA, ALPHA], axis=1)
    two[0, 0] = 1
    assert value("subjects", np.ones((*two.shape, 3)), two) == 2
    assert value("subjects", alpha=np.zeros_like(ALPHA)) == 0


def test_holes_are_what_is_enclosed():
    """A hole counts by its area; a bay that is open to the outside does not."""
    alpha = np.zeros((30, 30))
    alpha[5:25, 5:25] = 1
    alpha[10:12, 10:12] = 0
    alpha[14:16, 5:9] = 0
    assert value("holes", np.ones((30, 30, 3)), alpha) == pytest.approx(100 * 4 / 388)


def test_doubt_grows_with_half_opacity():
    """Half opaque everywhere is the worst; 0 and 1 leave none."""
    assert value("doubt", alpha=np.full_like(ALPHA, 0.5)) == pytest.approx(200)
    assert value("doubt", alpha=np.round(ALPHA)) == 0


def test_a_blurred_subject_is_less_sharp():
    """Each blur raises the figure; a picture without texture has nothing sharp."""
    import cv2

    blocks = np.kron(np.random.default_rng(0).random((12, 16), np.float32), np.ones((8, 8), np.float32))
    sharp = np.repeat(blocks[..., None], 3, 2)
    figures = [value("blur", each) for each in (sharp, cv2.GaussianBlur(sharp, (0, 0), 1), cv2.blur(sharp, (9, 9)))]
    assert figures[0] < figures[1] < figures[2]


def test_disagreement_of_two_masks_is_noted_where_they_merge():
    """A color key that sees no backdrop of that color contradicts the mask that was brought."""
    step = read_pipeline("bgkit: 1\nstages:\n- luv_threshold: {merge: mean}").steps[0]
    same, other = (step.apply(Layers.of(IMAGE, mask=mask)) for mask in (ALPHA, 1 - ALPHA))
    found = [measure({"disagreement": 10}, IMAGE, layers)["disagreement"] for layers in (same, other)]
    assert found[0]["value"] < 5
    assert found[1]["value"] > 90
    assert [each["flagged"] for each in found] == [False, True]


def test_the_rules_of_a_shop_come_from_the_frame():
    """What ``frame`` notes is compared with what the file asks for."""
    chain = "bgkit: 1\nstages: [luv_threshold, composite, frame]\nchecks: {filled: 85, pixels: 1600, pure: 100}"
    found = read_pipeline(chain).run(IMAGE).facts["findings"]
    assert [name for name, each in found.items() if each["flagged"]] == ["pixels"]
    assert flag_lines(found)[0].startswith("pixels 6")


def test_a_figure_that_is_not_there_is_left_out():
    """Without the stage frame there is no frame to judge, without a merge no disagreement."""
    assert measure({"filled": 85, "disagreement": 1}, IMAGE, Layers(IMAGE, alpha=ALPHA)) == {}


def test_thresholds_round_trip_and_can_be_set():
    """They are dumped, count for the digest, and ``checks.NAME`` sets them."""
    plain = read_pipeline("bgkit: 1\nstages: [luv_threshold]")
    checked = plain.with_values({"checks.blur": "0.5"})
    assert checked.checks == {"blur": 0.5}
    assert read_pipeline(checked.dump()).checks == {"blur": 0.5}
    assert checked.digest() != plain.digest()
    assert "checks" not in plain.dump()


@pytest.mark.parametrize(
    ("checks", "error", "message"),
    [
        ("{blurr: 1}", PipelineError, r"pipeline:3:10: checks\.blurr: no such finding; did you mean 'blur'"),
        ("{blur: 7}", ParamError, r"pipeline:3:10: checks\.blur: expected 0\.\.1, got 7"),
        ("[blur]", PipelineError, r"pipeline:3:9: expected findings with their thresholds"),
    ],
)
def test_wrong_thresholds_are_refused_with_their_line(checks, error, message):
    """Name, range and form are checked before the first pixel."""
    with pytest.raises(error, match=message):
        read_pipeline(f"bgkit: 1\nstages: [luv_threshold]\nchecks: {checks}")


def test_the_schema_knows_every_finding():
    """Editors complete the names."""
    assert set(pipeline_schema()["properties"]["checks"]["properties"]) == set(FINDINGS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_smallest_pictures(shape, level):
    """Every figure of a one-pixel picture is a number, or is not there."""
    image, alpha = np.full((*shape, 3), level, np.float32), np.full(shape, level, np.float32)
    for name in FINDINGS:
        got = value(name, image, alpha)
        assert got is None or np.isfinite(got)


def test_every_shipped_pipeline_checks_its_result():
    """None is silent; those that take a backdrop for granted check that there is one."""
    for name in shipped():
        checks = bgkit.load_pipeline(name).checks
        assert {"subject", "covered"} <= set(checks), name
        stages = {step.name for step in bgkit.load_pipeline(name).steps}
        if stages & {"backdrop_key", "luv_threshold", "chroma_key"} and not stages & {"cnn_mask"}:
            assert "backdrop" in checks, name


def test_a_color_key_on_a_busy_picture_is_flagged():
    """The same subject before a studio's paper is not; ``studio-white`` leaves the busy one to its network."""
    rng = np.random.default_rng(2)
    busy = np.kron(rng.random((12, 12, 3)), np.ones((10, 10, 1))).astype(np.float32)
    plain = np.full_like(busy, 0.9) + rng.normal(0, 0.004, busy.shape).astype(np.float32)
    for ground, flagged in ((busy, True), (plain, False)):
        picture = np.clip(ground, 0, 1)
        picture[30:90, 40:80] = [0.6, 0.2, 0.1]
        found = bgkit.load_pipeline("classical").run(picture).facts["findings"]
        assert found["backdrop"]["flagged"] == flagged, found["backdrop"]["value"]
        facts = bgkit.load_pipeline("studio-white").run(picture).facts
        assert facts["backdrop_key"]["overruled"] == flagged == ("backdrop" not in facts["findings"])
        assert "trust" in facts["findings"]


def test_findings_are_the_same_with_one_thread_and_several(monkeypatch):
    """They are measured beside each other, and what two of them need once."""
    checks = load_pipeline("product").checks
    made = load_pipeline("product").run(IMAGE)
    found = []
    for count in (1, 4):
        monkeypatch.setattr("bgkit.findings.threads", lambda count=count: count)
        found.append(measure(checks, IMAGE, replace(made)))
    assert found[0] == found[1]
    alone = FINDINGS["missing"].measure.__wrapped__(IMAGE, made)
    assert FINDINGS["missing"].measure(IMAGE, made) == FINDINGS["missing"].measure(IMAGE, made) == alone
