"""``bgkit pipelines``: the shipped chains, to be used by name or saved and edited."""

from __future__ import annotations

import json

import click


@click.command(
    epilog="""\b
Examples:
  bgkit pipelines
  bgkit pipelines studio-white > mine.yaml       to be edited; used with -p mine.yaml
  bgkit pipelines --schema > bgkit.schema.json   for editors that complete and check YAML"""
)
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of pipeline files.")
def command(name: str | None, schema: bool) -> int:
    """List the shipped pipelines, or print one.

    With NAME (or a file): the pipeline as YAML with every value written out.
    """
    from bgkit.pipelinefile import file_schema, load_pipeline, shipped

    if schema:
        click.echo(json.dumps(file_schema(), indent=2))
    elif name:
        click.echo(load_pipeline(name).dump(), nl=False)
    else:
        width = max(map(len, shipped()), default=0)
        for each in shipped():
            pipeline = load_pipeline(each)
            needs = f" Needs --{' and --'.join(pipeline.needs())}." if pipeline.needs() else ""
            click.echo(f"{each:{width}}  {pipeline.description}{needs}")
    return 0
