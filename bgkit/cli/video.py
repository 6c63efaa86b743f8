"""``bgkit video``: a film in, a film out."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import click

from bgkit.batch.jobs import shown
from bgkit.cli.options import device_option, load_chain, timeout_option
from bgkit.cli.progress import pace
from bgkit.errors import ParamError, printable
from bgkit.files import METADATA

LAYERS = ("result", "alpha", "mask", "foreground", "background")
NAMED = 20  # held frames that are named; the report has them all


def _read_size(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Return rows and columns of ``WIDTHxHEIGHT``."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or "0" in found.groups():
        raise ParamError(f"--raw: expected WIDTHxHEIGHT in px, as 1280x720, got {text!r}")
    return int(found[2]), int(found[1])


@click.command(
    epilog="""\b
Examples:
  bgkit video talk.mp4 -o talk.webm
  bgkit video talk.mp4 -o talk.mp4 -p portrait --background office.jpg
  bgkit video turntable.mov -o turntable.mov -p clean-plate
  bgkit video shots/%04d.png -o cut/%04d.png --rate 24
  ffmpeg -i a.mp4 -f rawvideo -pix_fmt rgb24 - | bgkit video - --raw 1280x720 -o - | ffplay ..."""
)
@click.argument("source", metavar="INPUT")
@click.option(
    "-o", "--output", metavar="OUT", required=True, help="A .webm, .mov or .mp4, a folder of pictures, or - for a pipe."
)
@click.option("-p", "--pipeline", default="auto", show_default=True, help="A shipped pipeline's name, or a YAML file.")
@click.option("--set", "settings", metavar="STAGE.PARAM=VALUE", multiple=True, help="Change a value; repeatable.")
@click.option("--background", metavar="WHAT", help="A color, a picture, a film, blur, or none.")
@click.option("--layer", type=click.Choice(LAYERS), default="result", show_default=True, help="What to write.")
@click.option("--plate", metavar="FILE", help="The scene photographed empty.")
@click.option("--frame-by-frame", is_flag=True, help="Process each frame by itself, without the stage steady.")
@click.option("--raw", metavar="WxH", callback=_read_size, help="INPUT is raw RGB frames of 8 bits, of this size.")
@click.option(
    "--rate",
    type=click.FloatRange(0.01, 1000),
    help="Frames per second, for pictures, raw frames and cameras.",
)
@device_option
@timeout_option
@click.option(
    "--metadata",
    type=click.Choice(METADATA),
    default="credit",
    show_default=True,
    help="Which of the film's tags to copy. credit: title, authors, copyright and time; none; or all, places included.",
)
@click.option(
    "--if-exists",
    type=click.Choice(["overwrite", "skip", "fail"]),
    default="overwrite",
    show_default=True,
    help="What to do when the output exists; a run that was stopped is resumed.",
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Append a JSON line for each frame.")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with status 1 also if a check flags a frame, or if the empty scene that was found is doubtful.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    *,
    source: str,
    output: str,
    pipeline: str,
    settings: tuple[str, ...],
    background: str | None,
    layer: str,
    plate: str | None,
    frame_by_frame: bool,
    raw: tuple[int, int] | None,
    rate: float | None,
    device: str | None,
    timeout: float | None,
    metadata: Any,
    if_exists: Any,
    report: Path | None,
    strict: bool,
    quiet: bool,
) -> int:
    """Remove the background of a film.

    INPUT is a video file, a folder of pictures, numbered pictures (shots/%04d.png), a camera on Linux (/dev/video0), or
    - for raw frames from a pipe. Frames keep their times, and the film keeps its sound.

    If the pipeline has no stage steady, it is added; it reduces the flicker of alpha. If the pipeline needs the empty
    scene and --plate is not given, the scene is estimated from the film; the camera must stand still for that.

    Ctrl-C leaves a film that plays up to there, and the same command resumes. If a frame fails, it gets the alpha of
    the frame before, its number is printed, and the exit status is 1.
    """
    from bgkit.findings import FINDINGS
    from bgkit.video.removal import remove_video

    progress = _Progress(quiet)
    values = dict(text.partition("=")[::2] for text in settings)
    for text in settings:
        if "=" not in text:
            raise ParamError(f"--set {text}: expected STAGE.PARAM=VALUE")
    with progress:
        film = remove_video(
            source,
            output,
            load_chain(pipeline, device=device),
            values={key.strip(): value.strip() for key, value in values.items()},
            background=background,
            layer=layer,
            steady=not frame_by_frame,
            plate=plate,
            raw=raw,
            rate=rate,
            timeout=timeout,
            metadata=metadata,
            if_exists=if_exists,
            report=report,
            on_news=progress.note,
            on_done=progress.done,
        )
    if film.skipped:
        progress.note(f"{shown(output)}: exists, skipped; --if-exists overwrite does it again")
        return 0
    for text in film.notes:
        progress.note(text)
    progress.note(f"{shown(source)} -> {shown(output)}  {film.frames} frames, {progress.seconds():.1f} s")
    for text in film.doubts:
        progress.note(f"look: {text}")
    for name, count in film.flagged.items():
        progress.note(f"look: {count} frames: {name} ({FINDINGS[name].advice})")
    for text in film.held[:NAMED]:
        click.echo(f"error: {printable(text)}; it shows the alpha of the frame before", err=True)
    if len(film.held) > NAMED:
        click.echo(f"error: and {len(film.held) - NAMED} frames more; --report has them all", err=True)
    if film.problem:
        click.echo(f"error: {printable(film.problem)}", err=True)
    if film.stopped:
        click.echo(f"stopped; {shown(output)} has the first {film.frames} frames; the same command resumes", err=True)
        return 130
    return int(not film.ok or (strict and bool(film.flagged or film.doubts)))


class _Progress:
    """How far a film is: a bar with rate and time left on a terminal, a line every ten seconds elsewhere."""

    EVERY = 10.0  # seconds between two lines

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.started = self.last = time.perf_counter()
        self.begun, self.since = 0, self.started  # what was done with the first frame of this run, and when
        self.bar: Any = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as RichProgress

            columns = [BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")]
            self.bar = RichProgress(*columns, console=Console(stderr=True, emoji=False), transient=True)

    def note(self, text: str) -> None:
        if not self.quiet:
            click.echo(f"note: {text}" if " -> " not in text and not text.startswith("look") else text, err=True)

    def done(self, number: int, total: int | None) -> None:
        now = time.perf_counter()
        if not self.begun:
            self.begun, self.since = number, now
            return
        each = (now - self.since) / (number - self.begun)
        rate = pace(each, max(0, (total or number) - number)) if total else f"{1 / max(each, 1e-6):.1f}/s"
        if self.bar is not None:
            if not self.bar.tasks:
                self.bar.add_task("", total=total, rate="")
            self.bar.update(self.bar.tasks[0].id, completed=number, rate=rate)
        elif not self.quiet and now - self.last > self.EVERY:
            self.last = now
            click.echo(f"{number}{f' of {total}' if total else ''} frames, {rate}", err=True)

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def __enter__(self) -> None:
        if self.bar is not None:
            self.bar.start()

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()
