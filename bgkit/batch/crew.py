"""Worker processes that stay and take one job after another from many callers: what a server runs on.

A batch knows its jobs and its pipeline beforehand (:mod:`bgkit.batch.engines.local`); here each job comes with its own
work, waits in a queue of limited length, and its caller may leave at any time. A job nobody wants any more stops
after its present stage; where that takes too long, and where a job takes longer than it may, its process is ended.
A process that ends costs its own job one error, and another takes its place.
"""

from __future__ import annotations

import functools
import logging
import pickle
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from bgkit.batch.jobs import NOTHING, Job, Outcome, Work
from bgkit.batch.processes import for_children
from bgkit.errors import BgkitError, DeadlineError, EngineError
from bgkit.threads import set_threads, threads

__all__ = ["Crew", "QueueFullError", "StoppedError", "Ticket"]

log = logging.getLogger(__name__)

LOOK = 0.05  # s between two looks at whether a job at work is still wanted
PATIENCE = 2.0  # s that a stage may go on when its job is no longer wanted; starting a process takes about one
START = 60.0  # s for a process to load libraries and networks
FAILURES = 3  # processes in a row that cannot be started: something is wrong with this machine
PAUSE = 1.0  # s between two such attempts


class QueueFullError(EngineError):
    """As many jobs wait as may."""


class StoppedError(EngineError):
    """A job was given up: nobody wants it any more, or it took longer than it may."""


@dataclass(eq=False)
class Ticket:
    """A job on its way, with its caller's end of it."""

    work: bytes  # pickled once, by which a process knows work that it has met before
    job: Job
    seconds: float  # that it may take, from when a process takes it up
    future: Future[Outcome] = field(default_factory=Future)
    unwanted: bool = False

    def abandon(self) -> None:
        """Say that nobody waits for the outcome any more."""
        self.unwanted = True
        self.future.cancel()  # no more than the flag where it is being done already


