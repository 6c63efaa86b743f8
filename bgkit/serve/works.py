"""From a picture and a pipeline's name to an answer: through a worker, or to an error with a status.

A client that goes away takes its work with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fastapi import HTTPException, Request
from prometheus_client import Counter

from bgkit import errors
from bgkit.batch.answers import OPACITY, Encode, describe
from bgkit.batch.crew import QueueFullError, StoppedError
from bgkit.batch.jobs import NOTHING, Job, Outcome, Work
from bgkit.files import without_files
from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import load_pipeline, read_pipeline, shipped
from bgkit.removal import with_background

__all__ = ["INTERNAL", "MEDIA", "Catalog", "headers_of", "perform", "status_of"]

log = logging.getLogger("bgkit.serve")

MEDIA = {**{name: f"image/{name}" for name in ("png", "webp", "avif", "bmp")}, "jpg": "image/jpeg", "tif": "image/tiff"}


class NoSuchPipelineError(errors.PipelineError):
    """A client named a pipeline that is not there."""


class Catalog:
    """Shipped pipelines and those of the operator's folder, whose names win; read and checked once."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise errors.ParamError(f"--pipelines {folder}: no such folder")
        own = {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder else {}
        for path in own.values():
            load_pipeline(path)  # a file that is wrong is the operator's to see, now
        self._sources: dict[str, str | Path] = {name: own.get(name, name) for name in sorted({*shipped(), *own})}

    @property
    def names(self) -> list[str]:
        """The names that a request may hold."""
        return list(self._sources)

    def find(self, name: str) -> Pipeline:
        """Return a pipeline by its name alone: never by a path."""
        if name not in self._sources:
            hint = errors.did_you_mean(name, self.names)
            raise NoSuchPipelineError(f"no pipeline named {name!r}{hint} (there are: {', '.join(self.names)})")
        return load_pipeline(self._sources[name])

    def chain(self, name: str, text: str | None, values: Mapping[str, str], background: str) -> Pipeline:
        """Return a pipeline by name, or read from YAML ``text``, with a client's values, which may name no files."""
        pipeline = self.find(name) if text is None else None
        with without_files():
            if pipeline is None:
                try:
                    pipeline = read_pipeline(text or "", "pipeline.yaml", "pipeline")
                except errors.PipelineError as error:
                    raise errors.ParamError(str(error)) from None  # a wrong value of the client's, as any other
            return with_background(pipeline.with_values(values), background or None)


# The one table from errors to statuses; any other BgkitError is a wrong word or value of the client's.
STATUS: Mapping[type[Exception], int] = {
    NoSuchPipelineError: 404,
    QueueFullError: 429,
    StoppedError: 504,
    errors.EngineError: 500,
    errors.MissingModelError: 404,
    errors.ModelError: 503,
    errors.MissingPartError: 501,
    errors.PipelineError: 409,  # the fields do not go together
    errors.BgkitError: 422,
}
STAGES = Counter("bgkit_stage_seconds", "Seconds of work by stage.", ["stage"])
FLAGS = Counter("bgkit_flagged", "Pictures flagged by a check.", ["finding"])
MOST_WARNINGS = 8  # in a header, which proxies cut at some 8 KB
INTERNAL = "an internal error; the log says more"


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def headers_of(pipeline: Pipeline, outcome: Outcome) -> dict[str, str]:
    """Return in headers what there is to say of a picture that is done; Server-Timing is shown by browsers."""
    described = describe(pipeline, outcome)
    timing = [f"{name.replace('#', '-')};dur={1000 * took:.1f}" for name, took in described["seconds"].items()]
    return {
        "X-Bgkit-Pipeline": described["pipeline"]["name"],
        "X-Bgkit-Pipeline-Sha256": described["pipeline"]["sha256"],
        "X-Bgkit-Models": ", ".join(f"{model['model']};sha256={model['sha256']}" for model in described["models"]),
        "X-Bgkit-Size": "x".join(map(str, reversed(described["size"]))),
        "X-Bgkit-Findings": json.dumps(described["findings"]),
        "X-Bgkit-Warnings": json.dumps([errors.cut(text, 400) for text in described["warnings"][:MOST_WARNINGS]]),
        "Server-Timing": ", ".join(timing),
    }


async def perform(
    request: Request,
    pipeline: Pipeline,
    layers: tuple[str, ...],
    ending: str,
    picture: bytes,
    brought: Mapping[str, bytes] | None = None,
    *,
    pixels: int = 0,
    seconds: float = math.inf,
) -> Outcome:
    """Have a picture done by a worker; of the outcome, ``found`` has ``contents`` and ``sizes`` by layer.

    Raises
    ------
    PipelineError
        If the pipeline does not run with what is brought or makes no such layer, or the format cannot hold it.
    HTTPException
        With the status that fits what went wrong.
    """
    crew, most = request.app.state.crew, request.app.state.settings.seconds
    brought, seconds = dict(brought or {}), min(seconds, most)
    work = Work(pipeline, NOTHING, examine=Encode(layers, ending), pixels=pixels)
    for layer in set(layers) - {"image"}:  # which is always there
        replace(work, layer="alpha" if layer == OPACITY else layer).check(brought, ending)
    if not crew.workers:
        raise HTTPException(503, "this server only shows a watched folder; bgkit serve takes pictures")
    ticket = crew.submit(work, Job(picture, Path(), "picture", brought=brought), seconds)
    done = asyncio.wrap_future(ticket.future)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise HTTPException(499, "the client went away")
        outcome: Outcome = done.result()
    except StoppedError as error:
        raise HTTPException(408 if seconds < most else 504, str(error)) from None
    finally:
        gone.cancel()
        if not done.done():
            done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # or asyncio complains of it
            ticket.abandon()
    for name, took in outcome.seconds.items():
        STAGES.labels(name.partition("#")[0]).inc(took)
    for name, finding in outcome.facts.get("findings", {}).items():
        FLAGS.labels(name).inc(bool(finding["flagged"]))
    if outcome.status == "failed":
        if outcome.trace:
            log.error("a worker failed", extra={"fields": {"error": outcome.error, "trace": outcome.trace}})
        raise HTTPException(*_explain(outcome))
    return outcome


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _explain(outcome: Outcome) -> tuple[int, str]:
    """Return status and sentence for an outcome that failed."""
    text = errors.scrub(outcome.error)
    if outcome.trace or outcome.kind == OSError.__name__:
        return 500, INTERNAL
    if outcome.kind == errors.ImageError.__name__:
        return (413 if "more than the limit" in text else 415 if "is not a picture" in text else 422), text
    if outcome.kind == MemoryError.__name__:
        return 413, "this picture needs more memory than there is"
    return {"MissingModelError": 404, "ModelError": 503}.get(outcome.kind, 422), text
