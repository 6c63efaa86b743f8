"""bgkit's own interface: ``/v1``."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from bgkit import stages
from bgkit.batch.answers import describe
from bgkit.batch.jobs import Outcome
from bgkit.errors import ParamError, did_you_mean
from bgkit.files import passing_file
from bgkit.models import list_cards
from bgkit.models.card import Card
from bgkit.models.store import WEIGHTS, path_of
from bgkit.pipeline import Pipeline
from bgkit.pipelinefile import pipeline_schema
from bgkit.removal import BROUGHT, with_background
from bgkit.serve.fields import JSON, Fields, picture_or_form, pictures, refusals
from bgkit.serve.intake import Intake, reading
from bgkit.serve.works import MEDIA, headers_of, perform

__all__ = ["in_browser", "router"]

router = APIRouter(prefix="/v1", tags=["native"])

FILES = ("file", *BROUGHT, "background")
RUNTIME = Path(__file__).parent / "page" / "ort" / "ort-wasm-simd-threaded.wasm"  # `make ort`
PLACE = r"^[a-z_]+(#[0-9]+)?\.[a-z_]+$"
VALUES = {
    "name": "values",
    "in": "query",
    "description": "Values of the pipeline's stages, each a field named STAGE.PARAM.",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "patternProperties": {PLACE: {"type": "string"}}, "additionalProperties": False},
}


class Common(Fields):
    """Fields of a request for one pipeline or two."""

    layer: list[Literal["result", "alpha", "mask", "trimap", "foreground", "image"]] = Field(
        ["result"], description="The layers to return; several, separated by commas, come as JSON."
    )
    format: Literal["png", "webp", "jpg", "tif", "avif", "bmp"] = Field("png", description="Of the picture.")
    background: str = Field("", description="A color, blur or none.", examples=["#ffffff", "none"])
    preview: int = Field(0, ge=0, description="Pixels to which the picture is reduced first; 0 keeps it.")
    seconds: float = Field(3600, ge=0.1, description="That the work may take, below the server's own limit.")


class One(Common):
    """Fields of a request for one pipeline."""

    pipeline: str = Field("", description="The name of a pipeline; the server's default if there is none.")
    yaml: str = Field("", description="A pipeline as YAML instead.")


class Two(Common):
    """Fields of a request for two pipelines."""

    pipeline: list[str] = Field(min_length=2, max_length=2, description="Two names.")


@router.post(
    "/remove",
    response_class=Response,
    responses={**pictures(JSON), **refusals(work=True)},
    openapi_extra={"parameters": [*One.query(), VALUES], "requestBody": picture_or_form(("file", *BROUGHT), One)},
)
async def remove(request: Request) -> Response:
    """Remove the background of a picture."""
    as_json = JSON in request.headers.get("accept", "")
    async with reading(request) as intake:
        values = _values(intake, (*FILES, "yaml"))
        fields = One.read(intake.fields)
        if len(fields.layer) > 1 and not as_json:
            raise HTTPException(422, "layer: several layers come as JSON; ask for it with Accept: application/json")
        sent = intake.content("yaml")
        text = sent.decode("utf-8", "replace") if sent is not None else fields.yaml or None
        done = await _do(request, intake, fields, fields.pipeline or request.app.state.settings.default, text, values)
    if as_json:
        return JSONResponse(await asyncio.to_thread(_told, *done, fields), headers=headers_of(*done))
    content = done[1].found["contents"][fields.layer[0]]
    return Response(content, media_type=MEDIA[fields.format], headers=headers_of(*done))


@router.post(
    "/compare",
    responses=refusals(work=True),
    openapi_extra={"parameters": Two.query(), "requestBody": picture_or_form(("file", *BROUGHT), Two)},
)
async def compare(request: Request) -> JSONResponse:
    """Run two pipelines on one picture; each answer is as that of /v1/remove. A value holds where its stage stands."""
    async with reading(request) as intake:
        values = _values(intake, FILES)
        fields = Two.read(intake.fields)
        each_its_own = []
        for name in fields.pipeline:
            there = [step.name for step in request.app.state.catalog.find(name).steps]
            own = {key: value for key, value in values.items() if key.partition(".")[0].partition("#")[0] in there}
            each_its_own.append(_do(request, intake, fields, name, None, own))
        done = await asyncio.gather(*each_its_own)
    return JSONResponse({"results": [await asyncio.to_thread(_told, *each, fields) for each in done]})


def _values(intake: Intake, files: tuple[str, ...]) -> dict[str, str]:
    """Return the values of stages; other files than those named are refused."""
    for name in intake.files:
        if name not in files:
            raise ParamError(f"{name}: no such file{did_you_mean(name, files)} (there are: {', '.join(files)})")
    given = [(name, value) for name, value in intake.fields if "." in name]
    for name, value in given:
        if value != dict(given)[name]:
            raise ParamError(f"{name}: given twice with different values")
    intake.fields = [(name, value) for name, value in intake.fields if "." not in name]
    return dict(given)


async def _do(
    request: Request, intake: Intake, fields: Common, name: str, text: str | None, values: Mapping[str, str]
) -> tuple[Pipeline, Outcome]:
    """Do what a request asks for."""
    picture, ground = intake.content("file"), intake.content("background")
    if picture is None:
        raise HTTPException(422, "expected a picture, as the body or as the file of the form's field 'file'")
    brought = {layer: intake.content(layer) or b"" for layer in BROUGHT if layer in intake.files}
    pipeline = await asyncio.to_thread(request.app.state.catalog.chain, name, text, values, fields.background)
    with ExitStack() as stack:
        behind = None if ground is None else stack.enter_context(passing_file(ground))
        chosen = with_background(pipeline, behind)
        layers, size, seconds = tuple(dict.fromkeys(fields.layer)), fields.preview, fields.seconds
        outcome = await perform(request, chosen, layers, fields.format, picture, brought, pixels=size, seconds=seconds)
    return pipeline, outcome  # a background that was sent is a file of ours for a moment only


def _told(pipeline: Pipeline, outcome: Outcome, fields: Common) -> dict[str, Any]:
    """Return what there is to say of an answer, with its layers as base64."""
    kind, sizes = MEDIA[fields.format], outcome.found["sizes"]
    layers = {
        name: {"type": kind, "size": sizes[name], "base64": base64.b64encode(content).decode()}
        for name, content in outcome.found["contents"].items()
    }
    return {**describe(pipeline, outcome), "layers": layers}


@router.get("/stages", responses=refusals())
def list_stages() -> dict[str, Any]:
    """List the stages with the JSON Schema of their parameters."""
    fields = ("summary", "doc", "gives", "needs", "uses")
    found = [stages.find(name) for name in stages.names()]
    return {info.name: {**{each: getattr(info, each) for each in fields}, "parameters": info.form()} for info in found}


@router.get("/pipelines", responses=refusals())
def list_pipelines(request: Request) -> list[dict[str, Any]]:
    """List the pipelines with their stages, values and YAML."""
    catalog = request.app.state.catalog
    return [catalog.find(name).describe() for name in catalog.names]


@router.post(
    "/check",
    responses=refusals(413, 422),
    openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}},
)
async def check(request: Request) -> dict[str, Any]:
    """Check a pipeline's YAML, the body; an error names line and column."""
    text = (await request.body()).decode("utf-8", "replace")
    pipeline = await asyncio.to_thread(request.app.state.catalog.chain, "", text, {}, "")
    return pipeline.describe()


@router.get("/models", responses=refusals())
def list_models() -> list[dict[str, Any]]:
    """List the networks: which are here, and whether their weights may be used commercially."""
    return [
        {"name": card.name, "task": card.task, "license": card.license.name, "use": card.use}
        | {name: getattr(card.file, name) for name in ("bytes", "sha256", "url")}
        | {"here": path_of(card).is_file(), "browser": in_browser(card)}
        for card in list_cards()
    ]


def in_browser(card: Card) -> dict[str, Any] | None:
    """Return what ``page/network.js`` has to know of a network; None where it or ONNX Runtime is not with the page."""
    if card.task != "mask" or path_of(card).parent != WEIGHTS or not RUNTIME.is_file():
        return None
    return {"file": card.file.name} | {
        key: getattr(card.input, key) for key in ("fixed", "mean", "deviation", "closer")
    }


@router.get("/schema", responses=refusals())
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a pipeline file, with which editors complete and check YAML."""
    return pipeline_schema()