class Crew:
    """A fixed number of worker processes and a queue.

    Parameters
    ----------
    workers : int
        Processes, among which the threads of this machine are shared out; with none, no job is taken.
    waiting : int
        Jobs that may wait while all processes are at work.
    warm : str, optional
        A pipeline that each process runs on a small picture before its first job, so that no caller waits for libraries
        and networks to load. A name, so that the processes start before this one has loaded them itself.
    memory : int, optional
        Bytes that all processes together may take; in one that wants more than its part, allocation fails. Only
        Linux can.
    """

    def __init__(self, workers: int, waiting: int, warm: str = "", memory: int | None = None) -> None:
        self.workers, self.limit = workers, waiting
        self._memory = memory // workers if memory else None
        self._warm = warm
        self._share = max(1, threads() // max(1, workers))
        self._waiting: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self.closing = False
        self.ready = self.busy = self.deaths = 0
        self._threads = [threading.Thread(target=self._tend, daemon=True) for _ in range(workers)]

    def start(self) -> None:
        """Start the processes; jobs may be submitted before they are ready."""
        for thread in self._threads:
            thread.start()

    @property
    def queued(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    def submit(self, work: Work, job: Job, seconds: float) -> Ticket:
        """Put a job into the queue; ``seconds`` is what it may take once it is begun.

        Raises
        ------
        QueueFullError
            If as many jobs wait as may.
        """
        ticket = Ticket(pickle.dumps(work), job, seconds)
        with self._changed:
            if self.closing:
                raise StoppedError("no new work is taken: the server is ending")
            if len(self._waiting) >= self.limit + self.workers - self.busy:
                raise QueueFullError(f"{len(self._waiting)} pictures wait already")
            self._waiting.append(ticket)
            self._changed.notify()
        ticket.future.add_done_callback(lambda future: self._leave(ticket, future))
        return ticket

    def close(self) -> None:
        """End when what is queued is done."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._refuse("the server is ending")  # nothing waits, but where no process could be started

    def _leave(self, ticket: Ticket, future: Future[Outcome]) -> None:
        """Take a job that was cancelled while it waited out of the queue."""
        if future.cancelled():
            with self._changed, suppress(ValueError):
                self._waiting.remove(ticket)

    def _tend(self) -> None:
        """Keep one process at work until the crew is closed."""
        while (worker := self._started()) is not None:
            self._count(ready=1)
            while (ticket := self._next(worker)) is not None:
                try:
                    outcome = worker.do(ticket)
                    self._count(busy=-1)
                    ticket.future.set_result(outcome)
                except EngineError as error:
                    self._count(busy=-1)
                    ticket.future.set_exception(error)
            self._count(ready=-1)
            if worker.alive:
                worker.end()
                return
            worker.end()
            self._count(deaths=1)

    def _started(self) -> _Worker | None:
        """Start a process and wait until it is ready; None if the crew is closed before one is.

        While none can be started, what waits is refused with the reason: it would wait for ever.
        """
        failures = 0
        while True:
            try:
                worker = _Worker(self._share, self._memory, self._warm)
                worker.get_ready()
                return worker
            except EngineError as error:
                failures += 1
                if failures == FAILURES:
                    log.error("%s, %d times; still trying", error, failures)
                with self._changed:
                    if not self.ready and failures >= FAILURES:
                        self._refuse(str(error))
                    if self._changed.wait_for(lambda: self.closing, PAUSE):
                        return None

    def _refuse(self, why: str) -> None:
        """Give up every job that waits."""
        with self._changed:
            refused = [ticket for ticket in self._waiting if ticket.future.set_running_or_notify_cancel()]
            self._waiting.clear()
        for ticket in refused:
            ticket.future.set_exception(EngineError(why))

    def _count(self, ready: int = 0, busy: int = 0, deaths: int = 0) -> None:
        with self._changed:
            self.ready, self.busy, self.deaths = self.ready + ready, self.busy + busy, self.deaths + deaths

    def _next(self, worker: _Worker) -> Ticket | None:
        """Wait for a job; None when the crew is closed and none is left, or when the process is no more."""
        with self._changed:
            while worker.alive:
                while self._waiting:
                    ticket = self._waiting.popleft()
                    if ticket.future.set_running_or_notify_cancel():
                        self.busy += 1
                        return ticket
                if self.closing:
                    return None
                self._changed.wait(1.0)
            return None


_starting = threading.Lock()  # what a child takes over is set for the whole process


class _Worker:
    """A process and the line to it."""

    def __init__(self, share: int, memory: int | None, warm: str) -> None:
        """Start the process.

        Raises
        ------
        EngineError
            If the system has no place for another process.
        """
        context = get_context("spawn")
        self.ended = False
        try:
            self.line, theirs = context.Pipe()
            given = (theirs, share, memory, warm)
            self.process: BaseProcess = context.Process(target=_work, args=given, daemon=True)
            with theirs, _starting, for_children(share):
                self.process.start()
        except OSError as error:
            raise EngineError(f"a worker process cannot be started: {error.strerror}") from error

    @property
    def alive(self) -> bool:
        return not self.ended and self.process.is_alive()

    def get_ready(self) -> None:
        """Wait until the process can take a job.

        Raises
        ------
        EngineError
            If it dies before, or takes too long.
        """
        try:
            if not self.line.poll(START):
                self.end(kill=True)
                raise EngineError(f"a worker process was not ready within {START:g} s")
            self.line.recv()
        except (EOFError, OSError):
            raise EngineError(f"a worker process died at its start ({self.end()})") from None

    def do(self, ticket: Ticket) -> Outcome:
        """Have one job done.

        Raises
        ------
        StoppedError
            If it was given up.
        EngineError
            If the process died.
        """
        stop_at, why = time.monotonic() + ticket.seconds, ""
        end_at = stop_at + PATIENCE
        try:
            self.line.send((ticket.work, ticket.job, ticket.seconds))
            while not self.line.poll(LOOK):
                now = time.monotonic()
                if not why and (ticket.unwanted or now > stop_at):
                    why = f"took longer than {ticket.seconds:g} s" if now > stop_at else "nobody waits for it any more"
                    self.line.send(None)
                    end_at = now + PATIENCE
                if why and now > end_at:
                    self.end(kill=True)
                    raise StoppedError(why)
            outcome: Outcome = replace(self.line.recv(), job=ticket.job)
        except (EOFError, OSError):
            how = self.end()
            raise EngineError(f"the worker process died ({how}); perhaps out of memory") from None
        if outcome.kind == DeadlineError.__name__:
            raise StoppedError(outcome.error)
        if why and outcome.status == "failed":
            raise StoppedError(why)
        return outcome

    def end(self, *, kill: bool = False) -> str:
        """Let go of the process and return how it ended."""
        self.ended = True
        self.line.close()
        if kill:
            self.process.kill()
        self.process.join(10)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


@functools.lru_cache(maxsize=64)
def _work_of(data: bytes) -> Work:
    return pickle.loads(data)


def _work(line: Connection, share: int, memory: int | None, warm: str) -> None:
    """Do jobs until the parent hangs up; None on the line says that the present job is no longer wanted.

    A signal to the whole group is the parent's affair, who lets jobs finish.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_threads(share)
    if memory is not None and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    from bgkit.batch.running import run_job

    def go_on(step: str) -> None:
        if line.poll():  # None, or that the parent is gone
            raise StoppedError(f"given up after {step}")

    if warm:
        _warm_up(warm)
    line.send(None)
    try:
        while True:
            message = line.recv()
            if message is None:  # of a job that is done
                continue
            data, job, seconds = message
            try:
                outcome = run_job(job, replace(_work_of(data), timeout=seconds), go_on)
            except BgkitError as error:  # of the work: a stage that is not installed here
                outcome = Outcome(job, "failed", str(error), kind=type(error).__name__)
            line.send(replace(outcome, job=None))  # type: ignore[arg-type]
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def _warm_up(name: str) -> None:
    """Load libraries and networks by doing a small picture."""
    from bgkit.batch.answers import Encode, small_picture
    from bgkit.batch.running import run_job
    from bgkit.pipelinefile import load_pipeline

    work = Work(load_pipeline(name), NOTHING, examine=Encode(("result",), "png"))
    run_job(Job(small_picture(), Path(), "warm"), work)
