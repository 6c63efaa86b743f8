"""``bgkit export``: a trained network as an ONNX file."""

from __future__ import annotations

from pathlib import Path

import click

from bgkit.errors import MissingPartError, PlanError


@click.command(
    epilog="""\b
Examples:
  bgkit export runs/mine/best.pt -o mine.onnx
  bgkit export runs/mine/best.pt -o mine.onnx --card mine.toml
  bgkit models add mine.onnx --card mine.toml"""
)
@click.argument("checkpoints", metavar="CHECKPOINT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The ONNX file.")
@click.option("--card", metavar="FILE", type=click.Path(path_type=Path), help="A card, whose checksum is set.")
def command(*, checkpoints: tuple[Path, ...], output: Path, card: Path | None) -> int:
    """Write a trained network as an ONNX file.

    The file is compared with the network; if they differ, nothing is written. Of several checkpoints, where one run
    began with another's weights, the mean is written.
    """
    try:
        from bgkit.train.export import export
    except ImportError as error:
        raise MissingPartError.of("train", "exporting") from error
    for path in (*checkpoints, card):
        if path is not None and not path.is_file():
            raise PlanError(f"{path}: no such file")
    if not output.parent.is_dir():
        raise PlanError(f"{output}: there is no folder {output.parent}")
    difference = export(checkpoints, output, card=card)
    click.echo(f"{output}: written; differs from the network by at most {difference:.1e}")
    return 0
