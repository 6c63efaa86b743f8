"""The journal of an output folder: what each result was made from and how, so that a batch can go on.

A hidden file of JSON lines, appended to after each picture. A line holds the output's name and size, the
picture's size and time of change, the pipeline's digest and the layer. A result is whole or not there at
all (it is written beside its place and renamed), so the journal is not needed to know what is done; it
tells what stands there *rightly*: a picture that was changed since is done again, and so is a result of
another size than was written (a power cut). Results made with other settings are kept, and counted.

Of results in a store, whose objects cannot be appended to, the journal lies on this machine, where networks lie, too
(:func:`bgkit.models.store.home`), below ``journals``.

The journal is locked while a batch runs; who holds the lock may remove what killed runs left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from bgkit.batch.jobs import Job, Outcome, shown, stamp_of
from bgkit.batch.places import Place, Url, delete, inner_path, list_files, size_of
from bgkit.errors import PlanError
from bgkit.models.store import home

__all__ = ["LEFT_BEHIND", "NAME", "Journal", "lock"]

NAME = ".bgkit.jsonl"
LEFT_BEHIND = ".bgkit-*.part"  # how bgkit.imagefile calls a file that is not whole yet


class Journal:
    """What is known of the results in ``folder``; used as a context it takes in what is added.

    ``places`` are the folders that results go to, ``folder`` itself and some below it.
    """

    def __init__(self, folder: Place, digest: str, layer: str, places: Iterable[Place] = ()) -> None:
        self.folder, self.digest, self.layer, self.places = folder, digest, layer, set(places)
        self.path = folder / NAME if isinstance(folder, Path) else _path_of(folder)
        self.records: dict[str, dict[str, Any]] = {}
        self.file: FileIO | None = None
        self.alone = self.torn = False
        with suppress(OSError):  # a new folder has no journal
            for line in self.path.read_bytes().splitlines():
                with suppress(ValueError, KeyError, TypeError):  # a line that a kill tore
                    record = json.loads(line)
                    self.records[record["output"]] = record

    def judge(self, job: Job, size: int | None = None) -> Literal["none", "good", "stale", "other"]:
        """Tell how the result of a job stands: not there; good; of an older picture or damaged; of other settings.

        A result that the journal does not know is good: the user put it there. ``size`` is the result's, where it is
        known already.
        """
        size = size_of(job.output) if size is None else size
        if size is None:
            return "none"
        record = self.records.get(self._name(job))
        if record is None:
            return "good" if size else "stale"  # an empty file is what a power cut left
        stamp = stamp_of(job)
        if record["bytes"] != size or (stamp and list(stamp) != record["stamp"]):
            return "stale"
        return "good" if (record["digest"], record["layer"]) == (self.digest, self.layer) else "other"

    def add(self, outcome: Outcome) -> None:
        """Take in what became of a job."""
        if self.file is None or outcome.status != "done":
            return
        with suppress(OSError):  # the disk is full: the result itself counts
            record = {
                "output": self._name(outcome.job),
                "bytes": outcome.written,
                "input": outcome.job.name,
                "stamp": outcome.stamp,
                "digest": self.digest,
                "layer": self.layer,
            }
            line = b"\n" * self.torn + json.dumps(record).encode() + b"\n"
            self.torn = True
            self.torn = self.file.write(line) != len(line)  # on a full disk a part of it

    def _name(self, job: Job) -> str:
        if isinstance(job.output, Path):
            return os.path.relpath(job.output, str(self.folder))
        return inner_path(job.output, self.folder).as_posix()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise PlanError(f"{shown(self.path)}: cannot be written: {error.strerror}") from error
        self.file.write(b"\n")  # ends a line that a kill tore
        self.alone = lock(self.file)
        if self.alone:
            self._clear()
        return self

    def _clear(self) -> None:
        """Delete what killed runs and workers left: results under temporary names."""
        for place in self.places:
            for path in place.glob(LEFT_BEHIND) if isinstance(place, Path) else ():
                path.unlink(missing_ok=True)
        if isinstance(self.folder, Url):
            with suppress(OSError):
                for url in list_files(self.folder):
                    if fnmatch(url.name, LEFT_BEHIND):
                        delete(url)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alone:
            with suppress(OSError):  # the folder is away
                self._clear()
        if self.file is not None:
            self.file.close()


def _path_of(folder: Url) -> Path:
    """Return where the journal of a folder in a store lies on this machine."""
    digest = hashlib.sha256(str(folder).rstrip("/").encode()).hexdigest()
    return home() / "journals" / f"{folder.name or folder.protocol}-{digest[:12]}.jsonl"


def lock(file: FileIO) -> bool:
    """Lock a file until it is closed; False where another process has, or where files cannot be locked."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
