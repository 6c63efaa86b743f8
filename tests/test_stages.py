"""What every stage promises, tried on every stage there is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import disk_scene

import bgkit
from bgkit import stages
from bgkit.errors import BgkitError, ConvergenceWarning
from bgkit.layers import LAYERS, Layers
from bgkit.params import as_text
from bgkit.pipelinefile import read_pipeline
from bgkit.threads import set_threads, threads

NAMES = stages.names()


def layers_of(image: np.ndarray, alpha: np.ndarray) -> Layers:
    """Every layer of a scene whose alpha is known."""
    trimap = np.where(alpha <= 0.02, 0, np.where(alpha >= 0.98, 255, 128)).astype(np.uint8)
    return Layers.of(
        image,
        plate=np.full_like(image, 0.9),
        strokes=trimap,
        mask=alpha,
        trimap=trimap,
        alpha=alpha,
        foreground=image,
        result=image,
    )


def run(name: str, layers: Layers, **values) -> np.ndarray:
    """Call a stage as a function on all the layers it can take."""
    info = stages.find(name)
    given = {layer: getattr(layers, layer) for layer in (*info.needs, *info.uses)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a one-pixel trimap may have no answer
        return getattr(stages, name)(**given, **values)


def check_output(name: str, layers: Layers, given: np.ndarray) -> None:
    """Right dtype, shape, order and range."""
    info = stages.find(name)
    kind = LAYERS[info.gives]
    assert given.dtype == kind.dtype
    assert given.flags.c_contiguous
    assert given.ndim == (3 if kind.channels else 2)
    if info.gives != "result":
        assert given.shape[:2] == layers.image.shape[:2]
    if kind.channels:
        assert given.shape[2] in kind.channels
    if info.gives in ("trimap",):
        assert set(np.unique(given)) <= {0, 128, 255}
    else:
        assert np.isfinite(given).all()
        assert given.min() >= 0
        assert given.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_documented(name):
    """A summary of one line, a text for every parameter, a Returns section."""
    info = stages.find(name)
    assert info.summary.endswith(".")
    assert len(info.summary) <= 100
    assert all(param.doc for param in info.params.values()), [p.name for p in info.params.values() if not p.doc]
    assert "\nReturns\n-------" in info.doc


@pytest.mark.parametrize("name", NAMES)
def test_stage_is_a_function_of_its_name(name):
    """bgkit.stages.NAME is the function, and says NAME of itself."""
    function = getattr(bgkit.stages, name)
    assert callable(function)
    assert function.__name__ == name == function.stage.name


@pytest.mark.parametrize("name", NAMES)
def test_default_output(name, scene):
    """With defaults a stage gives its layer in the right form, and leaves its input untouched."""
    layers = layers_of(*scene)
    before = {layer: getattr(layers, layer).copy() for layer in layers.given()}
    given = run(name, layers)
    check_output(name, layers, given)
    for layer, array in before.items():
        assert (getattr(layers, layer) == array).all()
        assert not np.shares_memory(given, getattr(layers, layer))


@pytest.mark.parametrize("name", NAMES)
def test_refuses_values_just_outside(name):
    """Every parameter refuses what lies outside of it, naming stage and parameter."""
    info = stages.find(name)
    for param in info.words.values():
        for bad in param.bad_values():
            with pytest.raises(BgkitError, match=rf"{name}\.{param.name}: "):
                info.check({param.name: bad})


@pytest.mark.parametrize("name", NAMES)
def test_text_and_yaml_round_trip(name):
    """Defaults survive the command line's text and a dumped file."""
    info = stages.find(name)
    for param in info.words.values():
        assert info.read(param.name, as_text(param.default)) == param.default
    pipeline = read_pipeline(f"bgkit: 1\nstages: [{name}]") if _may_stand_first(name) else None
    if pipeline is not None:
        assert read_pipeline(pipeline.dump()).steps[0].values == pipeline.steps[0].values


def _may_stand_first(name: str) -> bool:
    return not {"foreground", "result"} & set(stages.find(name).needs)


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_for_any_number_of_threads(name, scene):
    """Twice with one thread, then with two and four: the same bits."""
    layers = layers_of(*scene)
    before = threads()
    try:
        results = []
        for count in (1, 1, 2, 4):
            set_threads(count)
            results.append(run(name, layers))
    finally:
        set_threads(before)
    for other in results[1:]:
        assert (results[0] == other).all()


SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (3, 17), (2, 3000), (3000, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_smallest_pictures(name, shape):
    """One pixel, one row, one column: the right form, or one clear error; never a crash."""
    rng = np.random.default_rng(1)
    image = rng.random((*shape, 3)).astype(np.float32)
    layers = layers_of(image, rng.random(shape).astype(np.float32))
    check_output(name, layers, run(name, layers))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_constant_pictures_and_masks(name, level):
    """All black, all gray, all white, with masks to match."""
    image = np.full((24, 32, 3), level, np.float32)
    layers = layers_of(image, np.full((24, 32), level, np.float32))
    check_output(name, layers, run(name, layers))


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_refused(name, scene):
    """NaN in any float layer is told before the stage runs."""
    info = stages.find(name)
    layers = layers_of(*scene)
    for layer in info.needs:
        if LAYERS[layer].dtype is np.float32:
            arrays = {other: getattr(layers, other) for other in info.needs}
            arrays[layer] = arrays[layer].copy()
            arrays[layer][3, 3] = np.nan
            with pytest.raises(BgkitError, match=f"{layer}: expected finite values"):
                getattr(stages, name)(**arrays)


@pytest.mark.parametrize("name", NAMES)
def test_pipeline_and_function_agree(name):
    """A stage run by a pipeline gives what the function gives."""
    image, alpha = disk_scene(40, 56, seed=3)
    layers = layers_of(image, alpha)
    if not _may_stand_first(name):
        pytest.skip("cannot stand first in a chain")
    step = read_pipeline(f"bgkit: 1\nstages: [{name}]").steps[0]
    info = stages.find(name)
    assert (getattr(step.apply(layers), info.gives) == run(name, layers)).all()
