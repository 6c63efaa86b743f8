"""Levels: faint opacity goes, the rest stays, and nothing changes its order."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.pipelinefile import read_pipeline
from bgkit.stages import levels

RAMP = np.linspace(0, 1, 1001, dtype=np.float32)[None]


@pytest.mark.parametrize(("clear", "solid"), [(0.05, 0.05), (0.02, 0.1), (0.16, 0.16)])
def test_both_ends_are_drawn_in(clear, solid):
    """Up to ``clear`` there is nothing, from ``1 - solid`` on everything."""
    made = levels(RAMP, clear=clear, solid=solid)
    assert made[clear - 1e-3 >= RAMP].max() == 0
    assert made[1 - solid + 1e-3 <= RAMP].min() == 1


def test_the_middle_stays():
    """Between three times both limits no value moves by more than rounding."""
    made = levels(RAMP, clear=0.05, solid=0.1)
    middle = (RAMP > 0.15) & (RAMP < 0.7)
    np.testing.assert_allclose(made[middle], RAMP[middle], atol=1e-6)


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.16])
def test_order_is_kept(limit):
    """More opacity never becomes less than less opacity."""
    assert np.diff(levels(RAMP, clear=limit, solid=limit)[0]).min() >= 0


def test_nothing_is_done_at_zero():
    """Both limits 0 leave every value."""
    np.testing.assert_allclose(levels(RAMP, clear=0, solid=0), RAMP, atol=1e-7)


def test_no_veil_is_left_on_white():
    """The ground beside the subject is exactly white, which it is not without the stage."""
    alpha = np.full((8, 8), 0.03)
    alpha[2:6, 2:6] = 1
    image = np.full((8, 8, 3), 0.4)
    chain = "bgkit: 1\nstages: [{}composite]"
    veiled, clean = (read_pipeline(chain.format(first)).run(image, alpha=alpha).result for first in ("", "levels, "))
    assert veiled.max() < 1
    assert (clean[alpha < 1] == 1).all()


def test_the_pictures_own_opacity_counts_once():
    """A half-transparent picture is half opaque after the stage, not a quarter."""
    image = np.ones((8, 8, 4), np.float32)
    image[2:6, 2:6, :3] = [1, 0, 0]
    image[..., 3] = 0.5
    made = read_pipeline("bgkit: 1\nstages: [luv_threshold, levels, composite: {background: none}]").run(image)
    assert made.alpha[3, 3] == pytest.approx(0.5)
