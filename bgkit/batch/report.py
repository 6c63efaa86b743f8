"""The report of a batch: one JSON object per line and picture, each on the disk before the next picture begins.

Where its name ends on .html it is a page to look at instead (:mod:`bgkit.batch.contact`). A report of lines is
appended to: what an earlier run, or one that was killed, wrote there stays. Fields: ``input``, ``page`` (null where
none was asked for), ``output``, ``status`` (done, skipped, failed), ``error``, ``seconds`` by step, ``size`` (rows,
columns), ``memory`` (the process's peak in bytes), ``facts`` by stage, ``warnings``, ``flags`` (findings on the wrong
side of their threshold), ``pipeline``, ``digest`` of the pipeline with all its values, ``layer``, ``metadata`` (what of
it went along), ``bgkit`` (the version) and ``time`` (UTC).
"""

from __future__ import annotations

import datetime
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from bgkit import __version__
from bgkit.batch.answers import Thumbnail
from bgkit.batch.contact import SIDE, ContactSheet
from bgkit.batch.jobs import Outcome, Work, shown
from bgkit.errors import PlanError
from bgkit.files import JsonLines

__all__ = ["Log", "Report", "as_record", "open_report", "thumbnails_for"]


def as_record(outcome: Outcome, work: Work, digest: str) -> dict[str, Any]:
    """Return an outcome as a mapping that JSON can hold; ``digest`` is the pipeline's."""
    return {
        "input": outcome.job.name,
        "page": outcome.job.page,
        "output": str(outcome.job.output),
        "status": outcome.status,
        "error": outcome.error or None,
        "seconds": {name: round(duration, 4) for name, duration in outcome.seconds.items()},
        "size": list(outcome.size) if outcome.size else None,
        "memory": outcome.memory,
        "facts": dict(outcome.facts),
        "warnings": list(outcome.warnings),
        "flags": outcome.flags,
        "pipeline": work.pipeline.name,
        "digest": digest,
        "layer": work.layer,
        "metadata": work.metadata,
        "bgkit": __version__,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    }


class Log(Protocol):
    """What takes in outcomes: the journal, the report, the review folder."""

    path: Path

    def add(self, outcome: Outcome) -> None: ...


def open_report(path: Path, work: Work) -> AbstractContextManager[Log]:
    """Return what takes in the outcomes: a page where the name ends on .html, else JSON lines."""
    return ContactSheet(path, work) if _is_page(path) else Report(path, work)


def thumbnails_for(path: Path | None) -> Thumbnail | None:
    """Return what is to be made of each picture for the report, for ``Work.examine``."""
    return Thumbnail(SIDE, picture=True) if path is not None and _is_page(path) else None


def _is_page(path: Path) -> bool:
    return path.suffix.lower() == ".html"


class Report:
    """A report file, open for as long as a batch runs."""

    def __init__(self, path: Path, work: Work) -> None:
        self.path = path
        self.work, self.digest = work, work.pipeline.digest()
        try:
            self.file = JsonLines(path)
        except OSError as error:
            raise PlanError(f"{shown(path)}: the report cannot be written: {error.strerror}") from error

    def add(self, outcome: Outcome) -> None:
        """Write one line; OSError is not caught."""
        self.file.append(as_record(outcome, self.work, self.digest))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
