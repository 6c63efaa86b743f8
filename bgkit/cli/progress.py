"""How far a batch is, on standard error: a bar on a terminal, lines elsewhere, nothing but errors when quiet."""

from __future__ import annotations

import datetime
import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import click

from bgkit.batch.events import Events
from bgkit.batch.jobs import Outcome, shown

__all__ = ["Bar", "Lines", "Progress", "open_progress", "pace"]


class Progress(Events):
    """Says only what went wrong; the others say more.

    With ``strict`` a flagged picture counts as failed for the exit status; with ``debug`` a fault of bgkit's own shows
    its traceback.
    """

    def __init__(self, *, strict: bool = False, debug: bool = False) -> None:
        self.strict, self.debug = strict, debug
        self.count = 0
        self.started = time.perf_counter()
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []
        self.flagged: list[str] = []
        self.reasons: dict[str, list[str]] = {}  # finding -> pictures
        self.status = 0  # to end the process with

    def begin(self, count: int, steps: Sequence[str]) -> None:
        self.count, self.started = count, time.perf_counter()

    def say(self, text: str, style: str = "") -> None:
        """Write one line; ``style`` is for terminals."""
        click.echo(text, err=True)

    def line(self, text: str, style: str = "") -> None:
        """Write a line that is no error."""

    def note(self, text: str) -> None:
        """Write news."""
        self.line(f"note: {text}")

    def fail(self, text: str) -> None:
        """Write that something went wrong."""
        self.status = 1
        self.say(f"error: {text}", "bold red")

    def add(self, outcome: Outcome) -> None:
        """Take in an outcome."""
        self.counts[outcome.status] += 1
        name = shown(outcome.job.name)
        for text in outcome.warnings:
            self.line(f"warning: {text}" if text.startswith(name) else f"warning: {name}: {text}")
        for text in outcome.flags:
            self.line(f"look: {name}: {text}", "bold yellow")
        if outcome.flags:
            self.flagged.append(name)
            from bgkit.findings import flagged  # loads NumPy, which the command line's help does without

            for finding in flagged(outcome.facts["findings"]):
                self.reasons.setdefault(finding, []).append(name)
            self.status = max(self.status, int(self.strict))
        if outcome.status == "failed":
            error = shown(outcome.error)
            self.failed.append(error if error.startswith(name) else f"{name}: {error}")
            self.fail(self.failed[-1])
        elif outcome.status == "done":
            took = sum(outcome.seconds.values())
            self.tell(f"{name} -> {shown(outcome.job.output)}  {took:.2f} s")
        if outcome.trace and self.debug:
            self.say(outcome.trace)

    def tell(self, text: str) -> None:
        """Write that a picture is done."""

    def finish(self, stopped: bool = False) -> None:
        """Write how it went, with each failure by name."""
        if self.count == 1 and not self.counts["skipped"] and not stopped:
            return  # the one line there is says it all
        seconds = time.perf_counter() - self.started
        parts = [f"{self.counts[word]} {word}" for word in ("done", "skipped", "failed") if self.counts[word]]
        if stopped:
            parts.append(f"{self.count - self.counts.total()} not begun or given up")
        self.line(f"{', '.join(parts)}, in {seconds:.1f} s")
        if self.flagged:
            from bgkit.findings import FINDINGS

            self.line(f"{len(self.flagged)} to look at:", "bold yellow")
            for finding in (name for name in FINDINGS if name in self.reasons):  # the most severe first
                names = self.reasons[finding]
                self.line(f"  {finding} ({FINDINGS[finding].advice}): {', '.join(names)}", "bold yellow")
        if self.counts["skipped"]:
            self.line("skipped were pictures whose output exists; --if-exists overwrite does them again")
        for text in self.failed if self.count > 1 else []:
            self.line(f"  failed: {text}", "bold red")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Lines(Progress):
    """One line for each picture."""

    def line(self, text: str, style: str = "") -> None:
        self.say(text, style)

    def tell(self, text: str) -> None:
        number = f"[{self.counts.total()}/{self.count}] " if self.count > 1 else ""
        self.say(number + text)


class Bar(Progress):
    """A bar with rate and time left; for one picture its steps, for many the pictures."""

    def __init__(self, *, strict: bool = False, debug: bool = False) -> None:
        super().__init__(strict=strict, debug=debug)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn()]
        columns += [MofNCompleteColumn(), TextColumn("{task.fields[rate]}")]
        self.bar = RichProgress(
            *columns, console=Console(stderr=True, emoji=False), transient=True, refresh_per_second=5
        )

    def begin(self, count: int, steps: Sequence[str]) -> None:
        super().begin(count, steps)
        self.steps = steps
        self.task = self.bar.add_task(
            steps[0] if count == 1 else "", total=len(steps) if count == 1 else count, rate=""
        )
        self.bar.start()

    def say(self, text: str, style: str = "") -> None:
        from rich.text import Text  # a style given to print() would color the bar too

        self.bar.console.print(Text(text, style), highlight=False, soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        self.say(text, style)

    def tell(self, text: str) -> None:
        if self.count == 1:
            self.say(text)

    def step(self, name: str) -> None:
        if self.count == 1:
            done = int(self.bar.tasks[0].completed) + 1
            self.bar.update(self.task, completed=done, description=self.steps[min(done, len(self.steps) - 1)])

    def add(self, outcome: Outcome) -> None:
        super().add(outcome)
        if self.count > 1:
            last = shown(outcome.job.name)
            last = last if len(last) < 30 else "..." + last[-27:]
            self.bar.update(self.task, advance=1, description=last, rate=self.rate())

    def rate(self) -> str:
        """Return the rate so far, from start to now (workers take seconds to start), and the time left."""
        worked = self.counts.total() - self.counts["skipped"]
        if not worked:
            return ""
        return pace((time.perf_counter() - self.started) / worked, self.count - self.counts.total())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()


def pace(each: float, left: int) -> str:
    """Return the rate, from the seconds that each takes, and the time that ``left`` of them take.

    >>> pace(0.25, 8), pace(2.0, 60)
    ('4.0/s, 0:00:02 left', '2.0 s each, 0:02:00 left')
    """
    rate = f"{1 / max(each, 1e-6):.1f}/s" if each < 1 else f"{each:.1f} s each"
    return f"{rate}, {datetime.timedelta(seconds=round(each * left))} left"


def open_progress(quiet: bool, *, strict: bool = False, debug: bool = False) -> Progress:
    """Return what fits: a bar on a terminal, lines elsewhere."""
    kind = Progress if quiet else Bar if sys.stderr.isatty() else Lines
    return kind(strict=strict, debug=debug)
