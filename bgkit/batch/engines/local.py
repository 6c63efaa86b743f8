"""The local engine: this process for a few pictures, worker processes for many.

A worker does one picture at a time with its share of the cores. The parent hands it its next job when the last one's
outcome is in, so no more pictures are in memory than there are workers, and only if it fits into memory beside those
at work. A worker that dies (killed for memory, crashed in foreign code) costs no picture but its own: that one is tried
once more when the others are done, then given up. A worker whose parent is gone ends after its picture. Where a
picture may take so long only (``Work.timeout``) even a single one is done by a worker, which is ended if need be.
"""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from bgkit.batch import running
from bgkit.batch.engines import check_shared
from bgkit.batch.events import Events
from bgkit.batch.jobs import Job, Outcome, Work, stamp_of
from bgkit.batch.memory import USUAL, Room, limit
from bgkit.batch.places import Url
from bgkit.batch.processes import for_children, leave
from bgkit.deadline import late
from bgkit.imagefile import header_size
from bgkit.threads import set_threads, threads

__all__ = ["Lasting", "Local", "default_workers"]

FEW = 4  # below this a second process takes longer to start than it saves
GRACE = 2.0  # seconds for a worker to stop by itself, which keeps its networks loaded


def default_workers(count: int) -> int:
    """Return how many processes pay off for ``count`` pictures: at most the cores, and as many as fit in memory."""
    if count < FEW:
        return 1
    return max(1, min(threads(), count // 2, (limit() or 2 * USUAL) // USUAL))


class Local:
    """Runs jobs on this machine.

    Parameters
    ----------
    workers : int, optional
        Processes; by default as many as pay off for the number of jobs.
    memory : int, optional
        What all of them together may take, in bytes; by default what is free, less a tenth.
    """

    def __init__(self, workers: int | None = None, memory: int | None = None) -> None:
        self.workers, self.memory = workers, memory

    def run(self, jobs: Sequence[Job], work: Work, events: Events | None = None) -> Generator[Outcome, None, None]:
        """Do the jobs; with one worker in this process, which reports steps.

        Raises
        ------
        PlanError
            If another process could not reach the pictures.
        """
        count = min(self.workers or default_workers(len(jobs)), len(jobs))
        if count <= 1 and work.timeout is None:
            on_step = events.step if events is not None else None
            if jobs:
                work.load_networks(jobs[0].brought)
            return (running.run_job(job, work, on_step) for job in jobs)
        check_shared(jobs)
        on_step = events.step if events is not None and count <= 1 else None
        return _run_in_workers(jobs, work, max(1, count), self.memory, on_step)


class _Worker:
    """A process, the line to it, and the job it is at."""

    def __init__(self, work: Work, share: int) -> None:
        context = get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, work, share), daemon=True)
        self.job: Job | None = None
        self.steps: list[str] = []  # of its job that are done; reported where there is a deadline
        self.end_at = math.inf
        with for_children(share):
            self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self.steps, self.end_at = job, [], math.inf
        with suppress(OSError):  # of one that died while idle, wait() sees the line's end
            self.line.send(job)

    def take(self, step: str, work: Work, on_step: Callable[[str], None] | None) -> None:
        """Hear that the job was begun, or that a step of it is done."""
        if step == BEGUN:
            self.end_at = time.monotonic() + (work.timeout or math.inf) + GRACE
            return
        self.steps.append(step)
        if on_step is not None:
            on_step(step)

    def left(self) -> float | None:
        """Return the seconds until it is ended; None where it has no deadline."""
        return None if self.end_at == math.inf else max(0.0, self.end_at - time.monotonic())

    def end(self, *, kill: bool = False) -> str:
        """Let go of a worker that died or is no longer needed, and return how it ended."""
        self.line.close()
        if kill:
            self.process.kill()
        self.process.join(10)
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


BEGUN = ""  # a worker's first word on a job


