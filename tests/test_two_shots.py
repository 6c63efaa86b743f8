"""Alpha from two shots: exact where the equations say so, and an error or a word where they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import disk_scene

from bgkit.errors import LayerError
from bgkit.pipelinefile import load_pipeline
from bgkit.stage import collect_notes
from bgkit.stages import two_grounds


def shots(first=(0.9, 0.9, 0.9), second=(0.1, 0.5, 0.2), noise=0.0, falloff=0.0):
    """Return two shots of one colorful subject with glass and hair, its alpha, and its color."""
    rng = np.random.default_rng(4)
    row, col = np.mgrid[:96, :128]
    inside = np.hypot(row - 48, col - 64) < 30
    alpha = np.where(inside, 0.3 + 0.7 * (col > 64), 0.0)  # glass on the left
    alpha[np.ix_(range(20, 76), range(96, 110, 3))] = 0.4  # hairs
    alpha = alpha.astype(np.float32)
    color = rng.random((96, 128, 3), np.float32)
    light = (1 - falloff * ((col / 128 - 0.5) ** 2))[:, :, None].astype(np.float32)
    made = [
        alpha[:, :, None] * color + (1 - alpha[:, :, None]) * np.float32(ground) * light for ground in (first, second)
    ]
    made = [np.clip(each + rng.normal(0, noise, each.shape), 0, 1).astype(np.float32) for each in made]
    return *made, alpha, color


def test_drawn_shots_give_their_alpha():
    """Glass, hair and a colorful subject come out to half a level of 255, whatever their color."""
    one, two, alpha, _ = shots()
    assert np.abs(two_grounds(one, two) - alpha).max() < 0.002


def test_uneven_light_on_the_grounds_is_followed():
    """Each ground is a smooth surface through its shot's border."""
    one, two, alpha, _ = shots(falloff=0.4)
    assert np.abs(two_grounds(one, two) - alpha).max() < 0.01


def test_given_colors_are_exact():
    """Of rendered pictures the grounds' colors are known; no border is needed."""
    one, two, alpha, _ = shots((1, 1, 1), (0, 0, 0))
    part = np.s_[30:70, 40:100]
    np.testing.assert_allclose(two_grounds(one[part], two[part], ground="colors"), alpha[part], atol=1e-6)


def test_noise_grows_by_the_grounds_difference():
    """Noise of 1 % on grounds 0.57 apart leaves an rms error below 2 % of alpha."""
    one, two, alpha, _ = shots(noise=0.01)
    assert np.sqrt(((two_grounds(one, two) - alpha) ** 2).mean()) < 0.02


def test_grounds_alike_in_a_part_are_said():
    """Two grounds whose brightness crosses tell nothing where it does."""
    one, two, alpha, color = shots()
    ramp = np.linspace(0.2, 0.9, 128, dtype=np.float32)[None, :, None]
    one, two = (alpha[:, :, None] * color + (1 - alpha[:, :, None]) * each for each in (ramp, ramp[:, ::-1]))
    with pytest.warns(UserWarning, match=r"the grounds are alike in .*% of the picture"):
        two_grounds(one, two)


def test_an_error_names_its_stage_once():
    """Also in a pipeline, which names the step."""
    one, *_ = shots()
    with pytest.raises(LayerError, match=r"^two_grounds: expected"):
        load_pipeline("two-grounds").run(one, second=one)


def test_grounds_alike_are_refused():
    """Nothing can be told from two shots on nearly the same ground."""
    one, two, *_ = shots((0.9, 0.9, 0.9), (0.85, 0.85, 0.85))
    with pytest.raises(LayerError, match=r"expected grounds that differ by 10% or more, got 5\.0%"):
        two_grounds(one, two)


@pytest.mark.parametrize("colors", [(), ("white",), ("white", "black", "red")])
def test_other_than_two_colors_are_refused(colors):
    """Each shot has one ground."""
    one, two, *_ = shots()
    with pytest.raises(LayerError, match=f"expected two colors, that of each ground, got {len(colors)}"):
        two_grounds(one, two, ground="colors", colors=colors)


