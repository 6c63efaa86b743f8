"""``bgkit compare``: pipelines side by side on one's own pictures."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from bgkit.errors import printable

SHOWN = 20  # problems named on the terminal; the report has them all


@click.command(
    epilog="""\b
Examples:
  bgkit compare -p auto -p classical --images shots -o report
  bgkit compare -p auto -p mine.yaml --images shots --truth alphas -o report
  bgkit compare -p auto -p deep --images ECSSD --dataset ecssd -o report
  bgkit compare -p studio-white --sweep luv_threshold.tolerance=8,12,18 --images shots -o report"""
)
@click.option("-p", "--pipeline", "pipelines", multiple=True, required=True, help="A name or a YAML file; repeatable.")
@click.option(
    "--images", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The pictures, or the set's folder."
)
@click.option("--dataset", metavar="NAME", help="--images is a known data set: ecssd, duts-te, studio, ...")
@click.option("--truth", metavar="DIR", type=click.Path(path_type=Path), help="True masks or alphas, matched by name.")
@click.option("--plates", metavar="DIR", type=click.Path(path_type=Path), help="Empty scenes, matched by name.")
@click.option(
    "--sweep", "sweeps", metavar="STAGE.PARAM=A,B,...", multiple=True, help="Try these values; several make a grid."
)
@click.option(
    "--metrics", metavar="A,B,...", help="Metrics to compute; the first one ranks. Default: mad and the usual ones."
)
@click.option(
    "--sequences",
    is_flag=True,
    help="Each folder of --images is a film, its pictures the frames by name: dtSSD is measured, too.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes; default: as many as there are cores. Times are steadiest with 1.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    help="Time limit for a picture with one pipeline; one that takes longer fails, and the step it was in is named.",
)
@click.option(
    "-o", "--output", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The report's folder."
)
@click.option("--yes", is_flag=True, help="Do not ask before more than a thousand variants.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    *,
    pipelines: tuple[str, ...],
    images: Path,
    dataset: str | None,
    truth: Path | None,
    plates: Path | None,
    sweeps: tuple[str, ...],
    metrics: str | None,
    sequences: bool,
    workers: int | None,
    timeout: float | None,
    output: Path,
    yes: bool,
    quiet: bool,
) -> int:
    """Compare pipelines on pictures, with or without truth.

    Writes report.html, which opens in any browser without a network, scores.csv, scores.json, and every
    layer of every result. The same command resumes a comparison that was stopped.

    Files that cannot be read, matched or measured are listed, and make the exit status 1.
    """
    from bgkit.comparison import compare
    from bgkit.comparison.runs import MANY, count_variants
    from bgkit.evaluate import open_dataset

    count = count_variants(pipelines, sweeps)
    if count > MANY and not yes and sys.stdin.isatty():
        click.confirm(f"{count} variants on each picture: begin?", abort=True, err=True)
        yes = True
    names = [name.strip() for name in metrics.split(",")] if metrics else None
    progress = _Lines() if quiet or not sys.stderr.isatty() else _Bar()
    progress.quiet = quiet
    if sweeps:
        progress.note(f"{count} variants on each picture")
    try:
        with progress:
            compared = compare(
                pipelines,
                open_dataset(dataset, images) if dataset else images,
                output,
                truth=truth,
                plates=plates,
                sweeps=sweeps,
                metrics=names,
                sequences=sequences,
                workers=workers,
                timeout=timeout,
                most=count if yes else MANY,
                on_news=progress.note,
                on_done=progress.done,
            )
    except KeyboardInterrupt:
        click.echo("stopped; the same command resumes", err=True)
        return 130
    for problem in compared["problems"][:SHOWN]:
        click.echo(printable(f"error: {problem['file']}: {problem['reason']}"), err=True)
    if len(compared["problems"]) > SHOWN:
        click.echo(f"error: and {len(compared['problems']) - SHOWN} more; the report names every one", err=True)
    progress.note(f"{compared['verdict']}\n{output / 'report.html'}")
    return 1 if compared["problems"] else 0


class _Lines:
    """One line for each result, on standard error."""

    quiet = False

    def note(self, text: str) -> None:
        if not self.quiet:
            click.echo("\n".join(map(printable, text.split("\n"))), err=True)

    def done(self, number: int, total: int, text: str) -> None:
        self.note(f"[{number}/{total}] {text}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Bar(_Lines):
    """A bar with rate and time left, for a terminal; what is done already comes at once and hardly counts."""

    RECENT = 20  # results that the rate is taken from: pipelines differ in speed

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        from bgkit.cli.progress import pace

        self.pace = pace
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=Console(stderr=True, emoji=False),
            transient=True,
            refresh_per_second=5,
        )
        self.task = self.bar.add_task("", total=None, pace="")
        self.times: deque[float] = deque([time.perf_counter()], self.RECENT + 1)

    def note(self, text: str) -> None:
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def done(self, number: int, total: int, text: str) -> None:
        self.times.append(time.perf_counter())
        each = (self.times[-1] - self.times[0]) / (len(self.times) - 1)
        last = text if len(text) < 50 else f"{text[:24]}...{text[-22:]}"
        self.bar.update(
            self.task, completed=number, total=total, description=last, pace=self.pace(each, total - number)
        )

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
