"""The journal of an output folder: what each result was made from and how, so that a batch can go on.

A hidden file of JSON lines, appended to after each picture. A line holds the output's name and size, the
picture's size and time of change, the pipeline's digest, the layer and what metadata went along. A result
is whole or not there at all (it is written beside its place and renamed), so the journal is not needed to know
what is done; it says which results are still right: a picture that was changed since is done again, and so is a result
of another size than was written (a power cut). Results made with other settings are kept, and counted.

Of results in a store, whose objects cannot be appended to, the journal lies on this machine, where networks lie, too
(:func:`bgkit.files.home`), below ``journals``.

The journal is locked while a batch runs; who holds the lock may remove what killed runs left behind.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from bgkit.batch.jobs import Job, Outcome, shown, stamp_of
from bgkit.batch.places import Place, Url, delete, inner_path, list_files, size_of
from bgkit.errors import PlanError
from bgkit.files import LEFT_BEHIND, JsonLines, Lock, home, read_lines

__all__ = ["NAME", "Journal"]

NAME = ".bgkit.jsonl"


FIELDS = {"output": str, "bytes": int, "input": str, "stamp": list | None, "digest": str, "layer": str}


class Journal:
    """What is known of the results in ``folder``; used as a context it takes in what is added.

    ``places`` are the folders that results go to, ``folder`` itself and some below it.
    """

    def __init__(
        self, folder: Place, digest: str, layer: str, places: Iterable[Place] = (), metadata: str = "credit"
    ) -> None:
        self.folder, self.digest, self.layer, self.places = folder, digest, layer, set(places)
        self.metadata = metadata
        self.path = folder / NAME if isinstance(folder, Path) else _path_of(folder)
        self.records: dict[str, dict[str, Any]] = {}
        self.file: JsonLines | None = None
        self.lock: Lock | None = None
        if self.path.exists() and not self.path.is_file():
            raise PlanError(f"{shown(self.path)}: expected a file, the journal of this folder; remove what is there")
        for record in read_lines(self.path):
            if _is_record(record):
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
        made = record["digest"], record["layer"], record.get("page"), record.get("metadata", "none")
        return "good" if made == (self.digest, self.layer, job.page, self.metadata) else "other"

    def add(self, outcome: Outcome) -> None:
        """Take in what became of a job. OSError of a full disk is not caught: a later change would go unnoticed."""
        if self.file is None or outcome.status != "done":
            return
        record = {
            "output": self._name(outcome.job),
            "bytes": outcome.written,
            "input": outcome.job.name,
            "stamp": outcome.stamp,
            "digest": self.digest,
            "layer": self.layer,
            "metadata": self.metadata,
            "page": outcome.job.page,
        }
        self.file.append(record)

    def _name(self, job: Job) -> str:
        if isinstance(job.output, Path):
            return os.path.relpath(job.output, str(self.folder))
        return inner_path(job.output, self.folder).as_posix()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = JsonLines(self.path)
        except OSError as error:
            raise PlanError(f"{shown(self.path)}: cannot be written: {error.strerror}") from error
        self.lock = Lock(self.path.with_suffix(".lock"))
        if self.has_lock:
            self._clear()
        return self

    @property
    def has_lock(self) -> bool:
        """Whether no other batch is at work there, known for sure."""
        return self.lock is not None and self.lock.state == "held"

    @property
    def shared(self) -> bool:
        """Whether another batch is at work there."""
        return self.lock is not None and self.lock.state == "taken"

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
        if self.has_lock:
            with suppress(OSError):  # the folder is away
                self._clear()
        if self.lock is not None:
            self.lock.close()
        if self.file is not None:
            self.file.close()


def _is_record(value: Any) -> bool:
    """Tell a line of ours from another one."""
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in FIELDS.items())


def _path_of(folder: Url) -> Path:
    """Return where the journal of a folder in a store lies on this machine."""
    digest = hashlib.sha256(str(folder).rstrip("/").encode()).hexdigest()
    return home() / "journals" / f"{folder.name or folder.protocol}-{digest[:12]}.jsonl"
