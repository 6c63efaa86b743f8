"""``bgkit align``: the one scale for a series, from its first shots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from bgkit.batch.jobs import shown
from bgkit.cli.options import load_chain
from bgkit.errors import BgkitError, LayerError, ParamError

if TYPE_CHECKING:
    from bgkit.batch.places import Place
    from bgkit.pipeline import Pipeline


@click.command(
    epilog="""\b
Examples:
  bgkit align shots -p product
  bgkit watch incoming -o shop -p product $(bgkit align first-shots -p product -q)"""
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-p", "--pipeline", default="product", show_default=True, help="A pipeline with the stage frame.")
@click.option("--set", "settings", metavar="STAGE.PARAM=VALUE", multiple=True, help="Change a value; repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="Print the settings only.")
def command(inputs: tuple[str, ...], pipeline: str, settings: tuple[str, ...], quiet: bool) -> int:
    """Find the one scale and ground line for a series of shots.

    Measures the subjects of shots from one camera position, and prints settings for a pipeline. With these, every
    subject of the series gets the same scale and stands on the same line, and the largest of them takes frame.fill of
    the frame. The pictures may come one by one in a watched folder, or from many workers. INPUT are files, folders or
    globs; the series' largest subject should be among them.
    """
    from bgkit.batch.discovery import find_pictures

    chain = load_chain(pipeline, settings)
    frames = [step for step in chain.steps if step.name == "frame"]
    if not frames:
        raise ParamError(f"align: the pipeline {chain.name!r} has no stage frame; add one, or take -p product")
    values = dict(frames[-1].values)
    needed: dict[str, float] = {}
    failed = 0
    for found in find_pictures(inputs)[0]:
        name = shown(found.path)
        try:
            reach = _reach(found.path, chain, values)
        except (BgkitError, OSError) as error:
            failed += 1
            click.echo(f"error: {name}: {error}", err=True)
            continue
        if reach is None:
            click.echo(f"note: {name}: no subject found, left out", err=True)
        else:
            needed[name] = reach
    if not needed:
        raise LayerError("align: no subject found in any picture; there is no scale to take")
    reach = max(needed.values())
    if not quiet:
        for name, each in needed.items():
            click.echo(f"{name}: would take {values['fill'] * each / reach:.0%} of the frame", err=True)
    click.echo(
        f"--set frame.fit=picture --set frame.reach={reach:.4f} --set frame.align=ground "
        f"--set frame.ground={values['ground']:g}"
    )
    return int(failed > 0)


def _reach(place: Place, pipeline: Pipeline, values: dict[str, Any]) -> float | None:
    """Return the reach with which the subject of one picture takes its share of the frame, or None without one."""
    from bgkit.batch.running import source_of
    from bgkit.removal import read_layers
    from bgkit.stage import collect_notes
    from bgkit.stages import frame

    last = max(index for index, step in enumerate(pipeline.steps) if step.stage.gives in ("mask", "alpha"))
    picture = read_layers(source_of(place))
    layers = replace(pipeline, steps=pipeline.steps[: last + 1], checks={}).run(picture)
    assert layers.alpha is not None  # the chain ends with a mask or an alpha
    with collect_notes() as facts:
        frame(layers.image, layers.alpha, fit="picture", reach=1.0, aspect=values["aspect"], size=1)
    if not facts["found"]:
        return None
    high, wide = facts["bottom"] - facts["top"], facts["right"] - facts["left"]
    return float(max(high / min(values["fill"], values["ground"]), wide / values["fill"], 0.01))
