"""Worker processes: one picture at a time for each, and a share of the cores.

The parent hands a worker its next job when the last one's outcome is in, so no more pictures are in memory than there
are workers, and only if it fits into memory beside those at work. A worker that dies (killed for memory, crashed in
foreign code) costs no picture but its own: that one is tried once more when the others are done, then given up.
A worker whose parent is gone ends after its picture.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.batch.memory import Room
from bgkit.batch.orders import Order
from bgkit.batch.places import Url
from bgkit.imagefile import header_size
from bgkit.threads import set_threads, threads

__all__ = ["environment", "run_in_workers"]

# What libraries read, when they are loaded, for their number of threads.
THREAD_NAMES = (
    "BGKIT_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def environment(count: int) -> dict[str, str]:
    """Return what a process must find in its environment to use ``count`` threads."""
    return dict.fromkeys(THREAD_NAMES, str(count))


class _Worker:
    """A process, the line to it, and the job it is at."""

    def __init__(self, order: Order, share: int) -> None:
        context = get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, order, share), daemon=True)
        self.job: Job | None = None
        with for_children(share):
            self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # of one that died while idle, wait() sees the line's end
            self.line.send(job)

    def end(self) -> str:
        """Let go of a worker that died or is no longer needed, and return how it ended."""
        self.line.close()
        self.process.join(10)
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def run_in_workers(
    jobs: Sequence[Job], work: Work, workers: int, memory: int | None = None
) -> Generator[Outcome, None, None]:
    """Do the jobs in ``workers`` processes and yield outcomes as they come; closing it ends the processes."""
    share = max(1, threads() // workers)
    order = Order.of(work)
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
                    crew.append(_Worker(order, share))
                    idle = [crew[-1]]
                idle.pop().give(waiting.popleft())
            lines = {worker.line: worker for worker in crew if worker.job}
            for line in wait(list(lines)):
                worker = lines[line]  # type: ignore[index]
                job, worker.job = worker.job, None
                assert job is not None
                try:
                    outcome = replace(worker.line.recv(), job=job)
                    room.learn(sizes.pop(id(job)), outcome.memory)
                    yield outcome
                except (EOFError, OSError):
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


def _pixels(job: Job) -> int:
    """Return a picture's pixels by its header; of a URL, a guess from its bytes (JPEGs hold about 4 a byte)."""
    if isinstance(job.picture, Path):
        rows, cols = header_size(job.picture) or (0, 0)
        return rows * cols
    return 4 * (job.picture.stamp or (0, 0))[0] if isinstance(job.picture, Url) else 4 * len(job.picture)


@contextmanager
def for_children(count: int) -> Iterator[None]:
    """Set what a child takes over when it starts: its threads, and that Ctrl-C is its parent's affair."""
    before = {name: os.environ.get(name) for name in THREAD_NAMES}
    os.environ.update(environment(count))
    main = threading.current_thread() is threading.main_thread()
    handler: Any = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(line: Connection, order: Order, share: int) -> None:
    """Do jobs until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    set_threads(share)
    from bgkit.batch.running import run_job

    work = order.work()
    try:
        while True:
            outcome = run_job(line.recv(), work)
            line.send(replace(outcome, job=None))  # type: ignore[arg-type]
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def leave(number: int, frame: Any) -> None:
    """End this worker once: the group's signal and the caller's may both come, the second while it is leaving."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
