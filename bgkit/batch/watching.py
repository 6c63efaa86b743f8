"""A watched folder: each picture that arrives is done once, whatever happens on the way.

The folder is listed every so often. Events of the operating system (inotify) would be quicker, but they do not cross a
network share, and shares are where cameras and shops put pictures; a listing of ten thousand names takes 0.1 s.

- A picture is ready when its size and time of change have stood still for ``settle`` seconds, it is not empty, and
  it can be opened. Who writes slower than that gets the picture done when it is whole: a change makes it new.
- What was done stands in the journal (:mod:`bgkit.batch.journal`), also for results that were taken away since. A
  result without a line there was being written when the power failed, and is made again.
- A picture that fails is reported once, and tried again when it changes. One that takes longer than ``Work.timeout``
  fails too: another process does the work then, and is ended.
- Where two pictures want one name, the second keeps its full old name, ``a.tif.png``; the journal says whose is whose.
- Nothing is written to an output folder that does not hold the journal: it may be a share that is away, and its mount
  point would fill the local disk. A full disk, a folder that is away: the watch waits, and resumes when it is back.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bgkit.batch.engines.local import Lasting
from bgkit.batch.jobs import Job, Outcome, Work, shown, stamp_of
from bgkit.batch.journal import NAME, Journal
from bgkit.batch.reviewing import Review
from bgkit.batch.running import run_job
from bgkit.errors import PlanError
from bgkit.files import READABLE

__all__ = ["Watch"]

Stamp = tuple[int, int]
ROOM = 64 << 20  # bytes that must be free before a picture is begun: a result of 12 MP and its sidecar
PAUSE, LONGEST_PAUSE = 10.0, 600.0  # seconds between two tries where a result could not be written
REVIEW = "review"
PASSING = (
    "ENOSPC",
    "EDQUOT",
    "EIO",
    "ESTALE",
    "EROFS",
    "EHOSTDOWN",
    "ENOTCONN",
    "ETIMEDOUT",
)  # of folders, not pictures


@dataclass
class _Seen:
    """A file as it was at the last look, and since when it stands still."""

    stamp: Stamp
    since: float


@dataclass
class _Paused:
    """Why pictures wait though folders are there, for how long, and until when by the watch's clock."""

    trouble: str
    seconds: float
    until: float


