"""The interface of ``rembg s``: ``/api/remove``, for its clients as they are (docs/how-to/coming-from-rembg.md)."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from bgkit.errors import ParamError
from bgkit.models import list_cards
from bgkit.models.store import path_of
from bgkit.pipeline import Pipeline
from bgkit.serve import spec
from bgkit.serve.catalog import build
from bgkit.serve.fetching import fetch
from bgkit.serve.intake import Intake, read_request, size_of
from bgkit.serve.native import describe, headers_of
from bgkit.serve.works import make_work, perform

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["rembg"])

DEFAULT = "u2net"  # what rembg's clients send when they do not choose
EMBEDDED = "coarse"
YES, NO = ("1", "true", "yes", "on", "y", "t"), ("0", "false", "no", "off", "n", "f", "")


FIELDS = (
    spec.field("model", "A network that is here, or a pipeline."),
    spec.field("a", "Alpha matting.", type="boolean"),
    spec.field("af", "Foreground threshold of the matting's trimap.", type="integer", minimum=0, maximum=255),
    spec.field("ab", "Background threshold of the matting's trimap.", type="integer", minimum=0, maximum=255),
    spec.field("ae", "Erosion of the matting's trimap, px.", type="integer", minimum=0, maximum=255),
    spec.field("om", "Return the mask alone.", type="boolean"),
    spec.field("ppm", "Clean the mask: no specks, no holes.", type="boolean"),
    spec.field("bgc", "Background color, R,G,B,A.", examples=["255,255,255,255"]),
    spec.field("extras", "For networks that take more, as JSON; none here does."),
)
ANSWERS = {200: {"description": "The picture.", "content": {"image/png": {}}}, **spec.refusals(work=True)}


@router.post(
    "/remove",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra={
        "parameters": list(FIELDS),
        "requestBody": {"required": True, "content": spec.form(["file"], FIELDS, ["file"])},
    },
)
async def remove(request: Request) -> Response:
    """Remove the background of a picture, with rembg's fields."""
    intake = await read_request(request, request.app.state.settings.upload_seconds)
    try:
        return await _answer(request, intake, intake.content("file"))
    finally:
        intake.close()


@router.get(
    "/remove",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra={"parameters": [{**spec.field("url", "Of the picture."), "required": True}, *FIELDS]},
)
async def remove_from_url(request: Request) -> Response:
    """The same for a picture at a URL, on a host that the operator named."""
    intake = Intake(list(request.query_params.multi_items()))
    if not intake.one("url"):
        raise HTTPException(422, "url: expected the address of a picture")
    return await _answer(request, intake, await fetch(request, intake.one("url")))


async def _answer(request: Request, intake: Intake, picture: bytes | None) -> Response:
    state = request.app.state
    if picture is None:
        raise HTTPException(422, "file: expected a picture")
    known = [each["name"] for each in FIELDS] + ["url"]
    unknown = [name for name, _ in intake.fields if name not in known]
    if unknown:
        raise HTTPException(422, f"{unknown[0]}: no such field (there are: file, {', '.join(known)})")
    mask_only = _flag(intake, "om")
    pipeline = await asyncio.to_thread(_chain, state, intake, size_of(picture))
    layer = "alpha" if mask_only else "result"
    work = make_work(pipeline, (layer,), "png", {}, 0)
    outcome = await perform(request, state.crew, work, picture, {}, state.settings.seconds)
    headers = headers_of(describe(pipeline, outcome))
    return Response(outcome.found["contents"][layer], media_type="image/png", headers=headers)


def _chain(state: Any, intake: Intake, size: tuple[int, int]) -> Pipeline:
    """Return the pipeline that the fields ask for: one by name, or what rembg does, with a network by name."""
    model = intake.one("model") or DEFAULT
    matting, cleaned = _flag(intake, "a"), _flag(intake, "ppm")
    _check_extras(intake.one("extras"), model)
    background = _background(intake.one("bgc"))
    sure, empty, eroded = (_whole(intake, name, usual) for name, usual in (("af", 240), ("ab", 10), ("ae", 10)))
    if model in state.catalog.names:
        if matting or cleaned:
            raise ParamError(f"a, ppm: the pipeline {model!r} has stages of its own; leave them out, or name a network")
        return state.catalog.chain(model, values=None, background=background)
    here = [card.name for card in list_cards() if card.task == "mask" and path_of(card).is_file()]
    network = EMBEDDED if model == DEFAULT and model not in here else model
    if network not in here:
        raise ParamError(
            f"model: expected one of the networks that are here ({', '.join(here)}) or a pipeline "
            f"({', '.join(state.catalog.names)}), got {model!r}"
        )
    steps: list[tuple[str, dict[str, Any]]] = [("cnn_mask", {"model": network})]
    if cleaned:
        steps += [("opening", {}), ("fill_holes", {}), ("remove_small", {})]
    if matting:
        erosion = 1000 * eroded / 2 / math.hypot(*size)  # rembg's is the side of a square
        trimap = {"foreground": sure / 255, "background": empty / 255, "erosion": min(erosion, 200.0)}
        steps += [("threshold_trimap", trimap), ("closed_form_matting", {})]
    else:
        steps += [("guided_upsample", {})]
    return build(
        f"rembg-{network}", [*steps, ("estimate_foreground", {}), ("composite", {"background": background or "none"})]
    )


def _flag(intake: Intake, name: str) -> bool:
    text = intake.one(name).lower()
    if text not in (*YES, *NO):
        raise HTTPException(422, f"{name}: expected true or false, got {text!r}")
    return text in YES


def _whole(intake: Intake, name: str, default: int) -> int:
    text = intake.one(name)
    if text and not (text.isascii() and text.isdecimal() and int(text) <= 255):
        raise ParamError(f"{name}: expected a whole number in 0..255, got {text!r}")
    return int(text) if text else default


def _background(text: str) -> str:
    """Return a color of rembg's, "R,G,B,A", in our words."""
    if not text:
        return ""
    numbers = [int(part) for part in text.split(",") if part.strip().isdecimal() and int(part) <= 255]
    if len(numbers) != len(text.split(",")) or len(numbers) not in (3, 4):
        raise ParamError(f"bgc: expected R,G,B,A, each 0..255, got {text!r}")
    opacity = numbers[3] if len(numbers) == 4 else 255
    if 0 < opacity < 255:
        raise ParamError(
            f"bgc: expected an opacity of 0 or 255, got {opacity}: a background that is half clear is none"
        )
    return "#" + bytes(numbers[:3]).hex() if opacity else "none"


def _check_extras(text: str, model: str) -> None:
    try:
        extras = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        raise ParamError("extras: expected a JSON object") from None
    if not isinstance(extras, dict):
        raise ParamError("extras: expected a JSON object")
    if extras:
        raise ParamError(
            f"extras: the network {model!r} takes none; points and boxes are for SAM, which bgkit does not run"
        )
