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

from bgkit.batch.crew import StoppedError
from bgkit.batch.jobs import Outcome
from bgkit.errors import ParamError, did_you_mean
from bgkit.pipeline import Pipeline
from bgkit.removal import BROUGHT
from bgkit.serve import spec
from bgkit.serve.catalog import with_background
from bgkit.serve.intake import Intake, lying, read_request
from bgkit.serve.works import MEDIA, make_work, perform

__all__ = ["describe", "headers_of", "router"]

router = APIRouter(prefix="/v1", tags=["native"])

WORDS = ("pipeline", "yaml", "layer", "format", "background", "preview", "seconds")
LAYERS = ("result", "alpha", "mask", "trimap", "foreground", "image")


FIELDS = (
    spec.field("pipeline", "The name of a pipeline."),
    spec.field("yaml", "A pipeline as YAML instead."),
    spec.field("layer", "The layers to return; several, separated by commas, come as JSON.", enum=list(LAYERS)),
    spec.field("format", "Of the picture.", enum=list(MEDIA)),
    spec.field("background", "A color, blur or none.", examples=["#ffffff", "none"]),
    spec.field("preview", "Pixels to which the picture is reduced first; 0 keeps it.", type="integer", minimum=0),
    spec.field("seconds", "That the work may take.", type="number", minimum=0.1),
    {
        "name": "values",
        "in": "query",
        "description": "Values of the pipeline's stages, each a field named STAGE.PARAM.",
        "style": "form",
        "explode": True,
        "schema": {
            "type": "object",
            "patternProperties": {r"^[a-z_]+(#[0-9]+)?\.[a-z_]+$": {"type": "string"}},
            "additionalProperties": False,
        },
    },
)
FILES = ("file", *BROUGHT, "background", "yaml")


@router.post(
    "/remove",
    response_class=Response,
    responses={**spec.pictures(**{spec.JSON: {"schema": {"type": "object"}}}), **spec.refusals(work=True)},
    openapi_extra={"parameters": list(FIELDS), "requestBody": spec.picture_or_form(("file", *BROUGHT), FIELDS)},
)
async def remove(request: Request) -> Response:
    """Remove the background of a picture."""
    as_json = spec.JSON in request.headers.get("accept", "")
    intake = await read_request(request, request.app.state.settings.upload_seconds)
    try:
        wanted = _list(intake, "layer", "result", LAYERS)
        if len(wanted) > 1 and not as_json:
            raise HTTPException(422, "layer: several layers come as JSON; ask for it with Accept: application/json")
        told, contents = await _do(request, intake, intake.one("pipeline"))
    finally:
        intake.close()
    headers = headers_of(told)
    if as_json:
        return JSONResponse(await asyncio.to_thread(_with_layers, told, contents), headers=headers)
    return Response(contents[wanted[0]], media_type=told["layers"][wanted[0]]["type"], headers=headers)


@router.post(
    "/compare",
    responses=spec.refusals(work=True),
    openapi_extra={
        "parameters": [
            {**spec.field("pipeline", "Two names."), "schema": {"type": "array", "items": {"type": "string"}}},
            *FIELDS[2:],
        ],
        "requestBody": spec.picture_or_form(("file", *BROUGHT), FIELDS[2:]),
    },
)
async def compare(request: Request) -> JSONResponse:
    """Run two pipelines on one picture; each answer is as that of /v1/remove. A value holds where its stage stands."""
    intake = await read_request(request, request.app.state.settings.upload_seconds)
    try:
        names = [value for key, value in intake.fields if key == "pipeline"]
        if len(names) != 2 or intake.one("yaml") or "yaml" in intake.files:
            raise HTTPException(422, f"pipeline: expected two names, got {len(names)}")
        done = await asyncio.gather(*(_do(request, intake, name, only_there=True) for name in names))
    finally:
        intake.close()
    return JSONResponse({"results": [await asyncio.to_thread(_with_layers, *each) for each in done]})


