"""What an operator may set when the server starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings"]


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
