"""The application: interfaces, page, health and metrics put together."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware

from bgkit import __version__
from bgkit.batch.crew import Crew
from bgkit.batch.wall import Wall
from bgkit.errors import BgkitError
from bgkit.serve import native, rembg, removebg, spec, wall
from bgkit.serve.catalog import Catalog
from bgkit.serve.gate import Gate, Metrics
from bgkit.serve.settings import Settings
from bgkit.serve.works import scrub, status_of

__all__ = ["create_app"]

PAGE, DOCS = Path(__file__).parent / "page", Path(__file__).parent / "docs.html.j2"
PLACE = re.compile(r"^[^:\s]+:(\d+):(\d+): ")  # file:line:column of a YAML error

log = logging.getLogger("bgkit.serve")


def create_app(settings: Settings, crew: Crew, watched: Wall | None = None) -> FastAPI:
    """Return the ASGI application; at its end the crew finishes what is queued."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(crew.close)

    app = FastAPI(
        title="bgkit",
        version=__version__,
        description="Removes image backgrounds.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.crew, app.state.wall = settings, crew, watched
    app.state.catalog, app.state.metrics = Catalog(settings.folder), Metrics()
    for interface in (native, rembg, removebg, wall):
        app.include_router(interface.router)
    _add_health(app, crew)
    _add_errors(app)

    @app.get("/watch", include_in_schema=False)
    def watch_page() -> FileResponse:
        return FileResponse(PAGE / "watch.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        from jinja2 import Template

        return HTMLResponse(Template(DOCS.read_text(), autoescape=True).render(spec=app.openapi()))

    app.router.default = StaticFiles(directory=PAGE, html=True)  # no mount: it would answer wrong methods with 404
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["X-Api-Key", "Authorization", "Content-Type"],
            expose_headers=["*"],
        )
    app.add_middleware(Gate, settings=settings, metrics=app.state.metrics)
    return app


def _add_health(app: FastAPI, crew: Crew) -> None:
    @app.get("/health", tags=["operation"], responses=spec.refusals())
    def health() -> dict[str, str]:
        """Answer while the server lives."""
        return {"status": "ok", "version": __version__}

    @app.get("/ready", tags=["operation"], responses={503: {"description": "Not ready."}, **spec.refusals()})
    def ready() -> JSONResponse:
        """Answer 200 when a worker is ready and the queue has room, else 503: for a load balancer."""
        told = {"workers": crew.ready, "busy": crew.busy, "queued": crew.queued}
        there = crew.ready > 0 and crew.queued < crew.limit
        return JSONResponse({"status": "ready" if there else "not ready", **told}, 200 if there else 503)

    @app.get(
        "/metrics",
        tags=["operation"],
        response_class=Response,
        responses={200: {"description": "Figures.", "content": {"text/plain": {}}}, **spec.refusals()},
    )
    def metrics() -> Response:
        """Return figures in Prometheus's text format."""
        figures = app.state.metrics
        figures.queued.set(crew.queued)
        figures.busy.set(crew.busy)
        figures.ready.set(crew.ready)
        figures.deaths.set(crew.deaths)
        return Response(generate_latest(figures.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _add_errors(app: FastAPI) -> None:
    def tell(request: Request, status: int, text: str, error: Any = None) -> JSONResponse:
        request.scope["state"]["told"]["error"] = text
        if request.url.path.startswith("/v1.0/"):
            return removebg.answer_error(status, text, getattr(error, "code", ""), getattr(error, "headers", None))
        body: dict[str, Any] = {"detail": text}
        place = PLACE.match(text)
        if place:
            body |= {"line": int(place[1]), "column": int(place[2])}
        headers = {"Retry-After": "2"} if status == 429 else getattr(error, "headers", None)
        return JSONResponse(body, status, headers)

    @app.exception_handler(BgkitError)
    async def refused(request: Request, error: BgkitError) -> JSONResponse:
        return tell(request, status_of(error), scrub(str(error)))

    @app.exception_handler(StarletteHTTPException)
    async def wrong(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 405:  # the framework names only the methods of the first function at this path
            path = getattr(request.scope.get("route"), "path", "")
            methods = app.openapi()["paths"].get(path)
            if methods:
                error.headers = {"Allow": ", ".join(method.upper() for method in methods)}
        return tell(request, error.status_code, str(error.detail), error)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("internal error", exc_info=error)
        return tell(request, 500, "an internal error; the log says more")
