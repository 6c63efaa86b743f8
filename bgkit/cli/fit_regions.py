"""``bgkit fit-regions``: the network that the stage ``region_saliency`` asks, from an encoder and pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import click

from bgkit.batch.jobs import shown
from bgkit.errors import MissingPartError, PlanError


@click.command(
    epilog="""\b
Examples:
  bgkit fit-regions pictures -o mine.onnx                    features of EfficientNet-Lite0, as ImageNet taught it
  bgkit fit-regions pictures -o mine.onnx --encoder a.onnx   of a feature map of yours, with its card a.toml
  bgkit remove photo.jpg -p mine.yaml                        with region_saliency: {model: mine.onnx} in it"""
)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The ONNX file.")
@click.option(
    "--encoder",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="An ONNX file whose output is a feature map, with its card beside it; default: EfficientNet-Lite0.",
)
@click.option("--fine", is_flag=True, help="EfficientNet-Lite0 without its coarsest map: a quarter of the file.")
@click.option("--pictures", metavar="N", type=click.IntRange(10), default=600, help="How many are drawn; default: 600.")
@click.option("--levels", metavar="N", type=click.IntRange(1, 15), default=5, help="Segmentations of MDF; default: 5.")
@click.option(
    "--weights",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float16",
    help="How weights are stored: in 4, 2 or 1 bytes each.",
)
@click.option("--seed", metavar="N", type=click.IntRange(0), default=0, help="Seed of the draws; default: 0.")
def command(
    *,
    folder: Path,
    output: Path,
    encoder: Path | None,
    fine: bool,
    pictures: int,
    levels: int,
    weights: Literal["float32", "float16", "int8"],
    seed: int,
) -> int:
    """Fit a network that scores regions, for the stage region_saliency.

    FOLDER holds pictures and masks, as for training. On the features of an encoder, which stays as it is, MDF's layers
    and R-CNN's linear classifier are fitted, and all of it is written as one ONNX file with a card. The same pictures
    and seed give the same network.
    """
    try:
        import numpy as np

        from bgkit.train.pictures import read_pictures
        from bgkit.train.recipe import Data
        from bgkit.train.regional import fit_regions, write_encoder
    except ImportError as error:
        raise MissingPartError.of("train", "fitting") from error
    if output.suffix != ".onnx":
        raise PlanError(f"{output}: expected a name that ends with .onnx")
    if not output.parent.is_dir():
        raise PlanError(f"{output}: there is no folder {output.parent}")
    if encoder is not None and fine:
        raise PlanError("--fine: is about EfficientNet-Lite0; expected one of --fine and --encoder")
    read = read_pictures(Data(folder=str(folder)))
    drawn = read.part(np.random.default_rng(seed).permutation(len(read))[:pictures])
    with tempfile.TemporaryDirectory() as own:
        if encoder is None:
            encoder = Path(own) / "efficientnet-lite0.onnx"
            write_encoder(encoder, fine=fine)
        fit_regions(drawn, encoder, output, levels=levels, weights=weights, seed=seed, say=click.echo)
    click.echo(f"{shown(output)}: written, with {output.with_suffix('.toml').name}")
    return 0
