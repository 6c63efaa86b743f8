"""Stages: plain functions from layers to one layer, made known by ``@stage``.

The positional names of a stage are the layers it needs (those with a default of None are used when
they are there), its keyword-only names are its parameters. A stage stays a function::

    alpha = bgkit.stages.closed_form_matting(image, trimap, epsilon=1e-6)

Called so, it takes arrays of any usual dtype and checks them; the pipeline runner, whose layers are
checked already, calls :attr:`Stage.function`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec

from bgkit.errors import LayerError, ParamError, PipelineError
from bgkit.layers import LAYERS, Array, as_layer, check_previous
from bgkit.params import Param, check_values, read_params

__all__ = ["MERGE", "PREVIOUS", "Stage", "collect_notes", "note", "plugin", "plugin_names", "register", "stage"]

P = ParamSpec("P")

GROUP = "bgkit.stages"
PREVIOUS = "previous"  # not an array, but the layers of the last frame of a film: a stage may use them, never need them

MERGE = Param(
    "merge",
    Literal["replace", "min", "max", "mean", "product", "odds", "evidence", "core"],
    "replace",
    doc="How the new mask meets the mask so far: mean and odds show contradiction as 0.5; in odds 0.5 has no effect; "
    "evidence takes a color key as far as the picture shows a plain backdrop, and else the mask so far; "
    "core takes a color key, and lets the mask so far make solid what it leaves soft inside the subject.",
)


@dataclass(frozen=True)
class Stage:
    """What is known of a stage, all of it read from its function."""

    name: str
    gives: str
    needs: tuple[str, ...]
    uses: tuple[str, ...]  # layers it takes when they are there
    params: Mapping[str, Param]
    function: Callable[..., Array]

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @property
    def settings(self) -> dict[str, Param]:
        """The parameters as a pipeline file knows them: with ``merge`` where a mask is given."""
        return {**self.params, "merge": MERGE} if self.gives == "mask" else dict(self.params)

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a value for every setting of a step; a wrong one raises ParamError with the stage's name."""
        return self._named(lambda: check_values(self.settings, values))

    def read(self, name: str, text: Any) -> Any:
        """Return the value of one setting from text, or checked as it is."""
        if name not in self.settings:
            self.check({name: text})
        return self._named(lambda: self.settings[name].read(text))

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the stage's parameters."""
        return {
            "type": "object",
            "description": self.summary,
            "properties": {name: param.schema() for name, param in self.settings.items()},
            "additionalProperties": False,
        }

    def form(self) -> dict[str, Any]:
        """Return the schema with what a form shows of each parameter."""
        return {**self.schema(), "properties": {name: param.form() for name, param in self.settings.items()}}

    def _named(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ParamError as error:
            raise ParamError(f"{self.name}.{error}") from None


def stage(*, gives: str) -> Callable[[Callable[P, Array]], Callable[P, Array]]:
    """Make a function a stage that gives the layer ``gives``; it keeps its signature."""
    if gives not in LAYERS:
        raise TypeError(f"@stage(gives={gives!r}): no such layer")

    def declare(function: Callable[P, Array]) -> Callable[P, Array]:
        info = _read(function, gives)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Array:
            layers, values = _sort_arguments(info, args, kwargs)
            return info.function(**layers, **values)

        call.stage = info  # type: ignore[attr-defined]
        return call

    return declare


def _read(function: Callable[..., Array], gives: str) -> Stage:
    needs: list[str] = []
    uses: list[str] = []
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind is argument.KEYWORD_ONLY:
            continue
        if name == PREVIOUS and argument.default is None:
            uses.append(name)
            continue
        if name not in LAYERS or argument.kind is not argument.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"{function.__name__}: positional argument {name!r} is not a layer")
        (needs if argument.default is argument.empty else uses).append(name)
    params = read_params(function)
    if "merge" in params:
        raise TypeError(f"{function.__name__}: 'merge' is the runner's word")
    return Stage(function.__name__, gives, tuple(needs), tuple(uses), params, function)


def _sort_arguments(
    info: Stage, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Split a direct call into checked layers and checked parameters."""
    names = info.needs + info.uses
    if len(args) > len(names):
        raise TypeError(f"{info.name}() takes {len(names)} layers ({', '.join(names)}); parameters go by name")
    given = dict(zip(names, args, strict=False))
    for name in set(kwargs) & set(names):
        given[name] = kwargs.pop(name)
    previous = given.pop(PREVIOUS, None)
    layers = {name: as_layer(name, array) for name, array in given.items() if array is not None}
    for name in info.needs:
        if name not in layers:
            raise LayerError(f"{info.name}: needs the layer {name!r}")
    first = next(iter(layers), "")
    for name, array in layers.items():
        if name != "result" and array.shape[:2] != layers[first].shape[:2]:
            raise LayerError(
                f"{info.name}: {first} and {name} must share a size, "
                f"got {layers[first].shape[:2]} and {array.shape[:2]}"
            )
    if previous is not None:
        check_previous(previous, layers[first])
        layers[PREVIOUS] = previous
    if "merge" in kwargs:
        raise ParamError(f"{info.name}.merge: only a pipeline has a mask so far to merge with")
    return layers, {name: value for name, value in info.check(kwargs).items() if name != "merge"}


_registered: dict[str, Callable[..., Array]] = {}


def register(function: Callable[P, Array]) -> Callable[P, Array]:
    """Make a stage known by its name in this process, as in a notebook; return it, so that it serves as a decorator.

    A stage of the same name that was registered before is replaced. Worker processes do not know it: what they are to
    run stands in a package that names it as an entry point.

    Raises
    ------
    TypeError
        If it is no stage.
    """
    info = getattr(function, "stage", None)
    if not isinstance(info, Stage):
        raise TypeError(f"register: expected a function made a stage by @stage(gives=...), got {function!r}")
    _registered[info.name] = function
    return function


def plugin_names() -> list[str]:
    """Return the names of the stages that are registered or come from other packages, without importing these."""
    from importlib.metadata import entry_points  # takes 10 ms to import

    return sorted({*entry_points(group=GROUP).names, *_registered})


def plugin(name: str) -> Callable[..., Array] | None:
    """Return the stage ``name`` that was registered or that another package brings (``bgkit.stages``), or None.

    Raises
    ------
    PipelineError
        If the package cannot be imported, or what it names is no stage.
    """
    return _registered.get(name) or _of_package(name)


@functools.cache
def _of_package(name: str) -> Callable[..., Array] | None:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=name):
        package = point.dist.name if point.dist else point.value
        try:
            loaded: Callable[..., Array] = point.load()
        except Exception as error:
            raise PipelineError(f"stage {name!r} of the package {package} cannot be loaded: {error}") from error
        info = getattr(loaded, "stage", None)
        if not isinstance(info, Stage) or info.name != name:
            raise PipelineError(f"stage {name!r} of the package {package}: {point.value} is not a stage of that name")
        return loaded
    return None


_notes: ContextVar[dict[str, Any] | None] = ContextVar("bgkit_notes", default=None)


def note(**facts: Any) -> None:
    """Tell the runner facts about the step that is running: a residual, the network used.

    They end up in ``layers.facts[stage name]``. Outside a pipeline run nothing is kept.
    """
    collected = _notes.get()
    if collected is not None:
        collected.update(facts)


@contextmanager
def collect_notes() -> Iterator[dict[str, Any]]:
    """Collect what stages :func:`note` inside the block."""
    facts: dict[str, Any] = {}
    token = _notes.set(facts)
    try:
        yield facts
    finally:
        _notes.reset(token)
