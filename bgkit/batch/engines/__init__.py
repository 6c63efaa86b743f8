"""Engines: what runs the jobs of a batch.

An engine is a class whose keyword arguments are its settings, with one method::

    class InThreads:
        def __init__(self, workers: int | None = None) -> None:
            self.workers = workers or 4

        def run(self, jobs, work, events):
            with ThreadPoolExecutor(self.workers) as pool:
                yield from pool.map(lambda job: run_job(job, work), jobs)

:func:`bgkit.batch.running.run_job` does one job, from file to file. :class:`bgkit.batch.jobs.Work` can be pickled, with
all of its fields. An engine that holds something (processes, a connection) is a context manager too.

An engine of bgkit is a file of this folder, named for the engine, and its class is named likewise:
``in_threads.py`` holds ``InThreads`` and is ``--engine in_threads``. Other packages name theirs as an entry point of
the group ``bgkit.engines``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from bgkit.batch.events import Events
from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.batch.places import Url
from bgkit.errors import PlanError, did_you_mean

__all__ = ["Engine", "check_shared", "engine_names", "open_engine"]

GROUP = "bgkit.engines"


class Engine(Protocol):
    """Runs jobs."""

    def run(self, jobs: Sequence[Job], work: Work, events: Events) -> Iterator[Outcome]:
        """Do the jobs and yield what became of each, as it is known; closing the iterator stops the rest.

        A job that fails is an outcome, no exception.

        Raises
        ------
        PlanError
            Before the first picture, if the jobs cannot be run by this engine.
        EngineError
            If the engine breaks down on the way.
        """
        ...


def engine_names() -> list[str]:
    """Return the names of all engines, bgkit's own first."""
    from importlib.metadata import entry_points  # takes 10 ms to import

    own = _own()
    return [*own, *sorted(set(entry_points(group=GROUP).names) - set(own))]


def _own() -> list[str]:
    """Return the names of the files of this folder, the default first."""
    return sorted((module.name for module in pkgutil.iter_modules(__path__)), key=lambda name: (name != "local", name))


@contextmanager
def open_engine(name: str, **settings: Any) -> Iterator[Engine]:
    """Open the engine ``name`` with its settings; those that are None are left to the engine.

    Raises
    ------
    PlanError
        If there is no such engine, or it has no such setting.
    MissingPartError
        If the engine needs a library that is not installed.
    """
    kind = _find(name)
    known = list(inspect.signature(kind).parameters)
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if key not in known:
            raise PlanError(f"{key}: the engine {name!r} has no such setting (it has: {', '.join(known) or 'none'})")
    engine = kind(**given)
    with engine if hasattr(engine, "__enter__") else nullcontext():
        yield engine


def _find(name: str) -> Any:
    if name in _own():
        return getattr(importlib.import_module(f"{__name__}.{name}"), name.title().replace("_", ""))
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=name):
        try:
            return point.load()
        except Exception as error:
            raise PlanError(f"the engine {name!r} ({point.value}) cannot be loaded: {error}") from error
    names = engine_names()
    raise PlanError(f"no engine named {name!r}{did_you_mean(name, names)} (there are: {', '.join(names)})")


def check_shared(jobs: Sequence[Job]) -> None:
    """Check that other processes can reach the pictures and results.

    Raises
    ------
    PlanError
        If some are in a store that lives in this process only.
    """
    for place in (place for job in jobs for place in (*job.sources(), job.output)):
        if isinstance(place, Url) and place.protocol == "memory":
            raise PlanError(f"{place}: is in the memory of this process, where no other can reach it; use one worker")
