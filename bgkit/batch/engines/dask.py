"""The Dask engine: pictures done by the worker processes of a Dask cluster, on this machine or on many.

A worker gets a picture's path or URL and writes the result itself, so inputs and outputs lie where all workers reach
them; pixels never pass through the scheduler. Each worker process does one picture at a time, with as many threads as
its ``--nthreads``, and keeps networks loaded from picture to picture. Two pictures for each process are on their way
at any time, no more, so a million pictures burden the scheduler no more than ten.

Dask gives the pictures of a worker that is lost to others, and accuses a picture that lost several of them (four,
with Dask's own setting ``allowed-failures``; two, with an embedded cluster). A worker may have died of something else,
so each accused picture is done once more at the end, in a process of its own: only one that dies there is given up. A
result is written whole or not at all, so nothing comes of a picture being done twice. The journal is written by who
asked, as with the local engine.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bgkit import __version__
from bgkit.batch.engines import check_shared
from bgkit.batch.engines.local import default_workers
from bgkit.batch.events import Events
from bgkit.batch.jobs import Job, Outcome, Work
from bgkit.batch.places import Place, exists
from bgkit.batch.processes import environment
from bgkit.errors import BgkitError, EngineError, MissingPartError, PlanError
from bgkit.files import part_name
from bgkit.threads import set_threads, threads

__all__ = ["Dask"]

AHEAD = 2  # pictures on their way for each process: one at work, one that waits there
FETCH = 5.0  # seconds to fetch what a picture came to
TRIES = 3  # of an accused picture, where Dask loses the worker that watches over its process, too
DIED = "the worker process died each time it was tried; perhaps out of memory"
FORGOTTEN = ("cancelled", "lost")  # by a scheduler that was started anew
PATIENCE = float(os.environ.get("BGKIT_DASK_PATIENCE", "20"))  # seconds for a scheduler to answer, and for workers


class Dask:
    """Runs jobs on a Dask cluster; used as a context, at whose end the cluster is let go.

    Parameters
    ----------
    workers : int, optional
        Processes of a cluster of its own on this machine; by default as many as pay off for the number of jobs.
    scheduler : str, optional
        The address of a running scheduler, as in ``tcp://host:8786``; its workers are used then.
    """

    def __init__(self, workers: int | None = None, scheduler: str | None = None) -> None:
        try:
            import distributed
        except ImportError:
            raise MissingPartError.of("dask", "--engine dask") from None
        self.distributed: Any = distributed
        self.scheduler, self.workers = scheduler, workers
        self.own: Any = None
        self.client: Any = None

    def __enter__(self) -> Self:
        return self

    def _connect(self, workers: int) -> None:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is reported with its pictures
        if self.scheduler is None:
            import dask

            share = max(1, threads() // workers)
            dask.config.set({"distributed.scheduler.allowed-failures": 1})  # tried twice, as by the local engine
            self.own = self.distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=share,
                processes=True,
                dashboard_address=None,
                memory_limit=0,  # Dask would stop a worker at a share of the memory that one large picture may need
                silence_logs=logging.CRITICAL,
                env=environment(share),
            )
        try:
            self.client = self.distributed.Client(self.own or self.scheduler, timeout=PATIENCE)
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            self.__exit__(None, None, None)
            place = self.scheduler or "this machine"
            if self.client is None:
                raise PlanError(f"--scheduler {place}: no Dask scheduler answers there ({error})") from error
            raise PlanError(f"--scheduler {place}: has no workers; start some: dask worker {place}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self.client, self.own):
            if each is not None:
                with suppress(Exception):
                    each.close(timeout=5)

    def run(self, jobs: Sequence[Job], work: Work, events: Events | None = None) -> Generator[Outcome, None, None]:
        """Do the jobs and yield what became of each, as it is known; closing it gives up the rest.

        Raises
        ------
        PlanError
            At once, if no scheduler answers; before the first picture, if a worker has another bgkit, or does not see
            the files.
        EngineError
            If the scheduler is gone.
        """
        check_shared(jobs)
        if jobs and self.client is None:
            self._connect(self.workers or default_workers(len(jobs)))
        return self._run(jobs, work, events or Events())

    def _run(self, jobs: Sequence[Job], work: Work, events: Events) -> Generator[Outcome, None, None]:
        if not jobs:
            return
        data = pickle.dumps(_rooted(work))
        self._check_workers(jobs[0])
        waiting, flying = deque(jobs), dict[Any, Job]()
        # Dask gives up all that was on its way to a process which died too often, guilty or not, and what was done
        # there and not yet fetched. At the end these have a process each that Dask knows nothing of.
        accused, alone = deque[Job](), Counter[str]()
        processes, counted, lost, empty = 0, 0.0, 0.0, 0.0
        try:
            while waiting or flying or accused:
                now = time.monotonic()
                if now > counted + 1:
                    counted, before = now, processes
                    processes = self._count()
                    lost = 0.0 if processes >= 0 else (lost or now)
                    if lost and now > lost + PATIENCE:
                        raise EngineError(
                            f"the scheduler {self.scheduler or 'of this process'} is gone; what is done is done, "
                            "the same command resumes with the rest"
                        )
                    if processes == 0 and before:
                        events.note("all workers are gone; waiting for others")
                    empty = 0.0 if processes else (empty or now)
                    if self.own is not None and empty and now > empty + PATIENCE:
                        # Now and then Dask does not replace a process that dies while it starts.
                        events.note("no worker came back; starting others")
                        waiting.extend(flying.values())
                        flying.clear()
                        empty = 0.0
                        self.__exit__(None, None, None)
                        self._connect(self.workers or default_workers(len(jobs)))
                        processes = self._count()
                while waiting and not lost and len(flying) < AHEAD * max(1, processes):
                    job = waiting.popleft()
                    flying[self.client.submit(_do, data, _absolute(job), pure=False)] = job
                if accused and not (waiting or flying or lost):
                    job = accused.popleft()
                    alone[job.key] += 1
                    flying[self.client.submit(_do_apart, data, _absolute(job), pure=False)] = job
                for future in self._next(flying):
                    job = flying.pop(future)
                    try:
                        outcome = self._outcome(future, job)
                    except TimeoutError:  # done, but its worker died before this was fetched: it is done once more
                        flying[future] = job
                        continue
                    if future.status in FORGOTTEN:
                        waiting.append(job)
                    elif outcome is None and alone[job.key] < TRIES:
                        accused.append(job)
                    else:
                        yield outcome or Outcome(job, "failed", DIED)
        finally:
            with suppress(Exception):
                self.client.cancel(list(flying))

    def _next(self, flying: dict[Any, Job]) -> list[Any]:
        """Wait at most a second, and return the futures that are settled."""
        began = time.monotonic()
        if not flying:
            time.sleep(0.1)
            return []
        try:
            self.distributed.wait(list(flying), timeout=1, return_when="FIRST_COMPLETED")
        except Exception:  # nothing within a second; or the scheduler is gone, which is seen by counting its workers
            time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
        return [future for future in flying if future.status in ("finished", "error", *FORGOTTEN)]

    def _outcome(self, future: Any, job: Job) -> Outcome | None:
        """Return what became of a job, or None if it was accused: even one that was done, whose worker then died."""
        try:
            outcome: Outcome = future.result(timeout=FETCH)
        except self.distributed.KilledWorker:
            return None
        except TimeoutError:
            raise
        except Exception as error:
            return Outcome(job, "failed", f"internal error: {type(error).__name__}: {' '.join(str(error).split())}")
        return replace(outcome, job=job, error=outcome.error.replace(_root(job.picture), job.name))

    def _count(self) -> int:
        """Return the number of worker processes; -1 if the scheduler does not answer."""
        if self.client.status != "running":
            return -1
        try:
            return len(self.client.nthreads())
        except Exception:
            return -1

    def _check_workers(self, job: Job) -> None:
        """Check that every worker has this bgkit, and sees the first picture and the folder of its result."""
        places = [place for place in job.sources() if isinstance(place, Path)]
        proof = job.output.with_name(part_name()) if isinstance(job.output, Path) else None
        try:
            if proof is not None:
                proof.parent.mkdir(parents=True, exist_ok=True)
                proof.touch()
            asked = [_root(place) for place in (*places, proof) if place is not None]
            answers = self.client.run(_greet, asked, on_error="return")
        except Exception as error:
            raise PlanError(f"the workers cannot be asked: {error}") from error
        finally:
            if proof is not None:
                proof.unlink(missing_ok=True)
        for address, answer in answers.items():
            if isinstance(answer, Exception):
                raise PlanError(f"worker {address}: cannot run bgkit there: {answer}")
            version, missing = answer
            if version != __version__:
                raise PlanError(f"worker {address}: has bgkit {version}, here is {__version__}; install the same")
            if missing:
                raise PlanError(f"worker {address}: does not see {missing}; all must lie where every worker reaches it")


def _root(place: Place | bytes) -> str:
    """Return a place as it is called from anywhere on its machine."""
    return os.path.abspath(place) if isinstance(place, Path) else str(place)  # noqa: PTH100


def _absolute(job: Job) -> Job:
    def full(place: Any) -> Any:
        return Path(_root(place)) if isinstance(place, Path) else place

    brought = {name: full(place) for name, place in job.brought.items()}
    return replace(job, picture=full(job.picture), output=full(job.output), brought=brought)


def _rooted(work: Work) -> Work:
    """Name the files that values of the pipeline name (a background, a network) by their full paths."""
    values = {}
    for number, step in enumerate(work.pipeline.steps):
        again = sum(each.name == step.name for each in work.pipeline.steps[: number + 1])
        for name, value in step.values.items():
            if isinstance(value, str) and value and Path(value).is_file():
                values[f"{step.name}#{again}.{name}"] = os.path.abspath(value)  # noqa: PTH100
    folder = work.steps_folder and Path(os.path.abspath(work.steps_folder))  # noqa: PTH100
    return replace(work, pipeline=work.pipeline.with_values(values), steps_folder=folder)


# What follows runs in the workers.

_alone = threading.Lock()


def _greet(places: Sequence[str]) -> tuple[str, str]:
    """Tell the version here, and the first of some files that is not here."""
    return __version__, next((place for place in places if not exists(Path(place))), "")


def _do(data: bytes, job: Job) -> Outcome:
    """Do one picture while the worker's other threads wait: they are its own, for the kernels."""
    with _alone:
        return _run(data, job, _threads())


