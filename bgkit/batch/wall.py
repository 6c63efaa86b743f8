"""The last pictures of a watched folder, in plain values: what a page for the operator shows.

One thread watches and writes here, others read: a list with numbers needs no other word between them.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bgkit.batch.answers import Thumbnail
from bgkit.batch.crew import Crew
from bgkit.batch.jobs import Job, Outcome, Work, shown
from bgkit.batch.watching import Watch
from bgkit.errors import EngineError

__all__ = ["Wall", "in_crew", "watch_on", "watched_by"]

KEPT = 500  # pictures
SERIES = {"scale": "scale", "ground": "bottom", "filled": "filled"}  # what the stage frame notes


def _now() -> str:
    """Return the time, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass
class Wall:
    """The last pictures of a watched folder, and how it stands with it."""

    folder: str
    output: str
    pipeline: str
    began: str = field(default_factory=_now)
    trouble: str = ""
    waiting: int = 0
    closed: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    pictures: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    thumbnails: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, watch: Watch) -> Wall:
        """Return the wall of a watched folder, whose results get thumbnails from now on."""
        watch.work = replace(watch.work, examine=Thumbnail())
        return cls(str(watch.folder.absolute()), str(watch.out.absolute()), watch.work.pipeline.name)

    def add(self, outcome: Outcome) -> None:
        """Take in what became of a picture."""
        number = sum(self.counts[name] for name in ("done", "failed")) + 1
        framed = outcome.facts.get("frame", {})
        name = os.path.relpath(str(outcome.job.picture), self.folder)
        entry = {
            "number": number,
            "time": _now(),
            "name": shown(name),
            "status": outcome.status,
            "error": shown(outcome.error).replace(f"{self.folder}/", ""),
            "flags": outcome.flags,
            "findings": outcome.facts.get("findings", {}),
            "seconds": round(sum(outcome.seconds.values()), 3),
            "series": {name: framed[fact] for name, fact in SERIES.items() if fact in framed},
            "thumbnail": f"/v1/watch/pictures/{number}" if outcome.found.get("thumbnail") else None,
        }
        self.thumbnails[number] = outcome.found.get("thumbnail", b"")
        self.thumbnails.pop(number - KEPT, None)
        self.pictures.append(entry)
        self.counts[outcome.status] += 1
        self.counts["flagged"] += bool(outcome.flags)

    def stand(self) -> dict[str, Any]:
        """Return how it stands: folder, counts, trouble, and the series in figures."""
        values = {
            name: [entry["series"][name] for entry in list(self.pictures) if name in entry["series"]] for name in SERIES
        }
        return {
            "folder": self.folder,
            "output": self.output,
            "pipeline": self.pipeline,
            "began": self.began,
            "trouble": self.trouble,
            "waiting": self.waiting,
            "counts": {name: self.counts[name] for name in ("done", "failed", "flagged")},
            "series": {
                name: {"count": len(given), "median": statistics.median(given), "low": min(given), "high": max(given)}
                for name, given in values.items()
                if given
            },
        }


def watch_on(watch: Watch, wall: Wall, every: float) -> threading.Thread:
    """Watch a folder, whose watch is open, in a thread until the wall is closed."""

    def go_on() -> None:
        while not wall.closed:
            for path in watch.look():
                outcome = watch.do(path)
                if outcome is not None:
                    wall.add(outcome)
                if watch.trouble or wall.closed:
                    break
            wall.trouble, wall.waiting = watch.trouble, watch.waiting
            time.sleep(every)

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    return thread


def in_crew(crew: Crew, seconds: float) -> Callable[[Job, Work, Any], Outcome]:
    """Return what does a watched picture in the server's workers."""

    def run(job: Job, work: Work, on_step: Any = None) -> Outcome:
        while True:
            try:
                return crew.submit(work, job, seconds).future.result()
            except EngineError as error:
                if crew.closing:
                    return Outcome(job, "failed", str(error))
                if crew.queued < crew.limit:  # not for want of a place
                    return Outcome(job, "failed", f"{job.name}: {error}")
                time.sleep(1)

    return run


@contextmanager
def watched_by(crew: Crew, watch: Watch, seconds: float) -> Iterator[Wall]:
    """Have a folder's pictures done by a server's workers while the context is open; yield its wall."""
    watch.run = in_crew(crew, seconds)
    wall = Wall.of(watch)
    with watch:
        thread = watch_on(watch, wall, every=1.0)
        try:
            yield wall
        finally:
            wall.closed = True
            thread.join(seconds)
