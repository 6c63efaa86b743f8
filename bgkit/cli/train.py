"""``bgkit train``: the embedded network, or one on pictures of your own, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bgkit.errors import MissingPartError, PlanError


@click.command(
    epilog="""\b
Examples:
  bgkit train pictures/train -o runs/mine
  bgkit train pictures/train -o runs/mine --epochs 40 --threads 8
  bgkit train pictures/train -o runs/more --start runs/mine/best.pt --sizes 256 --learning-rate 1e-3
  bgkit export runs/mine/best.pt -o mine.onnx"""
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--output", "run", metavar="RUN", type=click.Path(path_type=Path), required=True, help="A folder.")
@click.option("--epochs", type=click.IntRange(1), help="Times that each picture is seen.")
@click.option("--batch", type=click.IntRange(1), help="Pictures in one step.")
@click.option("--sizes", metavar="S,S,...", help="Sides of the square; the run is cut into as many equal parts.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="At its highest.")
@click.option("--start", metavar="CHECKPOINT", type=click.Path(path_type=Path), help="Weights to begin with.")
@click.option("--seed", type=int, help="Of the order, the split and the augmentation.")
@click.option("--threads", type=click.IntRange(1), help="Cores to use; default: all that there are.")
def command(
    *,
    data: Path,
    run: Path,
    epochs: int | None,
    batch: int | None,
    sizes: str | None,
    learning_rate: float | None,
    start: Path | None,
    seed: int | None,
    threads: int | None,
) -> int:
    """Train a network on a folder of shards.

    The folder RUN takes the recipe, a line of figures for each epoch, and checkpoints. Started again with the same RUN,
    the training goes on where it stopped.
    """
    try:
        from bgkit.train.loop import Recipe, train
    except ImportError as error:
        raise MissingPartError.of("train", "training") from error
    from bgkit.threads import threads as cores

    if not data.is_dir():
        raise PlanError(f"{data}: expected a folder of shards")
    if start is not None and not start.is_file():
        raise PlanError(f"{start}: no such checkpoint")
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch": batch,
        "sizes": _sides(sizes) if sizes else None,
        "learning_rate": learning_rate,
        "seed": seed,
        "threads": threads or cores(),
    }
    recipe = Recipe(**{name: value for name, value in given.items() if value is not None})
    best = train(data, run, recipe, start=start, say=click.echo)
    click.echo(f"best checkpoint: {best}")
    return 0


def _sides(text: str) -> tuple[int, ...]:
    """Read ``192,256``; the network halves its input five times."""
    sides = tuple(int(side) if side.strip().isdecimal() else 0 for side in text.split(","))
    if not all(side >= 32 and side % 32 == 0 for side in sides):
        raise PlanError(f"--sizes: expected multiples of 32 with commas between, got {text!r}")
    return sides
