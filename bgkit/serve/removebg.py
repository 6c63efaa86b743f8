"""The interface of remove.bg, version 1.0, so that its clients work unchanged (docs/how-to/coming-from-removebg.md)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from contextlib import ExitStack
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from bgkit.batch.answers import OPACITY
from bgkit.dialects import removebg
from bgkit.errors import ParamError
from bgkit.files import passing_file
from bgkit.imagefile import header_size
from bgkit.pipeline import Pipeline
from bgkit.serve.fields import JSON, Fields, Refusal, form_of, pictures, refusals
from bgkit.serve.intake import Intake, fetch, reading
from bgkit.serve.works import MEDIA, headers_of, perform

__all__ = ["answer_error", "router"]

router = APIRouter(prefix="/v1.0", tags=["remove.bg"])

CREDITS = 1_000_000  # nothing is charged; clients that look want to see some

# codes of errors that have none of their own; others are invalid parameters, or internal errors
CODES = {408: "timeout", 413: "file_size_too_large", 415: "invalid_file_type", 429: "rate_limit_exceeded"}
CODES[504] = CODES[408]


class RefusedError(HTTPException):
    """An error with remove.bg's code."""

    def __init__(self, title: str, code: str) -> None:
        super().__init__(400, title)
        self.code = code


def answer_error(status: int, text: str, code: str = "", headers: Any = None) -> JSONResponse:
    """Return an error as remove.bg's clients expect it: all that a client does wrong is 400."""
    name = text.partition(":")[0]
    if status == 422 and name in Form.model_fields:
        code = f"invalid_{name}"
    code = code or CODES.get(status, "invalid_parameters" if status < 500 else "internal_error")
    status = 400 if 400 <= status < 500 and status not in (402, 405, 429) else status
    return JSONResponse({"errors": [{"title": text, "code": code}]}, status, headers)


class Error(BaseModel):
    """What is wrong."""

    title: str
    code: str


class Errors(BaseModel):
    """An error as remove.bg's; what the gate refuses is refused in bgkit's own form, but for the key."""

    errors: list[Error]


class Form(Fields):
    """The fields of remove.bg; those that it may come to have are passed over."""

    model_config = ConfigDict(extra="ignore")

    image_file_b64: str = Field("", description="The picture as base64.")
    image_url: str = Field("", description="The address of the picture, on a host that is allowed.")
    size: Literal["preview", "small", "regular", "medium", "hd", "full", "4k", "50MP", "auto"] = Field(
        "preview", description="How large the result may be."
    )
    type: Literal[
        "auto", "person", "product", "animal", "car", "car_interior", "car_part", "transportation", "graphics", "other"
    ] = Field("auto", description="What is in the picture.")
    format: Literal["auto", "png", "jpg", "webp", "zip"] = Field("auto", description="Of the result.")
    roi: str = Field("", description="Where the subject may be: x1 y1 x2 y2, px or %.")
    crop: bool = Field(False, description="Cut down to the subject.")
    crop_margin: str = Field("", description="Around a cropped subject: 1, 2 or 4 values, px or %.")
    scale: str = Field("original", description="Of the subject, 10% to 100% of the picture, or original.")
    position: str = Field("", description="original, center, or one or two percentages.")
    channels: Literal["rgba", "alpha"] = Field("rgba", description="The result, or its alpha alone.")
    add_shadow: bool = Field(False, description="Keep the subject's shadow.")
    shadow_type: Literal["auto", "none"] = Field("auto", description="Shadows are kept, none is drawn.")
    bg_color: str = Field("", description="A name, or hexadecimal.")
    bg_image_url: str = Field("", description="The address of a background, on a host that is allowed.")


@router.get("/account", responses=refusals())
async def account() -> dict[str, Any]:
    """Answer as remove.bg does; nothing is charged."""
    credits = {"total": CREDITS, "subscription": 0, "payg": CREDITS, "enterprise": 0}
    return {"data": {"attributes": {"credits": credits, "api": {"free_calls": CREDITS, "sizes": "all"}}}}


