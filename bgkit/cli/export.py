"""``bgkit export``: a trained network as an ONNX file with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from bgkit.batch.jobs import shown
from bgkit.errors import MissingPartError, PlanError


@click.command(
    epilog="""\b
Examples:
  bgkit export runs/mine -o mine.onnx            also writes mine.toml, its card, and mine.md, its figures
  bgkit export runs/a,runs/b -o mean.onnx        the mean of the weights, where b began with a's
  bgkit export runs/a runs/c -o both.onnx        an ensemble: the mean of the two networks' answers
  bgkit export a.onnx c.onnx -o both.onnx        the same of files that are exported already, with their cards
  bgkit export mine.onnx -o quick.onnx --calibrate train   the same network in whole numbers, about twice as fast
  bgkit models add mine.onnx --card mine.toml    known by its name from then on"""
)
@click.argument("sources", metavar="RUN|CHECKPOINT[,...]...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The ONNX file.")
@click.option(
    "--weights",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    help="How weights are stored: in 4, 2 or 1 bytes each, at the same speed.",
)
@click.option("--size", type=click.IntRange(1), help="Side of the input square; default: the last of the recipe.")
@click.option(
    "--license", "license_name", metavar="NAME", default="unknown", help="License of the weights, for the card."
)
@click.option(
    "--commercial",
    type=click.Choice(["yes", "no", "unclear"]),
    default="unclear",
    help="Whether the weights may be used commercially.",
)
@click.option("--card", metavar="FILE", type=click.Path(path_type=Path), help="A card of yours; its checksum is set.")
@click.option(
    "--calibrate",
    metavar="FOLDER",
    help="Count in whole numbers, about twice as fast: of ONNX files, with training pictures to measure ranges on.",
)
@click.option("--recipe", metavar="FILE", help="Names the network of a checkpoint that holds only weights.")
def command(
    *,
    sources: tuple[str, ...],
    output: Path,
    weights: Literal["float32", "float16", "int8"],
    size: int | None,
    license_name: str,
    commercial: str,
    card: Path | None,
    calibrate: str | None,
    recipe: str | None,
) -> int:
    """Write a trained network as an ONNX file.

    The file is compared with the network; if they differ, nothing is written. Checkpoints joined by commas give one
    network with the mean of their weights; all but one run must have begun with weights of another. Several networks
    give an ensemble with the mean of their answers, every second one's of the mirror image. ONNX files with cards are
    joined as they are, and pool their answers; with --calibrate one is enough. A card that exists is never overwritten.
    """
    try:
        from bgkit.train.export import export
        from bgkit.train.recipefile import load_recipe
    except ImportError as error:
        raise MissingPartError.of("train", "exporting") from error
    groups = [[Path(part) for part in source.split(",") if part] for source in sources]
    if not all(groups):
        raise PlanError("export: expected a run or a checkpoint, or several with commas between, got none")
    for path in (*(path for group in groups for path in group), card):
        if path is not None and not path.exists():
            raise PlanError(f"{path}: no such file or run")
    if output.suffix != ".onnx":
        raise PlanError(f"{output}: expected a name that ends with .onnx")
    if not output.parent.is_dir():
        raise PlanError(f"{output}: there is no folder {output.parent}")
    beside = output.with_suffix(".toml")
    if card is None and beside.exists():
        raise PlanError(
            f"{beside}: is there already; --card {beside} keeps it and sets its checksum, or remove it first"
        )
    files = all(source.endswith(".onnx") for source in sources)
    if calibrate is not None and not files:
        raise PlanError("--calibrate: expected ONNX files; export the run first, then its file with --calibrate")
    if files:
        from bgkit.train.joining import join, join_in_whole_numbers, write_joined_card

        said = []
        if calibrate is not None:
            difference = join_in_whole_numbers(sources, output, calibrate)
            said.append(f"counts in whole numbers, by which answers differ by {difference:.1e} in the mean")
        else:
            join(sources, output)
        if len(sources) > 1:
            said.append(f"{len(sources)} networks that pool their answers")
        write_joined_card(sources, output, card, license_name, commercial)
        click.echo(f"{shown(output)}: written, with {(card or beside).name}: {'; '.join(said)}")
        return 0
    difference = export(
        groups,
        output,
        card=card,
        weights=weights,
        size=size,
        license_name=license_name,
        commercial=commercial,
        recipe=load_recipe(recipe) if recipe else None,
    )
    more = "" if card else f", with {beside.name} and {output.with_suffix('.md').name}"
    click.echo(f"{shown(output)}: written{more}; differs from the network by at most {difference:.1e}")
    return 0
