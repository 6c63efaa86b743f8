"""Salient-object metrics against PySODMetrics' numbers and examples worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from salient_oracle import NUMBERS, cases, is_broad

from bgkit.errors import LayerError, ParamError
from bgkit.evaluate import salient
from bgkit.evaluate.metrics import METRICS, score, summarize

ORACLE = json.loads(NUMBERS.read_text())
NAMES = [name for name in ORACLE["set"] if name in METRICS]


def as_share(picture):
    """What reading an 8-bit file gives."""
    return picture.astype(np.float32) / np.float32(255)


def score_case(name):
    prediction, truth = cases()[name]
    return score(as_share(prediction), as_share(truth), names=NAMES)


@pytest.mark.parametrize("name", cases())
def test_picture_is_the_oracles(name):
    """Every metric and curve of one picture is PySODMetrics' to 1e-9."""
    ours, theirs = score_case(name), ORACLE["pictures"][name]
    for metric in NAMES:
        if theirs[metric] is not None:
            assert ours.values[metric] == pytest.approx(theirs[metric], abs=1e-9), metric
    for curve in ("f_curve", "e_curve"):
        np.testing.assert_allclose(ours.curves[curve][::15], theirs[curve], atol=1e-9, err_msg=curve)


def test_set_is_the_oracles():
    """Over a set, curves are averaged before their maximum is taken, as PySODMetrics does."""
    figures = summarize([score_case(name) for name, (_, truth) in cases().items() if is_broad(truth)])
    for metric in NAMES:
        assert figures[metric] == pytest.approx(ORACLE["set"][metric], abs=1e-9), metric


def test_worked_by_hand():
    """Of 4 pixels 2 are subject; the map says 1, 0.4, 0.6, 0 in their order: subject, subject, ground, ground.

    MAE = (0 + 0.6 + 0.6 + 0) / 4; above one half 1 hit, 1 alarm, 1 miss; mean 0.5, so the adaptive
    threshold is 1, with 1 hit and no alarm: F = 1.3 * 1 * 0.5 / (0.3 + 0.5).
    """
    pair = salient.prepare(np.array([[1, 0.4, 0.6, 0]]), np.array([[1, 1, 0, 0.0]]))
    assert salient.mae(pair) == pytest.approx(0.3)
    assert salient.precision_recall(pair) == (0.5, 0.5)
    assert salient.iou(pair) == pytest.approx(1 / 3)
    assert salient.adaptive_f(pair) == pytest.approx(1.3 * 0.5 / 0.8)


def test_curves_by_hand():
    """The same map: precision and recall at the thresholds 255, 150, 100 and 0."""
    pair = salient.prepare(np.array([[1, 0.4, 0.6, 0]]), np.array([[1, 1, 0, 0.0]]))
    precision, recall = salient.precision_recall_curves(pair)
    at = 255 - np.array([255, 150, 100, 0])
    np.testing.assert_allclose(precision[at], [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall[at], [1 / 2, 1 / 2, 1, 1])


def test_stretch_is_optional():
    """A map that says 0.2 where the subject is finds it when stretched, and nothing otherwise."""
    prediction, truth = np.array([[0.2, 0.0]]), np.array([[1.0, 0.0]])
    assert salient.iou(salient.prepare(prediction, truth)) == 1
    assert salient.iou(salient.prepare(prediction, truth, stretch=False)) == 0


def test_one_half_is_not_marked():
    """Level 127 of 254 stretches to exactly one half, which is not above it."""
    pair = salient.prepare(np.array([[0, 127, 254]]) / 255, np.array([[0, 1.0, 1]]))
    assert salient.precision_recall(pair) == (1, 0.5)


def test_single_pixel():
    """One pixel, right: everything is perfect, also E, whose formula divides by the size less one."""
    values = score(np.ones((1, 1)), np.ones((1, 1)), names=NAMES).values
    assert values.pop("mae") == 0
    assert list(values.values()) == pytest.approx([1] * (len(NAMES) - 1))


def test_subject_in_last_column():
    """A quarter without pixels has no weight in S (PySODMetrics answers NaN here)."""
    truth = np.zeros((5, 5))
    truth[:, 4] = 1
    assert salient.s_measure(salient.prepare(truth, truth)) == pytest.approx(1)


def test_float_and_8_bit_agree():
    """A float64 map gives what its 8-bit file gives: it is rounded, not truncated."""
    prediction, truth = cases()["soft with noise"]
    a = score(np.maximum(prediction / 255 - 0.001, 0), truth / 255, names=NAMES)
    b = score(as_share(prediction), as_share(truth), names=NAMES)
    assert a.values == b.values


def test_sizes_must_agree():
    """Another size is an error that names both."""
    with pytest.raises(LayerError, match=r"\(2, 3\).*\(3, 2\)"):
        salient.prepare(np.zeros((2, 3)), np.zeros((3, 2)))


def test_wrong_name_is_an_error():
    """An unknown metric is refused with the nearest name."""
    with pytest.raises(ParamError, match="did you mean 's_measure'"):
        score(np.zeros((2, 2)), np.zeros((2, 2)), names=["smeasure"])


def test_only_what_is_asked():
    """Only the metrics asked for are computed, in the table's order."""
    assert list(score(np.eye(3), np.eye(3), names=["sad", "mae"]).values) == ["mae", "sad"]


def test_undefined_does_not_count():
    """A picture where a mean is undefined is left out of that mean alone."""
    known, unknown = np.zeros((2, 2), np.uint8), np.full((2, 2), 128, np.uint8)
    ones, zeros = np.ones((2, 2)), np.zeros((2, 2))
    scores = [score(ones, zeros, trimap, names=["mse", "sad"]) for trimap in (known, unknown)]
    assert summarize(scores) == {"sad": pytest.approx(0.002), "mse": 1}


@pytest.mark.parametrize("bad", [255.0, -0.5, np.nan])
def test_values_outside_are_refused(bad):
    """Values that were not divided by 255, negative ones and NaN are errors, not wrapped around."""
    with pytest.raises(LayerError, match=r"prediction: expected values in 0\.\.1"):
        score(np.array([[0.0, bad]]), np.zeros((1, 2)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (4, 6)])
@pytest.mark.parametrize("prediction", [0, 0.3, 1])
@pytest.mark.parametrize("truth", [0, 1])
def test_every_metric_answers(shape, prediction, truth):
    """Empty, full and constant pictures of the smallest sizes get a number; mBA has no outline to measure."""
    values = score(np.full(shape, prediction, np.float32), np.full(shape, truth, np.float32)).values
    assert [name for name, value in values.items() if not np.isfinite(value)] == ["mba"]