@router.post(
    "/removebg",
    response_class=Response,
    responses={
        **pictures("application/zip", JSON),
        **refusals(),
        **refusals(400, 429, 500, 503, 504, model=Errors),
        403: {"description": "Forbidden", "model": Errors | Refusal},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                **form_of(("image_file", "bg_image_file"), Form, []),
                JSON: {"schema": {"type": "object", "properties": Form.properties(), "required": ["image_file_b64"]}},
            },
        }
    },
)
async def remove(request: Request) -> Response:
    """Remove the background of a picture, with remove.bg's fields."""
    async with reading(request, texts=True) as intake:
        form = Form.read(intake.fields)
        picture = await _picture(request, intake, form)
        size = header_size(picture) or (1, 1)
        ground = await _ground(request, intake, form)
        with ExitStack() as stack:
            color = removebg.background_of(form.bg_color) if form.bg_color else "none"
            background = color if ground is None else stack.enter_context(passing_file(ground))
            pipeline = await asyncio.to_thread(_pipeline, request, form, size, background)
            opaque = background != "none" and form.channels == "rgba"
            ending = ("jpg" if opaque else "png") if form.format == "auto" else form.format
            layer = OPACITY if form.channels == "alpha" else "result"
            pixels = int(1e6 * removebg.MEGAPIXELS.get(form.size, 0))
            outcome = await perform(request, pipeline, (layer,), ending, picture, pixels=pixels)
    place = outcome.facts["place"]
    if not place["found"]:
        raise RefusedError("Could not identify foreground in image", "unknown_foreground")
    content, (rows, cols) = outcome.found["contents"][layer], outcome.found["sizes"][layer]
    crew = request.app.state.crew
    headers = {
        **headers_of(pipeline, outcome),
        "X-Type": form.type.replace("auto", "other"),
        "X-Width": str(cols),
        "X-Height": str(rows),
        "X-Max-Width": str(size[1]),
        "X-Max-Height": str(size[0]),
        **{f"X-Foreground-{name.title()}": str(place[name]) for name in ("top", "left", "width", "height")},
        "X-Credits-Charged": "0",
        "X-RateLimit-Limit": str(crew.limit + crew.workers),
        "X-RateLimit-Remaining": str(max(0, crew.limit + crew.workers - crew.busy - crew.queued)),
        "X-RateLimit-Reset": str(int(time.time()) + 2),
    }
    if JSON in request.headers.get("accept", ""):
        box = {f"foreground_{name}": place[name] for name in ("top", "left", "width", "height")}
        result = await asyncio.to_thread(base64.b64encode, content)
        return JSONResponse({"data": {"result_b64": result.decode(), **box}}, headers=headers)
    return Response(content, media_type=MEDIA.get(ending, "application/zip"), headers=headers)


async def _picture(request: Request, intake: Intake, form: Form) -> bytes:
    """Return the one picture that was sent, or fetched."""
    sent = intake.content("image_file")
    given = sum((sent is not None, bool(form.image_file_b64), bool(form.image_url)))
    if not given:
        raise RefusedError("No image given", "missing_source")
    if given > 1:
        raise RefusedError("Multiple image sources given", "multiple_sources")
    if form.image_url:
        return await fetch(request, form.image_url)
    if sent is not None:
        return sent
    try:
        return base64.b64decode(form.image_file_b64.rpartition("base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("image_file_b64: not base64", "invalid_file_type") from None


async def _ground(request: Request, intake: Intake, form: Form) -> bytes | None:
    """Return the background picture that was sent, or that is at a URL; there may be one background only."""
    sent = intake.content("bg_image_file")
    if sum((sent is not None, bool(form.bg_image_url), bool(form.bg_color))) > 1:
        raise ParamError("bg_color: expected one background: a color, a file or a URL")
    return await fetch(request, form.bg_image_url) if form.bg_image_url else sent


def _pipeline(request: Request, form: Form, size: tuple[int, int], background: str) -> Pipeline:
    """Return the pipeline for these fields: the subject as the operator's pipeline finds it, then placed."""
    state = request.app.state
    base = state.catalog.find("portrait" if form.type == "person" else state.settings.default)
    placed = form.model_dump(include={"roi", "crop", "crop_margin", "scale", "position", "add_shadow"})
    return removebg.pipeline_of(base, size=size, background=background, **placed)
