"""The process: sockets, signals, and the first job of each worker."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bgkit.batch.crew import Crew
from bgkit.batch.jobs import Job
from bgkit.errors import EngineError
from bgkit.imagefile import write_picture
from bgkit.pipelinefile import load_pipeline
from bgkit.serve.gate import JsonLines
from bgkit.serve.settings import Settings
from bgkit.serve.works import make_work

__all__ = ["serve"]

CONNECTIONS = 256  # at once; more are answered 503
HEAD_SECONDS = 20.0  # for a request's head, and between two requests
READER_SECONDS = 60  # that a client may take none of its answer


def make_crew(settings: Settings) -> Crew:
    """Return the workers, whose first job is a small picture, so that libraries and network are loaded."""
    file = io.BytesIO()
    write_picture(file, np.tile(np.linspace(0, 1, 64, dtype=np.float32)[:, None, None], (1, 64, 3)))
    work = make_work(load_pipeline("auto"), ("result",), "png", {}, 0)
    os.environ["BGKIT_MAX_PIXELS"] = str(settings.max_pixels)  # workers take it over
    warm = work, Job(file.getvalue(), Path(), "warm")
    return Crew(settings.workers, settings.queue, warm, settings.memory)


def serve(settings: Settings, say: Callable[[str], None]) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish what runs; return the exit status.

    ``say`` is told the address when it is open.
    """
    sockets = [_listen(settings.host, settings.port)]
    crew = make_crew(settings)
    crew.start()  # while the application loads
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        """HTTP whose clients have limited time to send a request's head: many that never do would hold every place."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.late = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.give_up)

        def handle_events(self) -> None:
            super().handle_events()
            at_work = self.cycle is not None and not self.cycle.response_complete
            if at_work:
                self.late.cancel()
            elif self.late.cancelled():  # between two requests of one connection
                self.late = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.give_up)

        def give_up(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self.late.cancel()
            super().connection_lost(exc)

    from bgkit.serve.app import create_app

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("bgkit.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
    config = uvicorn.Config(
        create_app(settings, crew),
        http=Patient,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=int(settings.seconds) + 10,
        h11_max_incomplete_event_size=32 << 10,
    )
    name, port = sockets[0].getsockname()[:2]
    say(f"http://{f'[{name}]' if ':' in name else name}:{port}/")
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when all is finished
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets)
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family, backlog=256)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, READER_SECONDS * 1000)
        return opened
    except (OSError, UnicodeError) as error:
        raise EngineError(
            f"--host {host} --port {port}: cannot listen: {getattr(error, 'strerror', None) or error}"
        ) from error