def test_a_moved_subject_is_said():
    """Where no alpha explains the difference of the shots, a warning says so."""
    one, two, *_ = shots()
    with pytest.warns(UserWarning, match="subject, camera or light moved"), collect_notes() as facts:
        two_grounds(one, np.roll(two, 6, axis=1))
    assert facts["misfit"] > 0.05


@pytest.mark.parametrize("ground", [(0.1, 0.5, 0.2), (0.05, 0.05, 0.05)])
def test_a_smooth_subject_that_moved_is_said(ground):
    """Three pixels leave a difference at the rim alone, which the mean over the subject hides."""
    one, two = smooth_shots(ground)
    with pytest.warns(UserWarning, match="subject, camera or light moved"), collect_notes() as facts:
        two_grounds(one, np.roll(two, 3, axis=1))
    assert facts["misfit"] < 0.05
    assert facts["rim"] > 0.035


@pytest.mark.parametrize("subject", ["glass", "gray"])
def test_what_some_alpha_explains_is_said_by_its_contours(subject):
    """Glass or a gray disk before white and black, moved by 3 px: nothing is left of the difference."""
    row, col = np.mgrid[:240, :320]
    within = np.hypot(row - 120, col - 160)
    opaque = 0.12 + 0.4 * np.exp(-(((within - 66) / 3) ** 2)) if subject == "glass" else 1.0
    alpha = (np.clip((70 - within) / 3 + 0.5, 0, 1) * opaque)[:, :, None]
    noise = np.random.default_rng(0).normal(0, 0.01, (2, 240, 320, 3))
    one, two = (
        np.clip(alpha * 0.6 + (1 - alpha) * ground + each, 0, 1).astype(np.float32)
        for ground, each in zip((0.95, 0.05), noise, strict=True)
    )
    with collect_notes() as facts:
        two_grounds(one, two)
    assert np.hypot(*facts["slid"]) < 0.5
    with pytest.warns(UserWarning, match=r"differ by a shift of 3\.[0-3] px in more"), collect_notes() as facts:
        two_grounds(one, np.roll(two, 3, axis=1))
    assert facts["rim"] < 0.035
    assert facts["slid"] == pytest.approx((0, 3), abs=0.3)


@pytest.mark.parametrize("ground", [(0.1, 0.5, 0.2), (0.05, 0.05, 0.05)])
def test_noise_is_no_movement(ground):
    """Shots with 2 % of noise whose subject stood still pass without a word: warnings are errors here."""
    with collect_notes() as facts:
        two_grounds(*smooth_shots(ground, noise=0.02))
    assert facts["rim"] < 0.02


def smooth_shots(ground, noise: float = 0.01):
    """Return shots of a brown disk on light gray and on another ground."""
    rng = np.random.default_rng(0)
    row, col = np.mgrid[:240, :320]
    alpha = np.clip((70 - np.hypot(row - 120, col - 160)) / 3 + 0.5, 0, 1)[:, :, None]
    grounds = (0.9, 0.9, 0.9), ground
    made = [alpha * [0.5, 0.35, 0.25] + (1 - alpha) * each + rng.normal(0, noise, (240, 320, 3)) for each in grounds]
    return [np.clip(each, 0, 1).astype(np.float32) for each in made]


def test_the_pipeline_gives_alpha_and_color():
    """The pipeline two-grounds takes the second shot as a layer, and the cutout has the subject's own color."""
    image, alpha = disk_scene()
    second = image - (1 - alpha[..., None]) * np.float32([0.6, 0.3, 0.7])
    cut = load_pipeline("two-grounds").run(image, second=second)
    assert np.abs(cut.alpha - alpha).mean() < 0.005
    sure = alpha > 0.5
    assert np.abs(cut.foreground[sure] - np.float32([0.7, 0.15, 0.2])).mean() < 0.03
