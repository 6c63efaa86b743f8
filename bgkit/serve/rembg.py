"""The interface of ``rembg s``: ``/api/remove``, for its clients as they are (docs/how-to/coming-from-rembg.md)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import Field, Json

from bgkit.dialects import rembg
from bgkit.errors import ParamError
from bgkit.imagefile import header_size
from bgkit.pipeline import Pipeline
from bgkit.serve.fields import Fields, form_of, refusals
from bgkit.serve.intake import fetch, reading
from bgkit.serve.works import Catalog, headers_of, perform

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["rembg"])


class Form(Fields):
    """The fields of rembg."""

    model: str = Field(rembg.DEFAULT, description="A network that is here, or a pipeline.")
    a: bool = Field(False, description="Alpha matting.")
    af: int = Field(240, ge=0, le=255, description="Foreground threshold of the matting's trimap.")
    ab: int = Field(10, ge=0, le=255, description="Background threshold of the matting's trimap.")
    ae: int = Field(10, ge=0, le=255, description="Erosion of the matting's trimap, px.")
    om: bool = Field(False, description="Return the mask alone.")
    ppm: bool = Field(False, description="Clean the mask: no specks, no holes.")
    dc: bool = Field(True, description="Estimate the subject's own colors at soft edges.")
    vm: bool = Field(False, description="Matting by ViTMatte, if it is here.")
    bgc: str = Field("", description="Background color, R,G,B,A.", examples=["255,255,255,255"])
    extras: Json[dict[str, Any]] = Field({}, description="For networks that take more; none here does.")


class Query(Form):
    """The same for a picture elsewhere."""

    url: str = Field(min_length=1, description="Of the picture.")


ANSWERS = {200: {"description": "The picture.", "content": {"image/png": {}}}, **refusals(work=True)}


@router.post(
    "/remove",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra={
        "parameters": Form.query(),
        "requestBody": {"required": True, "content": form_of(["file"], Form, ["file"])},
    },
)
async def remove(request: Request) -> Response:
    """Remove the background of a picture, with rembg's fields."""
    async with reading(request) as intake:
        picture = intake.content("file")
        if picture is None:
            raise HTTPException(422, "file: expected a picture")
        return await _answer(request, Form.read(intake.fields), picture)


@router.get("/remove", response_class=Response, responses=ANSWERS, openapi_extra={"parameters": Query.query("url")})
async def remove_from_url(request: Request) -> Response:
    """The same for a picture at a URL, on a host that the operator named."""
    form = Query.read(request.query_params.multi_items())
    return await _answer(request, form, await fetch(request, form.url))


async def _answer(request: Request, form: Form, picture: bytes) -> Response:
    pipeline = await asyncio.to_thread(_pipeline, request.app.state.catalog, form, header_size(picture) or (1, 1))
    layer = "alpha" if form.om else "result"
    outcome = await perform(request, pipeline, (layer,), "png", picture)
    return Response(outcome.found["contents"][layer], media_type="image/png", headers=headers_of(pipeline, outcome))


def _pipeline(catalog: Catalog, form: Form, size: tuple[int, int]) -> Pipeline:
    """Return the pipeline that the fields ask for: one by name, or what rembg does, with a network by name."""
    if form.extras:
        raise ParamError("extras: expected none; points and boxes are for SAM, which bgkit does not run")
    color = rembg.background_of(form.bgc) if form.bgc else ""
    if form.model not in catalog.names:
        asked = form.model_dump(exclude={"om", "bgc", "extras", "url"})
        return rembg.pipeline_of(**asked, size=size, color=color or "none")
    if form.a or form.vm or form.ppm or not form.dc:
        raise ParamError(f"a, vm, ppm, dc: {form.model!r} has stages of its own; leave them out, or name a network")
    return catalog.chain(form.model, None, {}, color)
