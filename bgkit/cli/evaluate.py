"""``bgkit evaluate``: the results of any tool against the truth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bgkit.errors import ParamError, PlanError

ENDINGS = (".json", ".csv", ".txt")


@click.command(
    epilog="""\b
Examples:
  bgkit evaluate cut masks
  bgkit evaluate --predictions cut --truth alphas --trimaps trimaps --metrics sad,mse,grad,conn
  bgkit evaluate --predictions cut --truth ECSSD --dataset ecssd -o ecssd.csv
  bgkit evaluate --predictions cut --truth alphamatting --dataset alphamatting --trimaps set
  bgkit evaluate --predictions cut --truth alphas --foregrounds colors --metrics sad,foreground_mse"""
)
@click.argument("folders", metavar="[PREDICTIONS TRUTH]", nargs=-1)
@click.option("--predictions", metavar="DIR", help="Masks, alphas or cutouts of any tool.")
@click.option("--truth", metavar="DIR", help="True masks or alphas; with --dataset, the set's folder.")
@click.option(
    "--trimaps",
    metavar="DIR|set",
    help="Compute matting metrics on the unknown pixels only; set: the trimaps of the data set.",
)
@click.option("--foregrounds", metavar="DIR", help="True subject colors, to compare with those of cutouts.")
@click.option("--dataset", metavar="NAME", help="The truth is a known data set: ecssd, duts-te, alphamatting, ...")
@click.option("--metrics", metavar="A,B,...", help="Metrics to compute; default: all.")
@click.option("--no-stretch", is_flag=True, help="Do not stretch predictions to 0..1 for salient-object metrics.")
@click.option(
    "--sequences", is_flag=True, help="Each folder is a film, its pictures the frames by name: dtSSD is measured, too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with a row per picture, instead of a table.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Also write a json, csv or txt.")
def command(
    *,
    folders: tuple[str, ...],
    predictions: str | None,
    truth: str | None,
    trimaps: str | None,
    foregrounds: str | None,
    dataset: str | None,
    metrics: str | None,
    no_stretch: bool,
    sequences: bool,
    as_json: bool,
    output: Path | None,
) -> int:
    """Score a folder of predictions against a folder of truths.

    Both folders are given in this order, or by option. Files are matched by name. Whatever could not be scored is
    listed, and makes the exit status 1.
    """
    from bgkit.evaluate import evaluate, open_dataset

    given = [*folders, *(folder for folder in (predictions, truth) if folder is not None)]
    if len(given) != 2 or (predictions is not None and len(folders) == 1):
        raise PlanError("evaluate: expected two folders, PREDICTIONS TRUTH, or --predictions DIR --truth DIR")
    predictions, truth = given
    if output is not None and output.suffix.lower() not in ENDINGS:
        raise ParamError(f"-o {output}: expected a name that ends in {', '.join(ENDINGS)}")
    if output is not None and not output.parent.is_dir():
        raise PlanError(f"-o {output}: there is no folder {output.parent}")
    names = [name.strip() for name in metrics.split(",")] if metrics else None
    with _bar() as on_done:
        table = evaluate(
            predictions,
            open_dataset(dataset, truth) if dataset else truth,
            trimaps=True if dataset and trimaps == "set" else trimaps,
            foregrounds=foregrounds,
            metrics=names,
            stretch=not no_stretch,
            sequences=sequences,
            on_done=on_done,
        )
    click.echo(table.json() if as_json else table.text(), nl=False)
    if output is not None:
        table.save(output)
    return 1 if table.problems else 0


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """Show how far it is, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scoring", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
