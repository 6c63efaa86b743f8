"""Masks and trimaps of large pictures are found on a copy; what matting gives has the picture's own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bgkit import pipeline
from bgkit.layers import Layers
from bgkit.pipelinefile import load_pipeline, read_pipeline

CHAIN = "bgkit: 1\nstages: [luv_threshold, remove_small, make_trimap, closed_form_matting, composite]\n"


@pytest.fixture
def small(monkeypatch):
    """Let 2,000 pixels be as many as are looked at for a mask."""
    monkeypatch.setattr(pipeline, "COARSE", 2000)


@pytest.fixture
def shot():
    """A dark disk with a soft rim on white, of 120 x 160, and its alpha."""
    row, col = np.indices((120, 160))
    alpha = np.float32(np.clip((40 - np.hypot(row - 60, col - 80)) / 3 + 0.5, 0, 1))
    return 1 - 0.8 * alpha[..., None].repeat(3, 2), alpha


def sizes(chain, given, **brought):
    """Return the size of the picture that each step was run on, and what came of it."""
    seen = []
    return seen, chain.run(given, on_step=lambda step, layers, _: seen.append(layers.image.shape[0]), **brought)


def test_steps_to_the_trimap_see_a_copy(small, shot):
    """They see fewer rows; the last of them hands on the whole picture, which the others see."""
    seen, made = sizes(read_pipeline(CHAIN), shot[0])
    assert seen == [38, 38, 120, 120, 120]
    assert made.mask.shape == made.trimap.shape == (120, 160)
    assert set(np.unique(made.trimap)) == {0, 128, 255}


def test_alpha_is_as_good(small, shot, monkeypatch):
    """Where the band covers the contour, matting gives what it gives without the copy."""
    picture, truth = shot
    coarse = read_pipeline(CHAIN).run(picture).alpha
    monkeypatch.setattr(pipeline, "COARSE", picture.size)
    fine = read_pipeline(CHAIN).run(picture).alpha
    assert abs(coarse - truth).mean() <= abs(fine - truth).mean() + 1e-3


def test_what_is_brought_keeps_its_pixels(small, shot):
    """A mask of one's own that nothing refines is drawn into a trimap at full size."""
    mask = (shot[1] > 0.5).astype(np.float32)
    seen, made = sizes(read_pipeline(CHAIN), shot[0], mask=mask)
    assert seen[0] == 38  # remove_small refines it
    chain = read_pipeline("bgkit: 1\nstages: [luv_threshold, make_trimap, closed_form_matting]\n")
    seen, made = sizes(chain, shot[0], mask=mask)
    assert seen == [120, 120]
    np.testing.assert_array_equal(made.mask, mask)


def test_a_mask_that_is_wanted_itself_has_full_size(small, shot):
    """Without a trimap the mask is what was asked for."""
    seen, _ = sizes(read_pipeline("bgkit: 1\nstages: [luv_threshold, remove_small, composite]\n"), shot[0])
    assert set(seen) == {120}


def test_trail_goes_on_within_the_copy(small, shot):
    """A run that resumes at a step on the copy gives what a run from the start gives."""
    trail = []
    first, second = (load_pipeline("classical").with_values({"make_trimap.width": width}) for width in (6, 12))
    first.run(shot[0], trail=trail)
    again, anew = second.run(shot[0], trail=trail), second.run(shot[0])
    np.testing.assert_array_equal(again.result, anew.result)
    assert [step.name for step, _ in trail] == [step.name for step in second.plan()]


def test_layers_let_go_on_the_copy_are_gone(small, shot):
    """What nobody reads is let go, as without a copy."""
    made = read_pipeline(CHAIN).run(shot[0], keep=["result"])
    assert made.given() == ("image", "result")


def test_the_frame_before_is_reduced_too(shot):
    """The last frame of a film has the size of the copy, so that a stage can compare both."""
    layers = replace(Layers.of(shot[0]), previous=Layers.of(shot[0], alpha=shot[1]))
    assert layers.reduced(2000).previous.alpha.shape == layers.reduced(2000).image.shape[:2] == (38, 51)
