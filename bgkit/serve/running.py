"""The process: sockets, signals, and connections that take too long.

The workers start first, and load their libraries while the application loads its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from bgkit.batch.crew import Crew
from bgkit.errors import EngineError
from bgkit.serve.settings import Settings

__all__ = ["serve", "show_page"]

CONNECTIONS = 256  # at once; more are answered 503
HEAD_SECONDS = 20.0  # for a request's head, and between two requests
READER_SECONDS = 60  # that a client may take none of its answer
WARM = "auto"  # uses what most others use


def serve(settings: Settings, say: Callable[[str], None], watch: Callable[[], Any] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish what runs; return the exit status.

    ``say`` gets the address when it is open. ``watch`` returns the watch of a folder whose pictures the workers do,
    too.
    """
    sockets = [_listen(settings.host, settings.port)]
    os.environ["BGKIT_MAX_PIXELS"] = str(settings.max_pixels)  # workers take it over
    crew = Crew(settings.workers, settings.queue, WARM, settings.memory)
    crew.start()
    from bgkit.batch.wall import watched_by

    try:
        with watched_by(crew, watch(), settings.seconds) if watch else nullcontext() as wall:
            _run(settings, crew, sockets, wall, say)
        return 0
    finally:
        crew.close()


def show_page(host: str, port: int, watch: Any, say: Callable[[str], None]) -> Any:
    """Serve the page of a folder that this process watches itself, in a thread; return its wall."""
    from bgkit.batch.wall import Wall

    settings = Settings(host=host, port=port, queue=0)
    wall, sockets = Wall.of(watch), [_listen(host, port)]
    crew = Crew(0, 0)  # this server does no pictures of others
    say(_address(sockets[0]))
    threading.Thread(target=_run, args=(settings, crew, sockets, wall), daemon=True).start()
    return wall


def _run(
    settings: Settings, crew: Crew, sockets: list[socket.socket], wall: Any, say: Callable[[str], None] | None = None
) -> None:
    """Serve on open sockets until the process is asked to end; ``say`` is called when the application stands."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from bgkit.serve.app import create_app
    from bgkit.serve.gate import JsonLines

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

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            if wall is not None:
                wall.closed = True  # streams end; other requests are finished
            super().handle_exit(sig, frame)

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("bgkit.serve", "bgkit.batch.crew", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if crew.workers else logging.WARNING)  # a watch has the terminal for itself
    config = uvicorn.Config(
        create_app(settings, crew, wall),
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
    if say is not None:
        say(_address(sockets[0]))
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when all is finished
            signal.signal(number, lambda *_: None)
    Server(config).run(sockets)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, port), family=family, backlog=256)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, READER_SECONDS * 1000)
        return opened
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise EngineError(f"--host {host} --port {port}: cannot listen: {why}") from error


def _address(opened: socket.socket) -> str:
    name, port = opened.getsockname()[:2]
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"