async def _do(
    request: Request, intake: Intake, name: str, *, only_there: bool = False
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Do what a request asks for; return what there is to say of it, and the layers' files."""
    state = request.app.state
    picture = intake.content("file")
    if picture is None:
        raise HTTPException(422, "expected a picture, as the body or as the file of the form's field 'file'")
    brought = _brought(intake)
    wanted = tuple(dict.fromkeys(_list(intake, "layer", "result", LAYERS)))
    (ending,) = _list(intake, "format", "png", tuple(MEDIA))[-1:]
    pixels = _number(intake, "preview", 0, 0, state.settings.max_pixels, int)
    seconds = _number(intake, "seconds", state.settings.seconds, 0.1, state.settings.seconds)
    with ExitStack() as stack:
        pipeline, chosen = await asyncio.to_thread(_pipeline, state, intake, name, only_there, stack)
        work = make_work(pipeline, wanted, ending, brought, int(pixels))
        try:
            outcome = await perform(request, state.crew, work, picture, brought, seconds)
        except StoppedError as error:
            raise HTTPException(504 if seconds == state.settings.seconds else 408, str(error)) from None
    told = describe(chosen, outcome)
    told["layers"] = {each: {"type": MEDIA[ending], "size": outcome.found["sizes"][each]} for each in wanted}
    return told, outcome.found["contents"]


def _with_layers(told: dict[str, Any], contents: Mapping[str, bytes]) -> dict[str, Any]:
    for name, content in contents.items():
        told["layers"][name]["base64"] = base64.b64encode(content).decode()
    return told


def _pipeline(state: Any, intake: Intake, name: str, only_there: bool, stack: ExitStack) -> tuple[Pipeline, Pipeline]:
    """Return the pipeline to run, and as it is told: an uploaded background is a file of ours for a moment."""
    values = {key: value for key, value in intake.fields if key not in WORDS}
    for key in values:
        if "." not in key:
            raise ParamError(f"{key}: no such field{did_you_mean(key, (*WORDS, *BROUGHT, 'file'))}")
    yaml = intake.content("yaml")
    text = yaml.decode("utf-8", "replace") if yaml is not None else intake.one("yaml") or None
    name = name or state.settings.default
    if only_there:
        there = [step.name for step in state.catalog.find(name).steps]
        values = {key: value for key, value in values.items() if key.partition(".")[0].partition("#")[0] in there}
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
        elif name not in FILES:
            raise HTTPException(422, f"{name}: no such file{did_you_mean(name, FILES)} (there are: {', '.join(FILES)})")
    return found


def _list(intake: Intake, name: str, default: str, known: tuple[str, ...]) -> list[str]:
    """Return the words of a field that may be repeated or hold several, separated by commas."""
    given = [word.strip() for key, value in intake.fields if key == name for word in value.split(",")]
    for word in given:
        if word not in known:
            raise HTTPException(422, f"{name}: expected {' or '.join(known)}, got {word!r}")
    return given or [default]


def _number(intake: Intake, name: str, default: float, low: float, high: float, read: type = float) -> float:
    text = intake.one(name)
    try:
        value = read(text) if text else default
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


@router.get("/stages", responses=spec.refusals())
def stages() -> dict[str, Any]:
    """List the stages with the JSON Schema of their parameters."""
    from bgkit import stages

    listed = {}
    for name in stages.names():
        info = stages.find(name)
        schema = info.schema()
        for word, param in info.settings.items():
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


@router.get("/pipelines", responses=spec.refusals())
def pipelines(request: Request) -> list[dict[str, Any]]:
    """List the pipelines with their stages, values and YAML."""
    return request.app.state.catalog.table()


@router.post(
    "/check",
    responses=spec.refusals(413, 422),
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def check(request: Request) -> dict[str, Any]:
    """Check a pipeline's YAML, the body; an error names line and column."""
    from bgkit.serve.catalog import row

    text = (await request.body()).decode("utf-8", "replace")
    pipeline = await asyncio.to_thread(request.app.state.catalog.chain, "", text)
    return row(pipeline)


@router.get("/models", responses=spec.refusals())
def models() -> list[dict[str, Any]]:
    """List the networks: which are here, and whether their weights may be used commercially."""
    from bgkit.models import list_cards
    from bgkit.models.store import path_of

    return [
        {
            "name": card.name,
            "task": card.task,
            "here": path_of(card).is_file(),
            "license": card.license.name,
            "use": card.use,
            "bytes": card.file.bytes,
            "sha256": card.file.sha256,
            "url": card.file.url,
        }
        for card in list_cards()
    ]


@router.get("/schema", responses=spec.refusals())
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a pipeline file, with which editors complete and check YAML."""
    from bgkit.pipelinefile import pipeline_schema

    return pipeline_schema()