@dataclass
class Watch:
    """The state of a watch; used as a context it holds the journal.

    Parameters
    ----------
    folder, out : Path
        Where pictures arrive, and where results go, the tree kept.
    settle : float
        Seconds that a file must stand still.
    run : callable(job, work, on_step), optional
        What does a picture; by default this process, or where there is a deadline another one.
    clock : callable
        Seconds that never go back; tests bring their own.
    """

    folder: Path
    out: Path
    work: Work
    ending: str = "png"
    settle: float = 2.0
    clock: Callable[[], float] = time.monotonic
    run: Callable[[Job, Work, Callable[[str], None] | None], Outcome] | None = None
    trouble: str = ""  # why nothing is done at the moment
    waiting: int = 0  # pictures that are not ready yet
    seen: dict[Path, _Seen] = field(default_factory=dict)
    failed: dict[Path, Stamp] = field(default_factory=dict)
    locked: dict[Path, str] = field(default_factory=dict)
    paused: _Paused | None = None  # until a picture is done
    journal: Journal | None = None
    worker: Lasting = field(default_factory=Lasting)

    def __enter__(self) -> Watch:
        inner, outer = (Path(os.path.realpath(each)) for each in (self.folder, self.out))
        if not inner.is_dir():
            raise PlanError(f"{shown(self.folder)}: no such folder")
        if inner == outer or outer in inner.parents:
            raise PlanError(f"{shown(self.out)}: results among arriving pictures would be taken for them")
        self.folder, self.out = Path(os.path.abspath(self.folder)), Path(os.path.abspath(self.out))  # noqa: PTH100
        self.digest, self.work = self.work.pipeline.digest(), replace(self.work, sidecar=True)
        self.review = Review(self.out / REVIEW, self.out)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlanError(f"{shown(self.out)}: cannot be made: {error.strerror}") from error
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.__exit__()
        self._close()

    def _open(self) -> None:
        journal = Journal(self.out, self.digest, self.work.layer, [self.out], self.work.metadata)
        self.journal = journal.__enter__()
        if journal.shared:
            self._close()
            raise PlanError(f"{shown(self.out)}: another watch or batch is writing there")

    def _close(self) -> None:
        if self.journal is not None:
            with suppress(OSError):
                self.journal.__exit__(None, None, None)
        self.journal = None

    def look(self) -> list[Path]:
        """List the folder once and return the pictures that are ready and not done, oldest first."""
        if not self._folders_there():
            return []
        now, there, ready = self.clock(), {}, []
        if self.paused is not None:
            self.trouble = self.paused.trouble
            if now < self.paused.until:
                return []
        try:
            for path, stamp in self._pictures():
                there[path] = stamp
        except OSError as error:
            self.trouble = f"{shown(self.folder)} cannot be listed: {error.strerror}"
            return []
        self.seen = {path: seen for path, seen in self.seen.items() if path in there}
        self.failed = {path: stamp for path, stamp in self.failed.items() if there.get(path) == stamp}
        self.locked = {path: why for path, why in self.locked.items() if path in there}
        self.waiting = 0
        for path, stamp in there.items():
            seen = self.seen.get(path)
            if seen is None or seen.stamp != stamp:
                seen = self.seen[path] = _Seen(stamp, now)
            if path in self.failed or self._is_done(path, stamp):
                continue
            if now - seen.since >= self.settle and stamp[0] and self._can_be_read(path):
                ready.append(path)
            else:
                self.waiting += 1
        if ready and not self._has_room():
            return []
        return sorted(ready, key=lambda path: (there[path][1], path))

    def do(self, path: Path, on_step: Callable[[str], None] | None = None) -> Outcome | None:
        """Do one picture and write down what became of it; None if it is gone, or must wait for room or a share."""
        if not self._folders_there() or not self._has_room():
            return None
        job = self._job(path)
        run = self.run or (run_job if self.work.timeout is None else self.worker.run)
        outcome = run(job, self.work, on_step)
        try:
            if outcome.status == "done":
                self.review.add(outcome)
                self._remember(outcome)
                self.paused = None
                return outcome
        except OSError as error:
            if not self._folders_there() or not path.exists():
                return None
            self._pause(f"{shown(self.out)} cannot be written: {error.strerror}")
            return None
        stamp = stamp_of(job)
        if stamp is None or stamp != outcome.stamp:
            return None  # gone, or still growing: it is new at the next look
        if not self._folders_there() or not self._has_room():
            return None
        texts = (os.strerror(getattr(errno, name)).lower() for name in PASSING if hasattr(errno, name))
        if any(text in outcome.error.lower() for text in texts):
            self._pause(outcome.error)
            return None
        self.failed[path] = stamp
        return outcome

    def _pause(self, trouble: str) -> None:
        """Wait before the next try, longer after each: room for a picture may be missing for days."""
        waited = self.paused.seconds if self.paused else PAUSE / 2
        seconds = min(2 * waited, LONGEST_PAUSE)
        self.paused = _Paused(trouble, seconds, self.clock() + seconds)
        self.trouble = trouble

    def _remember(self, outcome: Outcome) -> None:
        assert self.journal is not None
        self.journal.add(outcome)
        output = os.path.relpath(str(outcome.job.output), str(self.out))
        stamp = list(outcome.stamp or ())
        self.journal.records[output] = {
            "output": output, "bytes": outcome.written, "input": outcome.job.name,
            "stamp": stamp, "digest": self.digest, "layer": self.work.layer,
            "metadata": self.work.metadata,
        }  # fmt: skip

    def _pictures(self) -> Iterator[tuple[Path, Stamp]]:
        """Yield the pictures below the folder with size and time of change; what vanishes meanwhile is no picture."""
        inside = os.path.realpath(self.out)

        def stop(error: OSError) -> None:
            if error.filename == str(self.folder):
                raise error

        for place, folders, files in os.walk(self.folder, onerror=stop):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != inside  # noqa: PTH118
            )
            for name in sorted(files):
                path = Path(place, name)
                if path.suffix.lower() not in READABLE or name.startswith("."):
                    continue
                with suppress(OSError):
                    found = path.stat()
                    yield path, (found.st_size, found.st_mtime_ns)

    def _records(self) -> dict[str, dict[str, Any]]:
        return self.journal.records if self.journal else {}

    def _output(self, path: Path) -> str:
        """Return the result's name: the picture's, or its full old name where another picture has that already."""
        name = str(path)
        inner = path.relative_to(self.folder)
        short = str(inner.with_suffix(f".{self.ending}"))
        full = str(inner.with_name(f"{inner.name}.{self.ending}"))
        records = self._records()
        for each in (short, full):
            if each in records and os.path.abspath(records[each]["input"]) == name:  # noqa: PTH100
                return each
        taken = short in records or (self.out / short).is_dir() or inner.parts[0] == REVIEW
        return full if taken and not self._moved(records.get(short), path) else short

    def _moved(self, record: dict[str, Any] | None, path: Path) -> bool:
        """Tell whether a record is of this very picture in another place: the share was mounted elsewhere before."""
        if record is None or path not in self.seen or Path(record["input"]).exists():
            return False
        return bool(Path(record["input"]).name == path.name and record["stamp"] == list(self.seen[path].stamp))

    def _is_done(self, path: Path, stamp: Stamp) -> bool:
        """Tell whether the journal knows this state of the picture; a damaged result, or none without line, is not."""
        output = self._output(path)
        record = self._records().get(output)
        if record is None or record["stamp"] != list(stamp):
            return False
        try:
            return bool((self.out / output).stat().st_size == record["bytes"])
        except FileNotFoundError:
            return True  # taken away by whoever it was made for
        except OSError:
            return True

    def _job(self, path: Path) -> Job:
        output = self.out / self._output(path)
        return Job(path, output, str(path), str(output.relative_to(self.out).with_suffix("")))

    def _can_be_read(self, path: Path) -> bool:
        """Tell whether a picture can be opened now; one that is locked or not allowed is asked again."""
        try:
            with path.open("rb") as file:
                _see_unlocked(file)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.locked[path] = error.strerror or str(error)
            return False
        self.locked.pop(path, None)
        return True

    def _folders_there(self) -> bool:
        """See that both folders are there, the output with its journal; open it again when it came back."""
        self.trouble = ""
        if not self.folder.is_dir():
            self.trouble = f"{shown(self.folder)} is away"
        elif not (self.out / NAME).is_file():
            self.trouble = f"{shown(self.out)} is away, or lost its journal {NAME}; start again if that is meant"
            self._close()
        elif self.journal is None:
            with suppress(PlanError, OSError):
                self._open()
            self.trouble = "" if self.journal else f"{shown(self.out)} cannot be written"
        return not self.trouble

    def _has_room(self) -> bool:
        try:
            room = os.statvfs(self.out)
        except (OSError, AttributeError):
            return True
        if room.f_bavail * room.f_frsize >= ROOM:
            return True
        self.trouble = f"disk full: less than {ROOM >> 20} MB left for {shown(self.out)}"  # the same at every look
        return False


def _see_unlocked(file: Any) -> None:
    """Raise OSError where another process holds a lock on the file; one that cannot be locked at all is free."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return
