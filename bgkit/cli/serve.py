"""``bgkit serve``: the HTTP server."""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from bgkit.errors import MissingPartError, ParamError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command(
    epilog="""\b
Examples:
  bgkit serve                                    http://127.0.0.1:7000/, the page and the interfaces
  bgkit serve --pipelines shop --workers 4
  bgkit serve --host 0.0.0.0 --key keys.txt --name cutout.example.org"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=7000, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="How many processes; default: one for every two cores and 3 GB of memory.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0.5),
    metavar="GB",
    help="Memory for all processes together; default: nine tenths of the machine's.",
)
@click.option(
    "--queue",
    type=click.IntRange(0),
    default=16,
    show_default=True,
    help="How many requests may wait; further ones are refused.",
)
@click.option("-p", "--pipeline", default="auto", show_default=True, help="The pipeline for requests that name none.")
@click.option(
    "--pipelines",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A folder with pipelines of your own (YAML files).",
)
@click.option(
    "--key",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A file of keys that clients have to send, one on each line.",
)
@click.option(
    "--no-key",
    is_flag=True,
    help="Accept requests without a key, even if other machines can reach the address.",
)
@click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="A host name under which this server is reached; repeatable.",
)
@click.option(
    "--origin",
    "origins",
    metavar="URL",
    multiple=True,
    help="Another site whose pages may send requests (CORS); repeatable.",
)
@click.option(
    "--fetch",
    metavar="HOST",
    multiple=True,
    help="A host from which requests may have pictures fetched by URL; repeatable.",
)
@click.option(
    "--max-mb",
    type=click.FloatRange(0.001),
    default=30.0,
    show_default=True,
    help="Megabytes of the largest request.",
)
@click.option(
    "--max-mp", type=click.FloatRange(0.001), default=25.0, show_default=True, help="Megapixels of the largest picture."
)
@click.option(
    "--watch", metavar="IN", type=click.Path(path_type=Path), help="Also process pictures that arrive in a folder."
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="The folder for the results of --watch.",
)
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="Time limit for a picture.")
def command(
    *,
    host: str,
    port: int,
    workers: int | None,
    memory: float | None,
    queue: int,
    pipeline: str,
    folder: Path | None,
    key_file: Path | None,
    no_key: bool,
    names: tuple[str, ...],
    origins: tuple[str, ...],
    fetch: tuple[str, ...],
    max_mb: float,
    max_mp: float,
    seconds: float,
    watch: Path | None,
    output: Path | None,
) -> int:
    """Serve pipelines over HTTP, with a page at /.

    POST /v1/remove takes a picture. Clients of rembg and of remove.bg can use their own interfaces
    (docs/how-to/serving.md). Only this machine can reach the server, unless --host names another address; then every
    request needs a key.
    """
    from bgkit.batch.memory import USUAL, limit
    from bgkit.serve.running import serve
    from bgkit.serve.settings import Settings
    from bgkit.threads import threads

    if key_file is not None and no_key:
        raise ParamError("--no-key: contradicts --key")
    keys = _read_keys(key_file) if key_file is not None else ()
    if host not in LOOPBACK and not keys and not no_key:
        raise ParamError(f"--host {host}: others reach this address; give --key FILE, or --no-key to let everyone in")
    room = int(memory * 1e9) if memory else (limit() or 0) * 9 // 10 or None
    usual = max(1, min(threads() // 2, (room or USUAL) // USUAL))
    settings = Settings(
        host=host,
        port=port,
        workers=workers or usual,
        memory=room,
        queue=queue,
        default=pipeline,
        folder=folder,
        keys=keys,
        names=names,
        origins=origins,
        fetch=tuple(name.lower() for name in fetch),
        max_bytes=int(max_mb * 1e6),
        max_pixels=int(max_mp * 1e6),
        seconds=seconds,
    )
    for part in ("fastapi", "uvicorn", "multipart", "prometheus_client"):
        if find_spec(part) is None:
            raise MissingPartError.of("serve", "bgkit serve")
    if no_key and host not in LOOPBACK:
        click.echo(f"warning: everyone who reaches {host} may use it", err=True)
    watched = None
    if watch is not None and output is not None:
        watched = functools.partial(_watch, watch, output, folder, pipeline)
    elif watch is not None or output is not None:
        raise ParamError("--watch IN and --output OUT: each needs the other")

    def say(url: str) -> None:
        click.echo(f"bgkit serves at {url}; Ctrl-C ends", err=True)

    return serve(settings, say, watched)


def _watch(folder: Path, out: Path, pipelines: Path | None, name: str) -> Any:
    """Return the watch of a folder; loaded when the workers are on their way."""
    from bgkit.batch.jobs import Work
    from bgkit.batch.watching import Watch
    from bgkit.serve.works import Catalog

    return Watch(folder, out, Work(Catalog(pipelines).find(name)))


def _read_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of a file, one a line; lines that begin with # are notes.

    Raises
    ------
    ParamError
        If the file cannot be read, holds no key, or one that can be guessed.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ParamError(f"--key {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    keys = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not keys or any(len(key) < 16 or not key.isascii() for key in keys):
        raise ParamError(
            f"--key {path}: expected keys of at least 16 ASCII characters, one a line; "
            'python -c "import secrets; print(secrets.token_urlsafe())" makes one'
        )
    if os.name == "posix" and path.stat().st_mode & 0o004:
        raise ParamError(f"--key {path}: everyone on this machine can read it; chmod o-r {path}")
    return keys
