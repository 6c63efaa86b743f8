"""What several commands share: the pipeline that options name, with the values that they change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bgkit.errors import ParamError
from bgkit.files import WRITABLE

if TYPE_CHECKING:
    from bgkit.pipeline import Pipeline

__all__ = ["FORMATS", "device_option", "load_chain", "timeout_option"]

FORMATS = [ending[1:] for ending in WRITABLE]

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    help="Time limit for a picture; one that takes longer fails, and the step it was in is named.",
)


device_option = click.option(
    "--device",
    metavar="NAME",
    help="What networks run on: cpu, cuda, tensorrt, rocm, migraphx, openvino, coreml or directml. It sets the "
    "parameter provider of every stage that has one.",
)


def load_chain(
    name: str,
    settings: Sequence[str] = (),
    background: str | None = None,
    layer: str = "result",
    device: str | None = None,
) -> Pipeline:
    """Return the pipeline of ``-p`` with what ``--layer`` needs and the values of the other options."""
    from bgkit.pipelinefile import load_pipeline
    from bgkit.removal import with_background

    if name.lower().endswith(".json"):
        from bgkit.batch.sidecar import pipeline_of

        pipeline = pipeline_of(Path(name))
    else:
        pipeline = load_pipeline(name)
    pipeline = pipeline.giving(layer)
    if device is not None:
        pipeline = pipeline.on_device(device)
    values = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise ParamError(f"--set {text}: expected STAGE.PARAM=VALUE")
        values[key.strip()] = value.strip()
    return with_background(pipeline.with_values(values), background)
