"""The local engine: this process for a few pictures, worker processes for many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.batch.memory import limit
from bgkit.batch.places import Url
from bgkit.errors import PlanError
from bgkit.threads import threads

__all__ = ["check_shared", "default_workers", "run_batch"]

FEW = 4  # below this a second process takes longer to start than it saves
MEMORY = 3 << 30  # bytes for one worker: a 24 MP picture with all its layers and a solver at work


def default_workers(count: int) -> int:
    """Return how many processes are worth while for ``count`` pictures: at most the cores, and what memory bears."""
    if count < FEW:
        return 1
    return max(1, min(threads(), count // 2, _memory() // MEMORY))


def _memory() -> int:
    """Return the memory of the machine or container in bytes; where it is not told, enough for two."""
    return limit() or 2 * MEMORY


def run_batch(
    jobs: Sequence[Job],
    work: Work,
    workers: int = 1,
    on_step: Callable[[str], None] | None = None,
    memory: int | None = None,
) -> Generator[Outcome, None, None]:
    """Do the jobs and yield what became of each, as it is known; closing it stops the rest.

    ``on_step`` is told the name of each step that is done when there is but one worker. ``memory`` is what all
    workers together may take, in bytes; by default what is free, less a tenth.
    """
    if workers > 1 and len(jobs) > 1:
        from bgkit.batch.workers import run_in_workers

        check_shared(jobs)
        yield from run_in_workers(jobs, work, min(workers, len(jobs)), memory)
    else:
        from bgkit.batch.running import run_job

        for job in jobs:
            yield run_job(job, work, on_step)


def check_shared(jobs: Sequence[Job]) -> None:
    """See that other processes can reach the pictures and results.

    Raises
    ------
    PlanError
        If some are in a store that lives in this process only.
    """
    for place in (place for job in jobs for place in (*job.sources(), job.output)):
        if isinstance(place, Url) and place.protocol == "memory":
            raise PlanError(f"{place}: is in the memory of this process, where no other can reach it; use one worker")
