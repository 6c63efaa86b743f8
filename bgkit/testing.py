"""What every stage promises, as checks that a stage's author runs: ``check_stage(my_stage)``.

Each check tries one promise on small drawn pictures, and fails with an AssertionError that says what was broken.
bgkit's own stages are held to the same checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bgkit import stages
from bgkit.errors import BgkitError
from bgkit.layers import LAYERS, Array, Layers
from bgkit.params import as_text
from bgkit.pipeline import Pipeline, Step
from bgkit.pipelinefile import read_pipeline
from bgkit.stage import Stage
from bgkit.threads import set_threads, threads

__all__ = ["CHECKS", "check_stage", "draw_disk"]

SMALL = ((1, 1), (1, 9), (9, 1), (2, 2), (3, 17), (2, 3000), (3000, 1))  # rows, columns
TEXT_LIMIT = 100  # characters of a summary


def check_stage(stage: Callable[..., Array] | str) -> None:
    """Check that a stage keeps what every stage promises.

    Parameters
    ----------
    stage : function or str
        A function made by ``@stage``, or the name of an installed stage.

    Raises
    ------
    AssertionError
        If a promise is broken; the message names the check.
    TypeError
        If it is no stage.
    """
    function = getattr(stages, stage) if isinstance(stage, str) else stage
    info = getattr(function, "stage", None)
    if not isinstance(info, Stage):
        raise TypeError(f"check_stage: expected a function made by @stage(gives=...), got {function!r}")
    for name, check in CHECKS.items():
        try:
            check(function)
        except (AssertionError, BgkitError) as error:
            raise AssertionError(f"{info.name}: {name}: {error}") from error


def draw_disk(
    rows: int = 96,
    cols: int = 128,
    backdrop: tuple[float, float, float] = (0.9, 0.9, 0.9),
    color: tuple[float, float, float] = (0.7, 0.15, 0.2),
    seed: int = 0,
) -> tuple[Array, Array]:
    """Return a soft-edged disk with slightly noisy colors on a plain backdrop: image and alpha, float32."""
    row, col = np.mgrid[:rows, :cols]
    distance = np.hypot(row - rows / 2, col - cols / 2) - min(rows, cols) / 3.5
    alpha = np.clip(0.5 - distance / 3, 0, 1).astype(np.float32)
    rng = np.random.default_rng(seed)
    image = alpha[..., None] * np.asarray(color, np.float32) + (1 - alpha[..., None]) * np.asarray(backdrop, np.float32)
    return np.clip(image + rng.normal(0, 0.01, image.shape), 0, 1).astype(np.float32), alpha


def _documented(function: Any) -> None:
    """Check for a summary of one line, a text for every parameter, a Returns section, and the function's own name."""
    info = function.stage
    assert function.__name__ == info.name, f"expected the function's name {info.name}, got {function.__name__}"
    assert info.summary.endswith("."), f"expected a summary that ends with a full stop, got {info.summary!r}"
    assert len(info.summary) <= TEXT_LIMIT, f"expected a summary of at most {TEXT_LIMIT} characters"
    missing = [param.name for param in info.params.values() if not param.doc]
    assert not missing, f"expected a text in the section Parameters for {', '.join(missing)}"
    assert "\nReturns\n-------" in info.doc, "expected a section Returns"


def _default_output(function: Any) -> None:
    """Check that with defaults a stage gives its layer in the right form, and leaves its input untouched."""
    layers = _layers_of(*draw_disk())
    before = {name: getattr(layers, name).copy() for name in layers.given()}
    made = _run(function, layers)
    _check_output(function.stage, layers, made)
    for name, array in before.items():
        assert (getattr(layers, name) == array).all(), f"the layer {name} was changed"
        assert not np.shares_memory(made, getattr(layers, name)), f"the result shares memory with the layer {name}"


def _refuses_values_just_outside(function: Any) -> None:
    """Check that every parameter refuses what lies outside of it, naming stage and parameter."""
    info = function.stage
    for param in info.settings.values():
        for bad in param.bad_values():
            try:
                info.check({param.name: bad})
            except BgkitError as error:
                wanted = f"{info.name}.{param.name}: "
                assert wanted in str(error), f"expected a message with {wanted!r}, got {error}"
            else:
                raise AssertionError(f"{param.name} accepts {bad!r}, which lies outside of it")


def _text_and_yaml_round_trip(function: Any) -> None:
    """Check that defaults survive the command line's text and a dumped file."""
    info = function.stage
    for param in info.settings.values():
        again = info.read(param.name, as_text(param.default))
        assert again == param.default, f"{param.name}: expected {param.default!r} again, got {again!r}"
    if _may_stand_first(info) and info.name in stages.names():
        pipeline = read_pipeline(f"bgkit: 1\nstages: [{info.name}]")
        assert read_pipeline(pipeline.dump()).steps[0].values == pipeline.steps[0].values, "YAML changed a value"


