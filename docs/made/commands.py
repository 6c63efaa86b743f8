"""A page for each command of the command line, from the declarations that the command itself is made of."""

from __future__ import annotations

import re
from pathlib import Path

import click

from bgkit.cli import COMMANDS, app
from made.stages import markdown, table


def write_commands(folder: Path) -> None:
    """Write a page for each command, and the index."""
    folder.mkdir(parents=True)
    context = click.Context(app, info_name="bgkit")
    rows = []
    for name, summary in COMMANDS.items():
        command = app.get_command(context, name)
        (folder / f"{name}.md").write_text(page(command, f"bgkit {name}", context) + "\n", "utf-8")
        rows.append([f"[`bgkit {name}`]({name}.md)", summary])
    parts = ["# Commands", table(("command", "what it does"), rows)]
    parts.append("```{toctree}\n:hidden:\n" + "\n".join(COMMANDS) + "\n```")
    (folder / "index.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def page(command: click.Command, name: str, parent: click.Context, level: int = 1) -> str:
    """Return a command and those below it as Markdown."""
    context = click.Context(command, parent=parent, info_name=name.rpartition(" ")[2])
    usage = " ".join(piece for piece in command.collect_usage_pieces(context))
    parts = [f"{'#' * level} {name}", *_paragraphs(command.help or ""), f"```text\n{name} {usage}\n```"]
    options = [param.get_help_record(context) for param in command.params if isinstance(param, click.Option)]
    rows = [[f"`{names}`", markdown(_escaped(text))] for names, text in filter(None, options)]
    if rows:
        parts.append(table(("option", "what it does"), rows))
    if command.epilog:
        parts.append("```text\n" + command.epilog.replace("\b\n", "").strip("\n") + "\n```")
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            parts.append(page(command.get_command(context, each), f"{name} {each}", context, level + 1))
    return "\n\n".join(parts)


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text; those after ``\\b`` keep their lines."""
    parts = []
    for part in re.split(r"\n\s*\n", text.strip()):
        if part.startswith("\b"):
            parts.append("```text\n" + part.lstrip("\b").strip("\n") + "\n```")
        else:
            parts.append(_escaped(" ".join(part.split())))
    return parts


def _escaped(text: str) -> str:
    """Keep what Markdown would take for markup, and mark options: their hyphens are no place to break a line."""
    return re.sub(r"(?<![\w`-])--?[a-z][a-z-]*", r"`\g<0>`", re.sub(r"([*<\[_])", r"\\\1", text))
