"""The local engine: this process for a few pictures, worker processes for many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from bgkit.batch.jobs import Job, Outcome, Work

__all__ = ["default_workers", "run_batch"]


def default_workers(count: int) -> int:
    """Return how many processes are worth while for ``count`` pictures."""
    return 1


def run_batch(
    jobs: Sequence[Job], work: Work, workers: int = 1, on_step: Callable[[str], None] | None = None
) -> Generator[Outcome, None, None]:
    """Do the jobs and yield what became of each, as it is known; closing it stops the rest."""
    from bgkit.batch.running import run_job

    for job in jobs:
        yield run_job(job, work, on_step)
