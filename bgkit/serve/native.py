"""bgkit's own interface: ``/v1``."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from bgkit.batch.jobs import Outcome
from bgkit.errors import ParamError, did_you_mean
from bgkit.pipeline import Pipeline
from bgkit.serve.catalog import with_background
from bgkit.serve.intake import Intake, lying, read_request
from bgkit.serve.works import MEDIA, make_work, perform

__all__ = ["describe", "headers_of", "router"]

router = APIRouter(prefix="/v1", tags=["native"])

BROUGHT = ("plate", "mask", "trimap", "strokes", "alpha")
WORDS = ("pipeline", "yaml", "layer", "format", "background", "preview", "seconds")
LAYERS = ("result", "alpha", "mask", "trimap", "foreground", "image")


@router.post("/remove")
async def remove(request: Request) -> Response:
    """Remove the background of a picture."""
    state = request.app.state
    intake = await read_request(request, state.settings.upload_seconds)
    try:
        picture = intake.content("file")
        if picture is None:
            raise HTTPException(422, "expected a picture, as the body or as the file of the form's field 'file'")
        brought = _brought(intake)
        wanted = tuple(dict.fromkeys(_list(intake, "layer", "result", LAYERS)))
        as_json = "application/json" in request.headers.get("accept", "")
        if len(wanted) > 1 and not as_json:
            raise HTTPException(422, "layer: several layers come as JSON; ask for it with Accept: application/json")
        with ExitStack() as stack:
            pipeline, chosen = await asyncio.to_thread(_pipeline, state, intake, stack)
            (ending,) = _list(intake, "format", "png", tuple(MEDIA))[-1:]
            pixels = _number(intake, "preview", 0, 0, state.settings.max_pixels)
            seconds = _number(intake, "seconds", state.settings.seconds, 0.1, state.settings.seconds)
            work = make_work(pipeline, wanted, ending, brought, int(pixels))
            outcome = await perform(request, state.crew, work, picture, brought, seconds)
    finally:
        intake.close()
    told = describe(chosen, outcome)
    headers = headers_of(told)
    contents: Mapping[str, bytes] = outcome.found["contents"]
    if not as_json:
        return Response(contents[wanted[0]], media_type=MEDIA[ending], headers=headers)
    layers = await asyncio.to_thread(_as_text, contents)
    told["layers"] = {
        name: {"type": MEDIA[ending], "size": outcome.found["sizes"][name], "base64": layers[name]} for name in wanted
    }
    return JSONResponse(told, headers=headers)


def _pipeline(state: Any, intake: Intake, stack: ExitStack) -> tuple[Pipeline, Pipeline]:
    """Return the pipeline to run, and as it is told: an uploaded background is a file of ours for a moment."""
    values = {key: value for key, value in intake.fields if key not in WORDS}
    for key in values:
        if "." not in key:
            raise ParamError(f"{key}: no such field{did_you_mean(key, (*WORDS, *BROUGHT, 'file'))}")
    yaml = intake.content("yaml")
    text = yaml.decode("utf-8", "replace") if yaml is not None else intake.one("yaml") or None
    name = intake.one("pipeline") or state.settings.default
    chosen = state.catalog.chain(name, text, values, intake.one("background"))
    picture = intake.content("background")
    if picture is None:
        return chosen, chosen
    return with_background(chosen, stack.enter_context(lying(picture))), chosen


def _brought(intake: Intake) -> dict[str, bytes]:
    """Return the layers that came with the picture."""
    found = {}
    for name in intake.files:
        if name in BROUGHT:
            found[name] = intake.content(name) or b""
        elif name not in ("file", "background", "yaml"):
            known = ("file", *BROUGHT, "background", "yaml")
            raise HTTPException(422, f"{name}: no such file{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return found


def _list(intake: Intake, name: str, default: str, known: tuple[str, ...]) -> list[str]:
    """Return the words of a field that may be repeated or hold several, separated by commas."""
    given = [word.strip() for key, value in intake.fields if key == name for word in value.split(",")]
    for word in given:
        if word not in known:
            raise HTTPException(422, f"{name}: expected {' or '.join(known)}, got {word!r}")
    return given or [default]


def _number(intake: Intake, name: str, default: float, low: float, high: float) -> float:
    text = intake.one(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise HTTPException(422, f"{name}: expected {low:g}..{high:g}, got {text!r}")
    return value


def describe(pipeline: Pipeline, outcome: Outcome) -> dict[str, Any]:
    """Return what there is to say of an answer."""
    facts = outcome.facts
    models = [
        {name: told[name] for name in ("model", "sha256", "license", "provider")}
        for told in facts.values()
        if isinstance(told, dict) and {"model", "sha256"} <= set(told)
    ]
    return {
        "pipeline": {"name": pipeline.name, "sha256": pipeline.digest()},
        "models": models,
        "size": list(outcome.size or ()),
        "seconds": {name: round(seconds, 4) for name, seconds in outcome.seconds.items()},
        "findings": facts.get("findings", {}),
        "flags": outcome.flags,
        "warnings": list(outcome.warnings),
        "facts": {name: value for name, value in facts.items() if name not in ("findings", "input")},
        "input": {name: value for name, value in facts.get("input", {}).items() if name != "path"},
    }


def headers_of(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the same in headers; Server-Timing is shown by browsers."""
    timing = ", ".join(f"{name.replace('#', '-')};dur={1000 * took:.1f}" for name, took in told["seconds"].items())
    return {
        "X-Bgkit-Pipeline": told["pipeline"]["name"],
        "X-Bgkit-Pipeline-Sha256": told["pipeline"]["sha256"],
        "X-Bgkit-Models": ", ".join(f"{model['model']};sha256={model['sha256']}" for model in told["models"]),
        "X-Bgkit-Size": "x".join(map(str, reversed(told["size"]))),
        "X-Bgkit-Findings": json.dumps(told["findings"]),
        "Server-Timing": timing,
    }


