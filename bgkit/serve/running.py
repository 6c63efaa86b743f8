"""The process: sockets, signals, and the first job of each worker."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bgkit.batch.answers import Thumbnail, small_picture
from bgkit.batch.crew import Crew
from bgkit.batch.jobs import Job
from bgkit.batch.wall import Wall, in_crew, watch_on
from bgkit.batch.watching import Watch
from bgkit.errors import EngineError
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
    work = make_work(load_pipeline("auto"), ("result",), "png", {}, 0)
    os.environ["BGKIT_MAX_PIXELS"] = str(settings.max_pixels)  # workers take it over
    warm = work, Job(small_picture(), Path(), "warm")
    return Crew(settings.workers, settings.queue, warm, settings.memory)


def serve(settings: Settings, say: Callable[[str], None], watch: Watch | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C, then finish what runs; return the exit status.

    ``say`` is told the address when it is open. ``watch`` is a folder whose pictures the workers do, too.
    """
    sockets = [_listen(settings.host, settings.port)]
    crew = make_crew(settings)
    crew.start()  # while the application loads
    if watch is None:
        _run(settings, crew, sockets, say, None)
        return 0
    watch.run = in_crew(crew, settings.seconds)
    wall = make_wall(watch)
    with watch:
        thread = watch_on(watch, wall, every=1.0)
        _run(settings, crew, sockets, say, wall)
        thread.join(settings.seconds)
    return 0


def make_wall(watch: Watch) -> Wall:
    """Return the wall for a folder; its results get thumbnails."""
    watch.work = replace(watch.work, examine=Thumbnail())
    return Wall(str(watch.folder.absolute()), str(watch.out.absolute()), watch.work.pipeline.name)


def show_page(host: str, port: int, watch: Watch, say: Callable[[str], None]) -> Wall:
    """Serve the page of a folder that this process watches itself, in a thread; return its wall."""
    settings = Settings(host=host, port=port, queue=0)
    wall, sockets = make_wall(watch), [_listen(host, port)]
    crew = Crew(0, 0)  # this server does no pictures of others
    threading.Thread(target=_run, args=(settings, crew, sockets, say, wall), daemon=True).start()
    return wall


def _run(settings: Settings, crew: Crew, sockets: list[socket.socket], say: Callable[[str], None], wall: Any) -> None:
    """Serve on open sockets until the process is asked to end."""
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
    name, port = sockets[0].getsockname()[:2]
    say(f"http://{f'[{name}]' if ':' in name else name}:{port}/")
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when all is finished
            signal.signal(number, lambda *_: None)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            if wall is not None:
                wall.closed = True  # streams end; other requests are finished
            super().handle_exit(sig, frame)

    Server(config).run(sockets)


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
