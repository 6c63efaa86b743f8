"""What an operator may set."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from bgkit.errors import ParamError

__all__ = ["LOOPBACK", "Settings", "read_keys"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Settings:
    """All that is set when the server starts; every limit holds for one request."""

    host: str = "127.0.0.1"
    port: int = 7000
    workers: int = 1
    memory: int | None = None  # bytes that the workers together may take
    queue: int = 16  # pictures that may wait
    default: str = "auto"  # the pipeline of a request that names none
    folder: Path | None = None  # of further pipelines
    keys: tuple[str, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = ()  # of this server, that a Host header may hold
    origins: tuple[str, ...] = ()  # of pages elsewhere that may use it
    fetch: tuple[str, ...] = ()  # hosts that pictures may be fetched from
    max_bytes: int = 30_000_000
    max_pixels: int = 25_000_000
    seconds: float = 60.0  # of work
    upload_seconds: float = 60.0


def read_keys(path: Path) -> tuple[str, ...]:
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
