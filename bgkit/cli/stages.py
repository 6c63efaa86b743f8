"""``bgkit stages``: what the registry knows, as a table, a page or JSON Schema."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING

import click

from bgkit.errors import PipelineError

if TYPE_CHECKING:
    from bgkit.stage import Stage


@click.command(
    epilog="""\b
Examples:
  bgkit stages
  bgkit stages make_trimap
  bgkit stages make_trimap --json"""
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema of the parameters.")
def command(name: str | None, as_json: bool) -> int:
    """List the stages, or explain one.

    With NAME: what the stage does, the layers it takes and gives, and its parameters with ranges and defaults.
    """
    from bgkit import stages

    if as_json:
        schema = stages.find(name).schema() if name else {each: stages.find(each).schema() for each in stages.names()}
        click.echo(json.dumps(schema, indent=2))
        return 0
    if name:
        click.echo(_page(stages.find(name)))
        return 0
    rows, status = [], 0
    for each in stages.names():
        try:
            info = stages.find(each)
        except PipelineError as error:  # another package's stage that cannot be loaded
            click.echo(f"error: {error}", err=True)
            status = 1
            continue
        rows.append((each, info.gives, info.summary))
    width, gives = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for row in rows:
        click.echo(f"{row[0]:{width}}  {row[1]:{gives}}  {row[2]}")
    return status


def _page(info: Stage) -> str:
    """Return everything on one stage, for a terminal."""
    from bgkit.params import as_text

    takes = [*info.needs, *(f"{layer} (when there is one)" for layer in info.uses)]
    lines = [f"{info.name}: {info.summary}", "", f"takes {', '.join(takes)}; gives {info.gives}", ""]
    for param in info.settings.values():
        default = as_text(param.default)
        lines.append(f"  {param.name} = {default if default else repr(default)}    {param.expected}")
        lines += textwrap.wrap(param.doc, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
    lines += ["", *_prose(info.doc)]
    return "\n".join(lines).rstrip()


def _prose(doc: str) -> list[str]:
    """Return a docstring without its first line and the sections that only a program needs."""
    sections = re.split(r"^(?=\w[^\n]*\n-{3,}$)", doc.partition("\n")[2], flags=re.MULTILINE)
    code = ("Parameters", "Returns", "Raises", "Examples", "Warns")
    return [part.strip("\n") + "\n" for part in sections if part.strip() and part.split("\n")[0] not in code]
