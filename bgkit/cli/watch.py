"""``bgkit watch``: a folder whose pictures are done as they arrive."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bgkit.batch.jobs import shown
from bgkit.cli.options import FORMATS, device_option, timeout_option
from bgkit.errors import MissingPartError
from bgkit.files import METADATA

if TYPE_CHECKING:
    from bgkit.batch.jobs import Outcome
    from bgkit.batch.watching import Watch

BAD, DOUBTFUL = "bold red", "bold yellow"


@click.command(
    epilog="""\b
Examples:
  bgkit watch incoming -o white -p studio-white
  bgkit watch incoming -o shop -p product --set frame.size=2000"""
)
@click.argument("folder", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path), required=True, help="A folder.")
@click.option("-p", "--pipeline", default="auto", show_default=True, help="A shipped pipeline's name, or a YAML file.")
@click.option("--set", "settings", metavar="STAGE.PARAM=VALUE", multiple=True, help="Change a value; repeatable.")
@click.option("--background", metavar="WHAT", help="A color, a picture, blur, or none: sets composite.background.")
@click.option("--format", "ending", type=click.Choice(FORMATS), default="png", show_default=True)
@click.option(
    "--metadata",
    type=click.Choice(METADATA),
    default="credit",
    show_default=True,
    help="Which of the pictures' EXIF, XMP and IPTC fields to copy; all has places (GPS), credit has none.",
)
@click.option(
    "--settle",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Seconds for which a file must stay unchanged.",
)
@click.option(
    "--every",
    type=click.FloatRange(0.02),
    default=1.0,
    show_default=True,
    help="Seconds between two scans of the folder.",
)
@device_option
@timeout_option
@click.option(
    "--page", metavar="PORT", type=click.IntRange(0, 65535), help="Also show it at http://127.0.0.1:PORT/watch."
)
@click.option("--once", is_flag=True, help="End when all that is there is done, or none can be: status 1.")
@click.option("--strict", is_flag=True, help="With --once: exit status 1 also when a picture was flagged.")
def command(
    *,
    folder: Path,
    output: Path,
    pipeline: str,
    settings: tuple[str, ...],
    background: str | None,
    ending: str,
    metadata: str,
    settle: float,
    every: float,
    device: str | None,
    timeout: float | None,
    page: int | None,
    once: bool,
    strict: bool,
) -> int:
    """Process every picture that arrives in a folder.

    Pictures that arrive in the folder IN are processed until Ctrl-C, each once, also after a crash or a restart, and
    again when they change. The command waits for files that are still being written, locked or empty, for a share that
    went away, and for room on a full disk; with --once it ends there instead, and the same command goes on.

    A JSON file beside each result holds all that is needed to make it again. Results that the pipeline's checks flag
    are copied to OUT/review.
    """
    from bgkit.batch.jobs import Work
    from bgkit.batch.watching import Watch
    from bgkit.cli.options import load_chain

    work = Work(load_chain(pipeline, settings, background, device=device), timeout=timeout, metadata=metadata)
    work.check((), ending)
    work.start_networks()
    watch = Watch(folder, output, work, ending, settle)
    wall = _page(watch, page)
    with watch, _status() as status:
        board = _Board(watch, status)
        board.say(f"{shown(folder)} -> {shown(output)}, pipeline {work.pipeline.name}; Ctrl-C ends")
        try:
            while True:
                ready = watch.look()
                board.show(len(ready))
                for number, path in enumerate(ready):
                    board.begin(path, len(ready) - number - 1)
                    outcome = watch.do(path, board.step)
                    board.take(outcome)
                    if wall is not None and outcome is not None:
                        wall.add(outcome)
                    if watch.trouble:
                        break
                board.show(0)
                if wall is not None:
                    wall.trouble, wall.waiting = watch.trouble, watch.waiting
                if once and (watch.trouble or not (ready or watch.waiting)):
                    break
                time.sleep(every)
        except KeyboardInterrupt:
            board.end()
            return 0
        board.end()
        unfinished = watch.trouble or board.counts["failed"] or (strict and board.counts["to look at"])
        return int(bool(unfinished))


def _page(watch: Watch, port: int | None) -> Any:
    """Show the folder on a page of this machine; return the wall that it reads."""
    if port is None:
        return None
    try:
        from bgkit.serve.running import show_page
    except ImportError as error:
        raise MissingPartError.of("serve", "bgkit watch --page") from error
    return show_page("127.0.0.1", port, watch, lambda url: click.echo(f"the page is at {url}watch", err=True))


def _status() -> Any:
    from rich.console import Console

    return Console(stderr=True, emoji=False).status("", spinner="line")


class _Board:
    """What the operator sees: one line that lives, and above it a line for each picture and each trouble."""

    def __init__(self, watch: Watch, status: Any) -> None:
        self.watch, self.status = watch, status
        self.live = sys.stderr.isatty()
        self.counts: Counter[str] = Counter()
        self.trouble = ""
        self.locked: dict[Path, str] = {}
        self.at, self.left = "", 0

    def say(self, text: str, style: str = "") -> None:
        from rich.text import Text  # a style given to print() would color the living line too

        line = Text(f"{time.strftime('%H:%M:%S')}  {text}", style)
        self.status.console.print(line, highlight=False, soft_wrap=True)

    def call(self) -> None:
        """Ring the terminal's bell: who stands at the camera does not look at the screen."""
        if self.live:
            self.status.console.bell()

    def begin(self, path: Path, left: int) -> None:
        self.at, self.left = shown(path.relative_to(self.watch.folder)), left
        self._update("reading")

    def step(self, name: str) -> None:
        self._update(f"{name} done")

    def take(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        self.counts[outcome.status] += 1
        if outcome.status == "failed":
            error = shown(outcome.error).removeprefix(f"{shown(self.watch.folder)}/")
            self.say(f"FAILED  {error if error.startswith(self.at) else f'{self.at}: {error}'}", BAD)
        else:
            output = os.path.relpath(str(outcome.job.output), str(self.watch.out))
            took = f"{sum(outcome.seconds.values()):.1f} s"
            if outcome.flags:
                self.say(f"LOOK    {self.at} -> {shown(output)}, copied to review/  {took}", DOUBTFUL)
            else:
                self.say(f"done    {self.at} -> {shown(output)}  {took}")
        for text in outcome.flags:
            self.say(f"        {text}", DOUBTFUL)
        self.counts["to look at"] += bool(outcome.flags)
        if outcome.flags or outcome.status == "failed":
            self.call()

    def show(self, ready: int) -> None:
        """Tell what changed since the last look."""
        self.at, self.left = "", ready
        if self.watch.trouble != self.trouble:
            self.trouble = self.watch.trouble
            self.say(f"WAITING {self.trouble}" if self.trouble else "going on", BAD if self.trouble else "")
            self.call()
        for path, why in self.watch.locked.items():
            if path not in self.locked:
                self.say(f"WAITING {shown(path.relative_to(self.watch.folder))} cannot be read: {why}", BAD)
        self.locked = dict(self.watch.locked)
        self._update("")

    def end(self) -> None:
        self.say(self._counts() or "nothing arrived")

    def _counts(self) -> str:
        names = ("done", "failed", "to look at")
        return ", ".join(f"{self.counts[name]} {name}" for name in names if self.counts[name])

    def _update(self, step: str) -> None:
        if not self.live:
            return
        from rich.text import Text

        styles = {"done": "green", "failed": BAD, "to look at": DOUBTFUL}
        parts = [(f"watching {shown(self.watch.folder.name)}", "")]
        parts += [(f"{self.counts[name]} {name}", style) for name, style in styles.items() if self.counts[name]]
        parts += [(f"{self.left} to do", "")] * bool(self.left)
        parts += [(f"{self.watch.waiting} arriving", "")] * bool(self.watch.waiting)
        parts += [(f"at {self.at} ({step})", "")] * bool(self.at) + [(f"WAITING: {self.trouble}", BAD)] * bool(
            self.trouble
        )
        line = Text(" | ").join(Text(text, style) for text, style in parts)
        line.truncate(max(self.status.console.width - 3, 1), overflow="ellipsis")  # one line, whatever the name
        self.status.update(line)
