"""From a picture and a pipeline to an answer: through a worker, or to an error with a status.

A client that goes away takes its work with it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fastapi import HTTPException, Request

from bgkit.batch.answers import OPACITY, Encode
from bgkit.batch.crew import Crew, QueueFullError, StoppedError
from bgkit.batch.jobs import NOTHING, Job, Outcome, Work
from bgkit.errors import BgkitError, EngineError, ImageError, LayerError, MissingPartError, ModelError, PipelineError
from bgkit.pipeline import Pipeline
from bgkit.serve.catalog import NoSuchPipelineError

__all__ = ["MEDIA", "explain", "make_work", "perform", "scrub", "status_of"]

log = logging.getLogger("bgkit.serve")

MEDIA = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "tif": "image/tiff",
    "avif": "image/avif",
    "bmp": "image/bmp",
}

# The one table from errors to statuses; any other BgkitError is a wrong word or value of the client's.
STATUS: Mapping[type[Exception], int] = {
    NoSuchPipelineError: 404,
    QueueFullError: 429,
    StoppedError: 504,
    EngineError: 500,
    ModelError: 503,
    MissingPartError: 501,
    PipelineError: 409,  # the fields do not go together
    BgkitError: 422,
}
PATHS = re.compile(r"(?<![\w:/.])/(?:[^\s/:'\"]+/)+([^\s/:'\"]*)")


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def scrub(text: str) -> str:
    """Return a message without folders: of a path its last part stays.

    >>> scrub("the network 'x' is damaged: /home/ada/models/x.onnx: 12 bytes")
    "the network 'x' is damaged: x.onnx: 12 bytes"
    """
    return PATHS.sub(r"\1", text)


def make_work(
    pipeline: Pipeline, layers: tuple[str, ...], ending: str, brought: Mapping[str, bytes], pixels: int
) -> Work:
    """Return the work for a request, checked.

    Raises
    ------
    PipelineError
        If the pipeline does not run with what is brought or makes no such layer, or the format cannot hold it.
    """
    work = Work(pipeline, NOTHING, examine=Encode(layers, ending), pixels=pixels)
    for layer in set(layers) - {"image"}:  # which is always there
        replace(work, layer="alpha" if layer == OPACITY else layer).check(brought, ending)
    return work


async def perform(
    request: Request, crew: Crew, work: Work, picture: bytes, brought: Mapping[str, bytes], seconds: float
) -> Outcome:
    """Have a picture done and return its outcome.

    Raises
    ------
    HTTPException
        With the status that fits what went wrong.
    """
    if not crew.workers:
        raise HTTPException(503, "this server only shows a watched folder; bgkit serve takes pictures")
    job = Job(picture, Path(), "picture", brought=dict(brought))
    ticket = crew.submit(work, job, seconds)
    done = asyncio.wrap_future(ticket.future)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise HTTPException(499, "the client went away")
        outcome = done.result()
    finally:
        gone.cancel()
        if not done.done():
            done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # or asyncio complains of it
            ticket.abandon()
    metrics = request.app.state.metrics
    for name, took in outcome.seconds.items():
        metrics.stages.labels(name.partition("#")[0]).inc(took)
    for name, told in outcome.facts.get("findings", {}).items():
        metrics.flags.labels(name).inc(bool(told["flagged"]))
    if outcome.status == "failed":
        if outcome.trace:
            log.error("a worker failed", extra={"told": {"error": outcome.error, "trace": outcome.trace}})
        raise HTTPException(*explain(outcome))
    return outcome


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def explain(outcome: Outcome) -> tuple[int, str]:
    """Return status and sentence for an outcome that failed."""
    text = scrub(outcome.error)
    if outcome.kind == ImageError.__name__:
        return (413 if "more than the limit" in text else 415 if "is not a picture" in text else 422), text
    if outcome.kind == MemoryError.__name__:
        return 413, "this picture needs more memory than there is"
    if outcome.kind == LayerError.__name__:
        return 422, text
    if outcome.kind == ModelError.__name__:
        return 503, text
    if outcome.trace or outcome.kind == OSError.__name__:
        return 500, "an internal error; the log says more"
    return 422, text
