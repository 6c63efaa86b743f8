"""The application: interfaces, page, health and metrics put together."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from bgkit import __version__
from bgkit.batch.crew import Crew
from bgkit.batch.wall import Wall
from bgkit.errors import BgkitError, scrub
from bgkit.serve import native, rembg, removebg, wall
from bgkit.serve.fields import refusals
from bgkit.serve.gate import Gate
from bgkit.serve.settings import Settings
from bgkit.serve.works import INTERNAL, Catalog, status_of

__all__ = ["create_app"]

PAGE, DOCS = Path(__file__).parent / "page", Path(__file__).parent / "docs.html.j2"
PLACE = re.compile(r"^[^:\s]+:(\d+):(\d+): ")  # file:line:column of a YAML error

FIGURES: dict[int | str, dict[str, Any]] = {200: {"description": "Figures.", "content": {"text/plain": {}}}}
WORKERS = {
    "queued": Gauge("bgkit_queued", "Pictures that wait for a worker."),
    "busy": Gauge("bgkit_busy", "Workers at work."),
    "ready": Gauge("bgkit_workers", "Workers that are ready."),
    "deaths": Gauge("bgkit_worker_deaths", "Workers that died or were ended."),
}

log = logging.getLogger("bgkit.serve")
operation = APIRouter(tags=["operation"])


def create_app(settings: Settings, crew: Crew, watched: Wall | None = None) -> FastAPI:
    """Return the ASGI application."""
    about = "Removes image backgrounds."
    app = FastAPI(title="bgkit", version=__version__, description=about, docs_url=None, redoc_url=None)
    app.state.settings, app.state.crew, app.state.wall = settings, crew, watched
    app.state.catalog = Catalog(settings.folder)
    app.state.catalog.find(settings.default)
    for router in (native.router, rembg.router, removebg.router, wall.router, operation):
        app.include_router(router)
    for kind in (BgkitError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _answer_error)
    # No mount: it would answer wrong methods with 404. The network is for browsers that run it themselves.
    app.router.default = StaticFiles(directory=PAGE, packages=[("bgkit.models", "weights")], html=True)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["X-Api-Key", "Authorization", "Content-Type"],
            expose_headers=["*"],
        )
    app.add_middleware(Gate, settings=settings)
    return app


@operation.get("/health", responses=refusals())
def health() -> dict[str, str]:
    """Answer while the server lives."""
    return {"status": "ok", "version": __version__}


@operation.get("/ready", responses={503: {"description": "Not ready."}, **refusals()})
def ready(request: Request) -> JSONResponse:
    """Answer 200 when a worker is ready and the queue has room, else 503: for a load balancer."""
    crew: Crew = request.app.state.crew
    there = crew.ready > 0 and crew.queued < crew.limit
    figures = {"workers": crew.ready, "busy": crew.busy, "queued": crew.queued}
    return JSONResponse({"status": "ready" if there else "not ready", **figures}, 200 if there else 503)


@operation.get("/metrics", response_class=Response, responses={**FIGURES, **refusals()})
def metrics(request: Request) -> Response:
    """Return figures in Prometheus's text format."""
    for name, gauge in WORKERS.items():
        gauge.set(getattr(request.app.state.crew, name))
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@operation.get("/watch", include_in_schema=False)
def watch_page() -> FileResponse:
    return FileResponse(PAGE / "watch.html")


@operation.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    from jinja2 import Template

    return HTMLResponse(Template(DOCS.read_text(), autoescape=True).render(spec=request.app.openapi()))


def _answer_error(request: Request, error: Exception) -> JSONResponse:
    """Return an error as a sentence, in the manner of the interface that was asked."""
    status, text = 500, INTERNAL
    headers = dict(getattr(error, "headers", None) or {})
    if isinstance(error, BgkitError):
        status, text = status_of(error), scrub(str(error))
    elif isinstance(error, HTTPException):
        status, text = error.status_code, str(error.detail)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        status, text = 422, f"{first['loc'][-1]}: {first['msg']}"
    elif isinstance(error, ClientDisconnect):
        status, text = 499, "the client went away"
    else:
        log.error("internal error", exc_info=error)
    if status == 405:  # the framework names only the methods of the first function at this path
        path = getattr(request.scope.get("route"), "path", "")
        methods = request.app.openapi()["paths"].get(path)
        headers |= {"Allow": ", ".join(method.upper() for method in methods)} if methods else {}
    if status == 429:
        headers["Retry-After"] = "2"
    request.scope["state"]["fields"]["error"] = text
    if request.url.path.startswith("/v1.0/"):
        return removebg.answer_error(status, text, getattr(error, "code", ""), headers)
    where = {"line": int(place[1]), "column": int(place[2])} if (place := PLACE.match(text)) else {}
    return JSONResponse({"detail": text, **where}, status, headers)
