"""Pipeline files: YAML to a checked :class:`~bgkit.pipeline.Pipeline`.

A file names its format, may describe itself, and lists its stages::

    bgkit: 1
    description: Product on white.
    stages:
      - luv_threshold: {tolerance: 12}
      - cnn_mask: {model: coarse, merge: mean}
      - make_trimap
      - closed_form_matting
      - composite: {background: white}
    checks: {touching: 0, subjects: 1}

The stages are a list and no graph; ``checks`` are thresholds for findings (:mod:`bgkit.findings`).
No includes, variables or expressions. Every message carries file, line and column.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from bgkit import stages
from bgkit.errors import BgkitError, PipelineError, brief, cut, did_you_mean
from bgkit.files import local_path
from bgkit.findings import FINDINGS, check_thresholds
from bgkit.params import name_with_values, schema_in_files
from bgkit.pipeline import FORMAT, Pipeline, Step
from bgkit.stage import Stage
from bgkit.yamlfile import Node, load, parse

__all__ = ["load_pipeline", "pipeline_schema", "read_pipeline", "shipped"]

FOLDER = Path(__file__).parent / "pipelines"


def shipped() -> list[str]:
    """Return the names of the pipelines that come with bgkit."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_pipeline(source: str | PathLike[str], values: Mapping[str, Any] | None = None) -> Pipeline:
    """Load a pipeline and check it.

    Parameters
    ----------
    source : str or path
        The name of a shipped pipeline (``"studio-white"``), or a YAML file.
    values : mapping, optional
        Values to change, as values or as text: ``{"luv_threshold.tolerance": 20}``.

    Raises
    ------
    PipelineError, ParamError
        With file, line and column, what was expected and what was given.
    """
    try:
        text = local_path(str(source))
    except ValueError as error:
        raise PipelineError(str(error)) from None
    if text in shipped():
        pipeline = _shipped(text)
    elif Path(text).suffix in (".yaml", ".yml") or os.path.exists(text):  # noqa: PTH110 (raises where a name is too long)
        pipeline = _read(load(Path(text), "a pipeline", PipelineError), Path(text).stem)
    else:
        known = shipped()
        hint = did_you_mean(text, known)
        raise PipelineError(
            f"no pipeline named {brief(text)}{hint} (shipped: {', '.join(known)}; or give a .yaml file)"
        )
    return pipeline.with_values(values or {})


@functools.cache
def _shipped(name: str) -> Pipeline:
    return _read(load(FOLDER / f"{name}.yaml", "a pipeline", PipelineError), name)


def read_pipeline(text: str, file: str = "pipeline", name: str = "pipeline") -> Pipeline:
    """Read a pipeline from YAML text; ``file`` is what messages call it."""
    return _read(parse(text, file, "a pipeline", PipelineError), name)


def _read(root: Node, name: str) -> Pipeline:
    root.expect_mapping("a mapping with the keys bgkit and stages")
    root.expect_keys(("bgkit", "description", "stages", "checks"))
    root.expect_version(FORMAT)
    description = root.expect_text("description")
    listing = root.child("stages", "the key 'stages' with a list of stages")
    if not isinstance(listing.value, list) or not listing.value:
        raise PipelineError(f"{listing.place}: stages: expected a list of at least one stage")
    steps = tuple(_read_step(listing.item(index)) for index in range(len(listing.value)))
    pipeline = Pipeline(name, steps, description, _read_checks(root))
    # Every brought layer that could fill a gap is assumed; a gap no user can fill is an error now.
    pipeline.check_chain(steps, {"image", *pipeline.needs()} | _first_needs(steps))
    return pipeline


def _read_checks(root: Node) -> dict[str, float]:
    """Return the thresholds below the key ``checks``, each error with its line."""
    if root.value.get("checks") is None:
        return {}
    node = root.child("checks", "")
    node.expect_mapping("findings with their thresholds, as in checks: {touching: 0}")
    checks: dict[str, float] = {}
    for name, value in node.value.items():
        try:
            checks |= check_thresholds({name: value})
        except BgkitError as error:
            raise error.at(node.key_place(name)) from None
    return checks


def _first_needs(steps: Sequence[Step]) -> set[str]:
    """Return the layers a first step refines, which a user must bring: a chain may start from a mask."""
    return {name for name in steps[0].stage.needs if name in ("mask", "trimap", "alpha")}


def _read_step(node: Node) -> Step:
    if isinstance(node.value, str):
        info = _find(node.value, node.place)
        return Step(info, info.check({}), node.place)
    node.expect_mapping("a stage's name, or a name with its parameters")
    if len(node.value) != 1:
        names = cut(", ".join(node.value) or "none")
        raise PipelineError(
            f"{node.place}: expected one stage per list item, got {names}; "
            "indent the parameters below the stage's name, or write {param: value}"
        )
    (name,) = node.value
    info = _find(name, node.key_place(name))
    values = node.child(name, "parameters")
    if values.value is None:
        return Step(info, info.check({}), node.place)
    values.expect_mapping(f"parameters of {name}, as in {name}: {{param: value}}")
    return Step(info, _checked(info, values.value, values), node.place)


def _find(name: str, place: str) -> Stage:
    try:
        return stages.find(name)
    except PipelineError as error:
        raise error.at(place) from None


def _checked(info: Stage, values: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """Check one parameter at a time, so that a message can name its line."""
    for name, value in values.items():
        try:
            info.check({name: value})
        except BgkitError as error:
            place = node.child(name, "").place if name in info.settings else node.key_place(name)
            raise error.at(place) from None
    return info.check(values)


def pipeline_schema(names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the JSON Schema of pipeline files, with which editors complete and check them.

    Parameters
    ----------
    names : sequence of str, optional
        The stages that a file may have; by default all that are installed, those of other packages, too.
    """
    names = stages.names() if names is None else list(names)
    values = {name: schema_in_files(stages.find(name).schema()) | {"type": ["object", "null"]} for name in names}
    checks = {
        name: {
            "type": "number",
            **each.range.schema(),
            "description": f"{each.meaning}; the picture is flagged unless it is {each.limit} this",
        }
        for name, each in FINDINGS.items()
    }
    step = name_with_values("A stage's name, or one name with its parameters.", values)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bgkit pipeline",
        "type": "object",
        "properties": {
            "bgkit": {"const": FORMAT, "description": "The version of the format."},
            "description": {"type": "string", "description": "What the pipeline is for."},
            "stages": {"type": "array", "description": "What is done, in this order.", "minItems": 1, "items": step},
            "checks": {
                "type": ["object", "null"],
                "description": "Thresholds of findings; a picture on the wrong side of one is flagged.",
                "properties": checks,
                "additionalProperties": False,
            },
        },
        "required": ["bgkit", "stages"],
        "additionalProperties": False,
    }