def _run_in_workers(
    jobs: Sequence[Job],
    work: Work,
    workers: int,
    memory: int | None,
    on_step: Callable[[str], None] | None = None,
) -> Generator[Outcome, None, None]:
    """Do the jobs in ``workers`` processes and yield outcomes as they come; closing it ends the processes."""
    share = max(1, threads() // workers)
    waiting, again = deque(jobs), set[int]()
    room, sizes = Room(memory), dict[int, int]()
    crew: list[_Worker] = []
    try:
        while waiting or any(worker.job for worker in crew):
            idle = [each for each in crew if each.job is None]
            while waiting and (idle or len(crew) < workers):
                pixels = sizes.setdefault(id(waiting[0]), _pixels(waiting[0]))
                if not room.fits(pixels, [sizes[id(each.job)] for each in crew if each.job]):
                    break  # until one of those at work is done
                if not idle:
                    crew.append(_Worker(work, share))
                    idle = [crew[-1]]
                idle.pop().give(waiting.popleft())
            lines = {worker.line: worker for worker in crew if worker.job}
            end_at = min((worker.end_at for worker in lines.values()), default=math.inf)
            ready = wait(list(lines), None if end_at == math.inf else max(0.0, end_at - time.monotonic()))
            for worker in [each for each in lines.values() if each.line not in ready]:
                if time.monotonic() > worker.end_at:
                    crew.remove(worker)
                    job, worker.job = worker.job, None
                    assert job is not None
                    worker.end(kill=True)
                    yield _late(job, work, worker.steps)
            for line in ready:
                worker = lines[line]  # type: ignore[index]
                job = worker.job
                assert job is not None
                try:
                    message = worker.line.recv()
                    if isinstance(message, str):
                        worker.take(message, work, on_step)
                        continue
                    worker.job, outcome = None, replace(message, job=job)
                    room.learn(sizes.pop(id(job)), outcome.memory)
                    yield outcome
                except (EOFError, OSError):
                    worker.job = None
                    crew.remove(worker)
                    how = worker.end()
                    if id(job) not in again:
                        again.add(id(job))
                        waiting.append(job)
                    else:
                        yield Outcome(job, "failed", f"the worker process died twice ({how}); perhaps out of memory")
        for worker in crew:
            worker.end()
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.process.join(5)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
            worker.line.close()


class Lasting:
    """A worker process that takes one job after another, for callers that get them one by one and set a deadline.

    It starts with the first job, keeps its networks loaded, and ends with the block it is the context of. One that
    took longer than its job may is ended, and the next job starts another.
    """

    def __init__(self) -> None:
        self.worker: _Worker | None = None

    def run(self, job: Job, work: Work, on_step: Callable[[str], None] | None = None) -> Outcome:
        """Do a job there; one whose process dies is tried once more."""
        how, stamp = "", stamp_of(job)
        for _ in range(2):
            worker = self.worker = self.worker or _Worker(work, threads())
            worker.give(job)
            try:
                while worker.line.poll(worker.left()):
                    message = worker.line.recv()
                    if not isinstance(message, str):
                        return replace(message, job=job)
                    worker.take(message, work, on_step)
            except (EOFError, OSError):
                self.worker, how = None, worker.end()
                continue
            self.worker = None
            worker.end(kill=True)
            return replace(_late(job, work, worker.steps), stamp=stamp)
        return Outcome(job, "failed", f"the worker process died twice ({how}); perhaps out of memory", stamp=stamp)

    def __enter__(self) -> Lasting:
        return self

    def __exit__(self, *_: object) -> None:
        if self.worker is not None:
            self.worker.end(kill=True)
            self.worker = None


def _late(job: Job, work: Work, steps: list[str]) -> Outcome:
    """Return the outcome of a job whose worker was ended in the middle of a step."""
    assert work.timeout is not None
    names = work.steps(job.brought)
    at = names[min(len(steps), len(names) - 1)]
    error = late(work.timeout).at(at)
    return Outcome(job, "failed", str(error), kind=type(error).__name__)


def _pixels(job: Job) -> int:
    """Return a picture's pixels by its header; of a URL, a guess from its bytes (JPEGs hold about 4 a byte)."""
    if isinstance(job.picture, Path):
        rows, cols = header_size(job.picture) or (0, 0)
        return rows * cols
    return 4 * (job.picture.stamp or (0, 0))[0] if isinstance(job.picture, Url) else 4 * len(job.picture)


def _serve(line: Connection, work: Work, share: int) -> None:
    """Do jobs until the parent hangs up; it receives each step's name where it has to watch the time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    set_threads(share)
    try:
        while True:
            job = line.recv()
            if work.timeout is not None:
                line.send(BEGUN)
            outcome = running.run_job(job, work, line.send if work.timeout is not None else None)
            line.send(replace(outcome, job=None))  # type: ignore[arg-type]
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