def _as_text(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in contents.items()}


@router.get("/stages")
def stages() -> dict[str, Any]:
    """List the stages with the JSON Schema of their parameters."""
    from bgkit import stages

    listed = {}
    for name in stages.names():
        info = stages.find(name)
        schema = info.schema()
        for word, param in info.words.items():
            range_ = param.constraint
            ui, unit = getattr(range_, "ui", None), getattr(range_, "unit", "")
            schema["properties"][word] |= {"expected": param.expected, "unit": unit, "ui": list(ui) if ui else None}
        listed[name] = {
            "summary": info.summary,
            "doc": info.doc,
            "gives": info.gives,
            "needs": list(info.needs),
            "uses": list(info.uses),
            "parameters": schema,
        }
    return listed


@router.get("/pipelines")
def pipelines(request: Request) -> list[dict[str, Any]]:
    """List the pipelines with their stages, values and YAML."""
    return request.app.state.catalog.table()


@router.post("/check")
async def check(request: Request) -> dict[str, Any]:
    """Check a pipeline's YAML, the body; an error names line and column."""
    from bgkit.serve.catalog import row

    text = (await request.body()).decode("utf-8", "replace")
    pipeline = await asyncio.to_thread(request.app.state.catalog.chain, "", text)
    return row(pipeline)


@router.get("/models")
def models() -> list[dict[str, Any]]:
    """List the networks: which are here, and whether their weights may be used commercially."""
    from bgkit.models import list_cards
    from bgkit.models.store import path_of

    return [
        {
            "name": card.name,
            "task": card.task,
            "here": path_of(card).is_file(),
            "license": card.license,
            "use": card.use,
            "bytes": card.bytes,
            "sha256": card.sha256,
            "url": card.url,
        }
        for card in list_cards()
    ]


@router.get("/schema")
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a pipeline file, with which editors complete and check YAML."""
    from bgkit.pipelinefile import file_schema

    return file_schema()
