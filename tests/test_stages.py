"""What every stage promises, tried on every stage there is, plug-ins included."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

import bgkit
from bgkit import stages
from bgkit.errors import PipelineError
from bgkit.params import Range
from bgkit.pipelinefile import read_pipeline
from bgkit.stage import stage
from bgkit.testing import CHECKS, check_stage


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr("bgkit.stage._registered", {})


@pytest.mark.parametrize("check", CHECKS.values(), ids=[name.replace(" ", "-") for name in CHECKS])
@pytest.mark.parametrize("name", stages.names())
def test_contract(name, check):
    """Every stage passes every check of bgkit.testing."""
    check(getattr(bgkit.stages, name))


def half(image, *, level: Annotated[float, Range(0, 1)] = 0.5):
    """Mark what is brighter than a level.

    Parameters
    ----------
    image : array
    level : float
        Larger marks less.

    Returns
    -------
    array
    """
    return (image.mean(axis=2) > level).astype(np.float32)


def undocumented(image, *, level: float = 0.5):
    """Mark what is brighter than a level.

    Returns
    -------
    array
    """
    return (image.mean(axis=2) > level).astype(np.float32)


def writes_into_its_input(image, mask):
    """Return the mask that came in.

    Returns
    -------
    array
    """
    return mask


def wrong_dtype(image):
    """Mark in double precision.

    Returns
    -------
    array
    """
    return image.mean(axis=2, dtype=np.float64)


def random_result(image):
    """Mark by chance.

    Returns
    -------
    array
    """
    return np.random.default_rng().random(image.shape[:2]).astype(np.float32)


def out_of_range(image):
    """Mark beyond all bounds.

    Returns
    -------
    array
    """
    return image.mean(axis=2) + np.float32(0.1)


def fails_on_one_row(image):
    """Mark by the difference of rows.

    Returns
    -------
    array
    """
    return np.abs(image[1:] - image[:-1]).mean(axis=2).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (undocumented, "undocumented: is documented: expected a text in the section Parameters for level"),
        (writes_into_its_input, "output with defaults: the result shares memory with the layer mask"),
        (wrong_dtype, "output with defaults: expected float32, got float64"),
        (random_result, "(pipeline and function agree|same bits for any number of threads): "),
        (out_of_range, r"expected 0\.\.1, got"),
        (fails_on_one_row, "output with defaults: got shape"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_check_stage_finds_broken_promises(function, why):
    """Each fault is found, with the name of the check."""
    with pytest.raises(AssertionError, match=why):
        check_stage(stage(gives="mask")(function))


def test_registered_stages_are_found_by_name():
    """A stage from a notebook passes the checks, stands in pipelines, and may be registered again."""
    made = stages.register(stage(gives="mask")(half))
    check_stage(made)
    assert bgkit.stages.half is made and "half" in stages.names() and "half" in dir(stages)
    picture = np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    assert read_pipeline("bgkit: 1\nstages: [half: {level: 0.9}]").run(picture).mask.tolist() == [[0, 0], [0, 1]]
    again = stages.register(stage(gives="mask")(half))
    assert bgkit.stages.half is again


def test_register_refuses_what_would_hide_a_stage():
    """The name of one of bgkit's own, and what is no stage."""
    with pytest.raises(PipelineError, match="'dense_crf' is a stage of bgkit"):
        stages.register(stages.dense_crf)
    with pytest.raises(TypeError, match="made a stage by @stage"):
        stages.register(half)
    with pytest.raises(TypeError, match="made by @stage"):
        check_stage(half)


def test_an_unknown_stage_is_told_with_the_nearest():
    """Also as an attribute."""
    with pytest.raises(AttributeError, match="did you mean 'dense_crf'"):
        _ = bgkit.stages.dense_cfr
