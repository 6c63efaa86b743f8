"""``bgkit schema``: the JSON Schema of pipelines, training recipes and cards, for editors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click


def _pipeline() -> dict[str, Any]:
    from bgkit.pipelinefile import pipeline_schema

    return pipeline_schema()


def _recipe() -> dict[str, Any]:
    """Return what the package ships: making it anew needs PyTorch."""
    from importlib.resources import files

    return json.loads(files("bgkit").joinpath("schemas", "recipe.json").read_text("utf-8"))


def _card() -> dict[str, Any]:
    from bgkit.models.card import card_schema

    return card_schema()


KINDS: dict[str, Callable[[], dict[str, Any]]] = {"pipeline": _pipeline, "recipe": _recipe, "card": _card}


@click.command(
    epilog="""\b
Examples:
  bgkit schema pipeline > pipeline.json          with the stages of installed plug-ins
  bgkit schema recipe > recipe.json
  bgkit schema card > card.json
\b
The first line of a pipeline that names its schema:
  # yaml-language-server: $schema=pipeline.json"""
)
@click.argument("kind", type=click.Choice(list(KINDS)))
def command(kind: str) -> int:
    """Print the JSON Schema of pipelines, recipes or cards.

    Editors complete and check files by it: stages, parameters, ranges, texts.
    """
    click.echo(json.dumps(KINDS[kind](), indent=2))
    return 0
