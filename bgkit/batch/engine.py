"""The local engine: this process for a few pictures, worker processes for many."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence

from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.threads import threads

__all__ = ["default_workers", "run_batch"]

FEW = 4  # below this a second process takes longer to start than it saves
MEMORY = 3 << 30  # bytes for one worker: a 24 MP picture with all its layers and a solver at work


def default_workers(count: int) -> int:
    """Return how many processes are worth while for ``count`` pictures: at most the cores, and what memory bears."""
    if count < FEW:
        return 1
    return max(1, min(threads(), count // 2, _memory() // MEMORY))


def _memory() -> int:
    """Return the machine's memory in bytes; where it is not told, enough for two."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2 * MEMORY


def run_batch(
    jobs: Sequence[Job], work: Work, workers: int = 1, on_step: Callable[[str], None] | None = None
) -> Generator[Outcome, None, None]:
    """Do the jobs and yield what became of each, as it is known; closing it stops the rest.

    ``on_step`` is told the name of each step that is done when there is but one worker.
    """
    if workers > 1 and len(jobs) > 1:
        from bgkit.batch.workers import run_in_workers

        yield from run_in_workers(jobs, work, min(workers, len(jobs)))
    else:
        from bgkit.batch.running import run_job

        for job in jobs:
            yield run_job(job, work, on_step)