def _do_apart(data: bytes, job: Job) -> Outcome:
    """Do one picture in a process of its own, whose death then is the picture's."""
    command = [sys.executable, "-c", f"from {__name__} import _answer; _answer()"]
    sent, env = pickle.dumps((data, job, _threads())), {**os.environ, **environment(_threads())}
    with _alone:
        done = subprocess.run(command, input=sent, stdout=subprocess.PIPE, env=env, check=False)
    return pickle.loads(done.stdout) if done.returncode == 0 else Outcome(job, "failed", DIED)


def _answer() -> None:
    """Do the job that stands on standard input, and write its outcome to standard output."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    outcome = _run(*pickle.load(sys.stdin.buffer))
    with os.fdopen(answers, "wb") as out:
        pickle.dump(outcome, out)


def _threads() -> int:
    from distributed import get_worker

    count: int = get_worker().state.nthreads
    return count


def _run(data: bytes, job: Job, count: int) -> Outcome:
    from bgkit.batch.running import run_job

    try:
        work = _work_of(data, count)
    except BgkitError as error:
        return Outcome(job, "failed", f"{job.name}: {error}")
    return run_job(job, work)


@lru_cache(maxsize=4)
def _work_of(data: bytes, count: int) -> Work:
    """Set the number of threads, and load the work once."""
    import cv2

    set_threads(count)
    cv2.setNumThreads(count)
    return pickle.loads(data)
