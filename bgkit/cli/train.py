"""``bgkit train``: a network from a recipe, on pictures of your own."""

from __future__ import annotations

import datetime
import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bgkit.batch.jobs import shown
from bgkit.errors import MissingPartError, PlanError

if TYPE_CHECKING:
    from bgkit.train.loop import Progress

SILENCE = 30.0  # seconds between lines where there is no terminal


@click.command(
    epilog="""\b
Examples:
  bgkit train pictures -o runs/mine                    folders pictures/images and pictures/masks
  bgkit train salient --data pictures -o runs/mine     a shipped recipe: embedded, person, salient, small
  bgkit train mine.yaml --set epochs=5 --set optimizer.learning_rate=5e-4
  bgkit export runs/mine -o mine.onnx"""
)
@click.argument("source", metavar="RECIPE|FOLDER")
@click.option("-o", "--output", "run", metavar="RUN", type=click.Path(path_type=Path), help="A folder for the run.")
@click.option("--data", metavar="FOLDER", help="The folder of pictures, instead of the recipe's.")
@click.option("--set", "values", metavar="KEY=VALUE", multiple=True, help="Change a value of the recipe.")
@click.option("--epochs", metavar="N", help="Short for --set epochs=N.")
@click.option("--batch", metavar="N", help="Pictures in one step.")
@click.option("--sizes", metavar="S,S,...", help="Sides of the square; the run is cut into as many equal parts.")
@click.option("--learning-rate", metavar="RATE", help="Highest learning rate.")
@click.option("--start", metavar="CHECKPOINT,...", help="Weights to begin with; the mean if several are given.")
@click.option("--seed", metavar="N", help="Seed of order, split and augmentation.")
@click.option("--threads", metavar="N", help="Cores to use; default: all.")
def command(*, source: str, run: Path | None, data: str | None, values: tuple[str, ...], **short: str | None) -> int:
    """Train a network by a recipe.

    RECIPE is a YAML file or the name of a shipped recipe; a FOLDER of pictures is trained on by the recipe `small`. The
    folder RUN (default: runs/ and the recipe's or the folder's name) takes the recipe in full, figures, curves and
    samples of each epoch, and checkpoints. Started again with the same RUN, the training resumes where it stopped.
    """
    # Read when torch is loaded. Threads that have nothing to do sleep, where they would spin and take the processor
    # from other programs, and from this one's own that prepares the next pictures.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        from bgkit.train.loop import train
        from bgkit.train.recipefile import load_recipe
    except ImportError as error:
        raise MissingPartError.of("train", "training") from error
    keys = {"learning_rate": "optimizer.learning_rate"}
    texts = {keys.get(name, name): text for name, text in short.items() if text is not None}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign:
            raise PlanError(f"--set {value}: expected KEY=VALUE, as in optimizer.learning_rate=5e-4")
        texts[key.strip()] = text.strip()
    place = Path(source)
    if place.is_dir():
        if data is not None:
            raise PlanError(f"--data {data}: {source} is a folder of pictures too; expected one of the two")
        source, data, run = "small", source, run or Path("runs") / place.resolve().name
    if data is not None:
        texts["data.folder"] = str(Path(data).absolute())
    recipe = load_recipe(source, texts)
    run = run or (place.parent if (place.parent / "run.json").is_file() else Path("runs") / place.stem)
    with _watcher() as watcher:
        best = train(recipe, run, say=watcher.say, on_step=watcher.step)
    click.echo(f"best checkpoint: {shown(best)}")
    return 0


class _Lines:
    """Progress as lines, for logs and pipes: a step's line now and then, and every message."""

    def __init__(self) -> None:
        self.said = time.monotonic()

    def say(self, text: str) -> None:
        click.echo(text)

    def step(self, now: Progress) -> None:
        if time.monotonic() - self.said >= SILENCE:
            self.said = time.monotonic()
            self.say(f"step {now.step}/{now.steps}: {describe(now)}")


class _Bar:
    """Progress as a bar on a terminal."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.task: Any = None

    def say(self, text: str) -> None:
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, now: Progress) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=now.steps)
        self.bar.update(self.task, completed=now.step, description=describe(now))


def describe(now: Progress) -> str:
    """Say in one line how far a run is."""
    left = datetime.timedelta(seconds=round(now.left))
    return f"epoch {now.epoch}/{now.epochs}, {now.size} px, loss {now.loss:.4f}, {now.rate:.1f}/s, {left} left"


def _watcher() -> AbstractContextManager[Any]:
    if not sys.stdout.isatty():
        return nullcontext(_Lines())
    return _OnTerminal()


class _OnTerminal(AbstractContextManager[_Bar]):
    def __enter__(self) -> _Bar:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self.bar = RichProgress(*columns, transient=True, refresh_per_second=2)
        self.bar.start()
        return _Bar(self.bar)

    def __exit__(self, *error: object) -> None:
        self.bar.stop()
