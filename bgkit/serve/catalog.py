"""The pipelines that a client may name, and the one it sends as YAML; values as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bgkit import stages
from bgkit.errors import ParamError, PipelineError, did_you_mean
from bgkit.files import without_files
from bgkit.pipeline import Pipeline, Step
from bgkit.pipelinefile import load_pipeline, read_pipeline, shipped

__all__ = ["Catalog", "NoSuchPipelineError", "build", "row", "with_background"]


class NoSuchPipelineError(PipelineError):
    """A client named a pipeline that is not there."""


class Catalog:
    """Shipped pipelines and those of the operator's folder, whose names win; read and checked once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        if folder is not None and not folder.is_dir():
            raise ParamError(f"--pipelines {folder}: no such folder")
        for path in self._own.values():
            load_pipeline(path)  # a file that is wrong is the operator's to see, now

    @cached_property
    def _own(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(self.folder.glob("*.yaml"))} if self.folder else {}

    @cached_property
    def names(self) -> list[str]:
        """The names that a request may hold."""
        return sorted({*shipped(), *self._own})

    def find(self, name: str) -> Pipeline:
        """Return a pipeline by its name alone: never by a path."""
        if name not in self.names:
            hint = did_you_mean(name, self.names)
            raise NoSuchPipelineError(f"no pipeline named {name!r}{hint} (there are: {', '.join(self.names)})")
        return load_pipeline(self._own.get(name, name))

    def chain(
        self, name: str, text: str | None = None, values: Mapping[str, str] | None = None, background: str = ""
    ) -> Pipeline:
        """Return a pipeline by name, or read from YAML ``text``, with a client's values, which may name no files."""
        pipeline = self.find(name) if text is None else None
        with without_files():
            pipeline = pipeline or _read(text or "")
            pipeline = pipeline.with_values(values or {})
            return with_background(pipeline, background) if background else pipeline

    def table(self) -> list[dict[str, Any]]:
        """Return what there is to know of each pipeline."""
        return [row(self.find(name)) for name in self.names]


def _read(text: str) -> Pipeline:
    try:
        return read_pipeline(text, "pipeline.yaml", "pipeline")
    except PipelineError as error:
        raise ParamError(str(error)) from None  # a wrong value of the client's, as any other


def row(pipeline: Pipeline) -> dict[str, Any]:
    steps = [{"stage": step.name, "values": {**step.values}} for step in pipeline.steps]
    return {
        "name": pipeline.name,
        "description": pipeline.description,
        "needs": list(pipeline.needs()),
        "stages": steps,
        "checks": dict(pipeline.checks),
        "sha256": pipeline.digest(),
        "yaml": pipeline.dump(),
    }


def build(name: str, steps: Sequence[tuple[str, Mapping[str, Any]]]) -> Pipeline:
    """Return a pipeline of stages by name with their values, checked."""
    found = [(stages.find(stage), values) for stage, values in steps]
    return Pipeline(name, tuple(Step(stage, stage.check(values)) for stage, values in found))


def with_background(pipeline: Pipeline, background: str) -> Pipeline:
    """Return the pipeline with what comes behind the subject: a color, ``blur``, ``none``, or a picture's path."""
    count = sum(step.name == "composite" for step in pipeline.steps)
    if not count:
        raise ParamError(f"background: the pipeline {pipeline.name!r} has no stage composite")
    return pipeline.with_values({f"composite#{count}.background": background})
