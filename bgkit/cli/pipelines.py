"""``bgkit pipelines``: the shipped chains, to be used by name or saved and edited."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  bgkit pipelines
  bgkit pipelines studio-white > mine.yaml       to be edited; used with -p mine.yaml"""
)
@click.argument("name", required=False)
def command(name: str | None) -> int:
    """List the shipped pipelines, or print one.

    With NAME (or a file): the pipeline as YAML with every value written out.
    """
    from bgkit.pipelinefile import load_pipeline, shipped

    if name:
        click.echo(load_pipeline(name).dump(), nl=False)
    else:
        width = max(map(len, shipped()), default=0)
        for each in shipped():
            pipeline = load_pipeline(each)
            needs = f" Needs --{' and --'.join(pipeline.needs())}." if pipeline.needs() else ""
            click.echo(f"{each:{width}}  {pipeline.description}{needs}")
    return 0
