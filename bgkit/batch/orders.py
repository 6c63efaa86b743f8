"""The work on each picture in a form that goes to another process, where stages are found by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from bgkit.batch.jobs import Work

__all__ = ["Order"]


class Order(NamedTuple):
    """All of a :class:`bgkit.batch.jobs.Work`, its pipeline as text."""

    name: str
    pipeline: str
    layer: str
    steps_folder: Path | None
    examine: Any
    sidecar: bool
    pixels: int

    @classmethod
    def of(cls, work: Work) -> Order:
        """Write down what is to be done."""
        pipeline, text = work.pipeline, work.pipeline.dump()
        return cls(pipeline.name, text, work.layer, work.steps_folder, work.examine, work.sidecar, work.pixels)

    def work(self) -> Work:
        """Return the work again, its pipeline checked and its stages loaded."""
        from bgkit.pipelinefile import read_pipeline

        pipeline = read_pipeline(self.pipeline, self.name, self.name)
        return Work(pipeline, self.layer, self.steps_folder, self.examine, self.sidecar, self.pixels)