def _same_bits_for_any_number_of_threads(function: Any) -> None:
    """Check twice with one thread, then with two and four: the same bits."""
    layers = _layers_of(*draw_disk())
    before = threads()
    results = []
    try:
        for count in (1, 1, 2, 4):
            set_threads(count)
            results.append(_run(function, layers))
    finally:
        set_threads(before)
    for other, how in zip(results[1:], ("a second call", "two threads", "four threads"), strict=True):
        assert (results[0] == other).all(), f"{how} gave other bits"


def _smallest_pictures(function: Any) -> None:
    """Check one pixel, one row, one column: the right form, never a crash."""
    for shape in SMALL:
        rng = np.random.default_rng(1)
        image = rng.random((*shape, 3)).astype(np.float32)
        layers = _layers_of(image, rng.random(shape).astype(np.float32))
        _check_output(function.stage, layers, _run(function, layers))


def _constant_pictures_and_masks(function: Any) -> None:
    """Check all black, all gray, all white, with masks to match."""
    for level in (0.0, 0.5, 1.0):
        image = np.full((24, 32, 3), level, np.float32)
        layers = _layers_of(image, np.full((24, 32), level, np.float32))
        _check_output(function.stage, layers, _run(function, layers))


def _refuses_nan(function: Any) -> None:
    """Check that NaN in any float layer is refused before the stage runs."""
    info = function.stage
    layers = _layers_of(*draw_disk())
    for name in info.needs:
        if LAYERS[name].dtype is np.float32:
            arrays = {other: getattr(layers, other) for other in info.needs}
            arrays[name] = arrays[name].copy()
            arrays[name][3, 3] = np.nan
            try:
                function(**arrays)
            except BgkitError as error:
                assert f"{name}: expected finite values" in str(error), f"NaN in {name}: {error}"
            else:
                raise AssertionError(f"NaN in the layer {name} was not refused")


def _pipeline_and_function_agree(function: Any) -> None:
    """Check that a stage run by a pipeline gives what the function gives."""
    info = function.stage
    if not _may_stand_first(info):
        return
    layers = _layers_of(*draw_disk(40, 56, seed=3))
    step = Pipeline("check", (Step(info, info.check({})),)).steps[0]
    made = getattr(step.apply(layers), info.gives)
    assert (made == _run(function, layers)).all(), "the pipeline gave another result than the function"


# In order: what costs least comes first.
CHECKS: Mapping[str, Callable[[Any], None]] = {
    "is documented": _documented,
    "refuses values just outside": _refuses_values_just_outside,
    "text and YAML round trip": _text_and_yaml_round_trip,
    "refuses NaN": _refuses_nan,
    "output with defaults": _default_output,
    "constant pictures and masks": _constant_pictures_and_masks,
    "smallest pictures": _smallest_pictures,
    "pipeline and function agree": _pipeline_and_function_agree,
    "same bits for any number of threads": _same_bits_for_any_number_of_threads,
}


def _layers_of(image: Array, alpha: Array) -> Layers:
    """Return every layer of a scene whose alpha is known."""
    trimap = np.where(alpha <= 0.02, 0, np.where(alpha >= 0.98, 255, 128)).astype(np.uint8)
    darker = 0.4 if image.mean() >= 0.5 else -0.4  # the second ground; something of it is always seen
    made = Layers.of(
        image,
        plate=np.full_like(image, 0.9),
        second=np.clip(image - darker * (1 - np.minimum(alpha, 0.7))[..., None], 0, 1),
        next=np.roll(image, 2, 1),
        strokes=trimap,
        mask=alpha,
        trimap=trimap,
        alpha=alpha,
        foreground=image,
        background=image,
        result=image,
    )
    return replace(made, previous=made.as_previous())


def _run(function: Any, layers: Layers) -> Array:
    """Call a stage as a function on all the layers that it can take."""
    info = function.stage
    given = {name: getattr(layers, name) for name in (*info.needs, *info.uses)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a trimap of one pixel may have no answer, noise deserve a word
        made: Array = function(**given)
    return made


def _check_output(info: Stage, layers: Layers, made: Array) -> None:
    """Check dtype, shape, order and range."""
    kind, at = LAYERS[info.gives], f"for a picture of {layers.image.shape[0]} x {layers.image.shape[1]}"
    assert made.dtype == kind.dtype, f"expected {np.dtype(kind.dtype).name}, got {made.dtype} {at}"
    assert made.flags.c_contiguous, f"expected a C-contiguous array {at}"
    assert made.ndim == (3 if kind.channels else 2), f"got shape {made.shape} {at}"
    assert info.gives == "result" or made.shape[:2] == layers.image.shape[:2], f"got shape {made.shape} {at}"
    assert not kind.channels or made.shape[2] in kind.channels, f"got shape {made.shape} {at}"
    if info.gives == "trimap":
        assert set(np.unique(made)) <= {0, 128, 255}, f"expected 0, 128 and 255, got {np.unique(made)} {at}"
    else:
        assert np.isfinite(made).all(), f"got NaN or infinity {at}"
        assert made.min() >= 0 and made.max() <= 1, f"expected 0..1, got {made.min():g}..{made.max():g} {at}"


def _may_stand_first(info: Stage) -> bool:
    return not {"foreground", "result"} & set(info.needs)
