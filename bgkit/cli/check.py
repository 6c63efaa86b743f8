"""``bgkit check``: pipeline files, read as ``remove`` would read them."""

from __future__ import annotations

import click

from bgkit.batch.jobs import shown
from bgkit.errors import BgkitError


@click.command(
    epilog="""\b
Examples:
  bgkit check studio.yaml
  bgkit check pipelines/*.yaml
  bgkit check green-screen                       a shipped pipeline, by name"""
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def command(files: tuple[str, ...]) -> int:
    """Check pipeline files.

    Says for each file that it is good, or what is wrong and on which line. Exit status 2 when any is wrong.
    """
    from bgkit.pipelinefile import load_pipeline

    wrong = 0
    for file in files:
        try:
            pipeline = load_pipeline(file)
        except BgkitError as error:
            wrong += 1
            click.echo(f"error: {error}", err=True)
            continue
        count = len(pipeline.steps)
        needs = f", needs --{' and --'.join(pipeline.needs())}" if pipeline.needs() else ""
        click.echo(f"ok  {shown(file)}: {count} stage{'s' if count > 1 else ''}{needs}")
    return 2 if wrong else 0
