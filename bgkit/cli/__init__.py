"""The command line: a skin over the library, one module for each command, loaded when it is called.

Exit status: 0 all done; 1 some pictures failed, the rest are done; 2 the command or the pipeline is
wrong, nothing was touched; 130 stopped by the user.
"""

from __future__ import annotations

import atexit
import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from bgkit import __version__
from bgkit.errors import (
    BgkitError,
    DeadlineError,
    EngineError,
    ImageError,
    LayerError,
    ParamError,
    cut,
    did_you_mean,
    printable,
)
from bgkit.files import local_path

__all__ = ["app", "main"]

# command -> its line in the help; the function `command` of bgkit.cli.NAME ("_" for "-") is loaded when it is called.
COMMANDS = {
    "remove": "Remove the background of pictures.",
    "video": "Remove the background of a film.",
    "watch": "Process every picture that arrives in a folder.",
    "align": "Find the one scale and ground line for a series of shots.",
    "check": "Check pipeline files.",
    "stages": "List the stages, or explain one.",
    "pipelines": "List the shipped pipelines, or print one.",
    "schema": "Print the JSON Schema of pipelines, recipes or cards.",
    "models": "List, fetch, add, verify and remove networks.",
    "evaluate": "Score a folder of predictions against a folder of truths.",
    "serve": "Serve pipelines over HTTP, with a page at /.",
    "compare": "Compare pipelines on pictures, with or without truth.",
    "train": "Train a network by a recipe.",
    "export": "Write a trained network as an ONNX file.",
    "fit-regions": "Fit a network that scores regions, for the stage region_saliency.",
}

NAMES = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)  # what the system says of impossible names
STATUS = {
    DeadlineError: 1,
    EngineError: 1,
    ImageError: 1,
    LayerError: 1,
}  # of an error that reaches this surface; any other: 2


class App(click.Group):
    """A group whose commands load when they are called, and whose errors are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"bgkit.cli.{cmd_name.replace('-', '_')}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{did_you_mean(args[0], COMMANDS)} (bgkit --help lists them)")
        return super().resolve_command(ctx, [_without_url(each) for each in args])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; what it raises becomes one line and an exit status."""
        try:
            return super().invoke(ctx)
        except BgkitError as error:
            status = next((STATUS[kind] for kind in STATUS if isinstance(error, kind)), 2)
            text, trace = str(error), traceback.format_exc()
        except (click.ClickException, click.exceptions.Exit, KeyboardInterrupt, EOFError, BrokenPipeError):
            raise
        except OSError as error:  # a full disk, a share that went away, a name that no file can have
            status = 2 if error.errno in NAMES else 1
            text = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
            text, trace = cut(printable(text), 400), traceback.format_exc()
        except Exception as error:
            status, text = 1, f"internal error: {type(error).__name__}: {error} (bgkit --debug ... shows where)"
            text, trace = cut(printable(text), 400), traceback.format_exc()
        if ctx.params["debug"]:
            click.echo(trace, err=True, nl=False)
        click.echo(f"error: {text}", err=True)
        return status

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str = "bgkit", standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run the command line; with ``standalone_mode`` end the process with the exit status."""
        try:
            status = super().main(args, prog_name, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            status = 2
        except click.ClickException as error:
            click.echo(f"error: {error.format_message()}", err=True)
            status = 2
        except click.Abort:
            click.echo("stopped", err=True)
            status = 130
        return sys.exit(status) if standalone_mode else status


def _without_url(argument: str) -> str:
    """Return an argument, or an option with its value, with the path that a ``file:`` URL names in its place."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    try:
        return f"{option}{equals}{local_path(value)}"
    except ValueError as error:
        raise ParamError(str(error)) from None


@click.group(
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  bgkit remove photo.jpg                         writes photo-cutout.png
  bgkit remove shots -o cut -p studio-white      a folder, its tree kept
  bgkit stages luv_threshold                     what a stage does and takes
\b
Exit status: 0 all done, 1 some pictures failed, 2 the command or pipeline is wrong.
Tab completion in bash: eval "$(_BGKIT_COMPLETE=bash_source bgkit)"; zsh and fish alike.""",
)
@click.version_option(__version__, prog_name="bgkit", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, envvar="BGKIT_DEBUG_TRACEBACK", help="Show the traceback of an error.")
def app(debug: bool) -> None:
    """Remove image backgrounds: color keys, networks, dense CRF and alpha matting, chained in YAML."""


def main() -> None:
    """Run the command line of this process, and end it."""
    ended: list[int] = []
    atexit.register(_leave, ended)  # before any other, so that it is called after all of them
    # An end by the system runs the same clean-up as Ctrl-C: no half-written file stays.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if sys.stderr is not None and hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="backslashreplace")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    try:
        app.main(prog_name="bgkit")
    except SystemExit as end:
        if isinstance(end.code, int):
            ended.append(end.code)
        raise


def _leave(ended: list[int]) -> None:
    """End the process: Python would take objects and libraries apart, which takes as long as starting NumPy."""
    if not ended:  # by an error, of which Python has more to say
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # closed, or full: Python says so
        return
    os._exit(ended[0])
