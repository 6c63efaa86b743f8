"""From a picture and a pipeline to an answer: through a worker, or to an error with a status.

A client that goes away takes its work with it.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request

from bgkit.batch.crew import Crew, QueueFullError, StoppedError
from bgkit.batch.jobs import NOTHING, Job, Outcome, Work
from bgkit.errors import BgkitError, EngineError, ImageError, LayerError, MissingPartError, ModelError, PipelineError
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pipeline import Pipeline
from bgkit.serve.catalog import NoSuchPipelineError

__all__ = ["MEDIA", "OPACITY", "Encode", "explain", "make_work", "perform", "scrub", "status_of"]

log = logging.getLogger("bgkit.serve")

MEDIA = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "tif": "image/tiff",
    "avif": "image/avif",
    "bmp": "image/bmp",
}

OPACITY = "opacity"

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


@dataclass(frozen=True)
class Encode:
    """Turn finished layers into files, where they were made; ``opacity`` is the result's own, in its frame."""

    layers: tuple[str, ...]
    format: str

    def __call__(self, job: Job, layers: Layers) -> dict[str, Any]:
        contents, sizes = {}, {}
        for name in self.layers:
            array = getattr(layers, "result" if name == OPACITY else name)
            if name == OPACITY:
                array = array[:, :, 3] if array.shape[2] == 4 else layers.alpha
            like = layers.facts.get("input", {})
            contents[name] = _archive(array, like) if self.format == "zip" else _file(array, like, self.format)
            sizes[name] = list(array.shape[:2])
        return {"contents": contents, "sizes": sizes}


def _file(array: Any, like: Mapping[str, Any], form: str) -> bytes:
    file = io.BytesIO()
    write_picture(file, array, like=like, format=form)
    return file.getvalue()


def _archive(array: Any, like: Mapping[str, Any]) -> bytes:
    """Return a zip file of color and alpha apart, as remove.bg's: a JPEG and a gray PNG are smaller than one PNG."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if array.ndim == 3:
            archive.writestr("color.jpg", _file(array[:, :, :3], like, "jpg"))
        if array.ndim == 2 or array.shape[2] == 4:
            archive.writestr("alpha.png", _file(array if array.ndim == 2 else array[:, :, 3], like, "png"))
    return file.getvalue()


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
