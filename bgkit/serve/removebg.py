"""The interface of remove.bg, version 1.0, so that its clients work unchanged (docs/how-to/coming-from-removebg.md)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from bgkit.batch.answers import OPACITY
from bgkit.color import parse_color
from bgkit.pipeline import Pipeline
from bgkit.serve import spec
from bgkit.serve.catalog import build
from bgkit.serve.fetching import fetch
from bgkit.serve.intake import Intake, lying, read_request, size_of
from bgkit.serve.native import describe, headers_of
from bgkit.serve.works import MEDIA, make_work, perform

__all__ = ["answer_error", "router"]

router = APIRouter(prefix="/v1.0", tags=["remove.bg"])

MEGAPIXELS = {
    "preview": 0.25, "small": 0.25, "regular": 0.25, "medium": 1.5, "hd": 4.0,
    "full": None, "4k": None, "50MP": None, "auto": None,
}  # fmt: skip
TYPES = (
    "auto",
    "person",
    "product",
    "animal",
    "car",
    "car_interior",
    "car_part",
    "transportation",
    "graphics",
    "other",
)
FORMATS = ("auto", "png", "jpg", "webp", "zip")
CREDITS = 1_000_000  # nothing is charged; clients that look want to see some

# status -> title and code of an error that has none of its own
TITLES = {
    400: ("Invalid parameters", "invalid_parameters"),
    408: ("Upload took too long", "timeout"),
    413: ("File too large", "file_size_too_large"),
    415: ("Not a picture", "invalid_file_type"),
    429: ("Rate limit exceeded", "rate_limit_exceeded"),
    504: ("Processing took too long", "timeout"),
}


class RefusedError(HTTPException):
    """An error with remove.bg's code."""

    def __init__(self, title: str, code: str, status: int = 400) -> None:
        super().__init__(status, title)
        self.code = code


def answer_error(status: int, text: str, code: str = "", headers: Any = None) -> JSONResponse:
    """Return an error as remove.bg's clients expect it: all that a client does wrong is 400."""
    title, usual = TITLES.get(status, TITLES[400] if status < 500 else ("Internal error", "internal_error"))
    error = {"title": text, "code": code} if code else {"title": title, "code": usual, "detail": text}
    status = 400 if 400 <= status < 500 and status not in (402, 405, 429) else status
    return JSONResponse({"errors": [error]}, status, {"Retry-After": "2"} if status == 429 else headers)


ERRORS = {
    "type": "object",
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["title", "code"],
            },
        }
    },
    "required": ["errors"],
}
FIELDS = (
    spec.field("image_file_b64", "The picture as base64."),
    spec.field("image_url", "The address of the picture, on a host that is allowed."),
    spec.field("size", "How large the result may be.", enum=list(MEGAPIXELS)),
    spec.field("type", "What is in the picture.", enum=list(TYPES)),
    spec.field("format", "Of the result.", enum=list(FORMATS)),
    spec.field("roi", "Where the subject may be: x1 y1 x2 y2, px or %."),
    spec.field("crop", "Cut down to the subject.", type="boolean"),
    spec.field("crop_margin", "Around a cropped subject: 1, 2 or 4 values, px or %."),
    spec.field("scale", "Of the subject, 10% to 100% of the picture, or original."),
    spec.field("position", "original, center, or one or two percentages."),
    spec.field("channels", "The result, or its alpha alone.", enum=["rgba", "alpha"]),
    spec.field("add_shadow", "Keep the subject's shadow.", type="boolean"),
    spec.field("bg_color", "A name, or hexadecimal."),
    spec.field("bg_image_url", "The address of a background, on a host that is allowed."),
)
FILES = ("image_file", "bg_image_file")
REFUSALS = {
    status: {"description": spec.MEANINGS[status], "content": {spec.JSON: {"schema": ERRORS}}}
    for status in (400, 403, 429, 500, 503, 504)
} | spec.refusals()  # what the gate refuses is refused in bgkit's own form, but for the key


@router.get("/account", responses=spec.refusals())
async def account() -> dict[str, Any]:
    """Answer as remove.bg does; nothing is charged."""
    credits = {"total": CREDITS, "subscription": 0, "payg": CREDITS, "enterprise": 0}
    return {"data": {"attributes": {"credits": credits, "api": {"free_calls": CREDITS, "sizes": "all"}}}}


@router.post(
    "/removebg",
    response_class=Response,
    responses={
        **spec.pictures(**{"application/zip": {}, spec.JSON: {"schema": {"type": "object"}}}),
        **REFUSALS,
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                **spec.form(FILES, FIELDS, []),
                spec.JSON: {
                    "schema": {
                        "type": "object",
                        "properties": {each["name"]: each["schema"] for each in FIELDS},
                        "required": ["image_file_b64"],
                    }
                },
            },
        }
    },
)
async def remove(request: Request) -> Response:
    """Remove the background of a picture, with remove.bg's fields."""
    state = request.app.state
    intake = await read_request(request, state.settings.upload_seconds, texts=True)
    try:
        if intake.json is not None:
            intake.fields += [(name, _as_field(value)) for name, value in intake.json.items() if value is not None]
        picture = await _picture(request, intake)
        size = size_of(picture)
        form, shown = intake.one("format", "auto"), intake.one("channels", "rgba")
        _one_of("format", form, FORMATS)
        _one_of("channels", shown, ("rgba", "alpha"))
        with ExitStack() as stack:
            pipeline = await asyncio.to_thread(_chain, request, intake, size, stack, await _ground(request, intake))
            opaque = pipeline.steps[-2].values["background"] != "none"
            ending = ("jpg" if opaque else "png") if form == "auto" else form
            if shown == "alpha":
                ending = "png" if ending == "jpg" and form == "auto" else ending
            most = MEGAPIXELS[_one_of("size", intake.one("size", "preview"), tuple(MEGAPIXELS))]
            layer = OPACITY if shown == "alpha" else "result"
            work = make_work(pipeline, (layer,), ending, {}, int(1e6 * (most or 0)))
            outcome = await perform(request, state.crew, work, picture, {}, state.settings.seconds)
    finally:
        intake.close()
    place = outcome.facts["place"]
    if not place["found"]:
        raise RefusedError("Could not identify foreground in image", "unknown_foreground")
    content = outcome.found["contents"][layer]
    rows, cols = outcome.found["sizes"][layer]
    headers = {
        **headers_of(describe(pipeline, outcome)),
        "X-Type": intake.one("type", "auto").replace("auto", "other"),
        "X-Width": str(cols),
        "X-Height": str(rows),
        "X-Max-Width": str(size[1]),
        "X-Max-Height": str(size[0]),
        **{f"X-Foreground-{name.title()}": str(place[name]) for name in ("top", "left", "width", "height")},
        "X-Credits-Charged": "0",
        **_limits(state),
    }
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(await asyncio.to_thread(_as_json, content, place), headers=headers)
    media = "application/zip" if ending == "zip" else MEDIA[ending]
    return Response(content, media_type=media, headers=headers)


def _chain(request: Request, intake: Intake, size: tuple[int, int], stack: ExitStack, ground: bytes | None) -> Pipeline:
    """Return the pipeline for these fields: the subject as the operator's pipeline finds it, then placed."""
    catalog, settings = request.app.state.catalog, request.app.state.settings
    kind = _one_of("type", intake.one("type", "auto"), TYPES)
    base = catalog.find("portrait" if kind == "person" else settings.default)
    steps: list[tuple[str, Any]] = [
        (step.name, dict(step.values)) for step in base.steps if step.stage.gives != "result"
    ]
    if intake.one("roi"):
        steps.append(("region", _region(intake.one("roi"), size)))
    color = intake.one("bg_color")
    background = _color(color) if color else "none"
    if ground is not None:
        if color:
            raise RefusedError("bg_color and a background picture were given; expected one", "invalid_bg_color")
        background = stack.enter_context(lying(ground))
    if "bg_image_file" in intake.files and background == "none":
        background = stack.enter_context(lying(intake.content("bg_image_file") or b""))
    shadow = "keep" if _flag(intake, "add_shadow") else "drop"
    if _one_of("shadow_type", intake.one("shadow_type", "auto"), ("auto", "none", "drop", "car", "3D")) not in (
        "auto",
        "none",
    ):
        raise RefusedError("shadow_type: shadows are kept, not drawn; leave it out", "invalid_shadow_type")
    values = {"background": background, "shadow": shadow}
    placed = _placement(intake, size) | {"color": background if parse_color(background) else "white"}
    return build(f"removebg-{base.name}", [*steps, ("composite", values), ("place", placed)])


async def _picture(request: Request, intake: Intake) -> bytes:
    """Return the one picture that was sent, or fetched."""
    names = ("image_file", "image_file_b64", "image_url")
    given = [name for name in names if name in intake.files or intake.one(name)]
    if not given:
        raise RefusedError("No image given", "missing_source")
    if len(given) > 1:
        raise RefusedError("Multiple image sources given", "multiple_sources")
    if given == ["image_url"]:
        return await fetch(request, intake.one("image_url"))
    if given == ["image_file"]:
        return intake.content("image_file") or b""
    return _decoded("image_file_b64", intake.one("image_file_b64"))


async def _ground(request: Request, intake: Intake) -> bytes | None:
    """Return the background picture that is at a URL."""
    url = intake.one("bg_image_url")
    return await fetch(request, url) if url else None


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text.rpartition("base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(f"{name}: not base64", "invalid_file_type") from None


def _as_field(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise RefusedError(f"{name}: expected {' or '.join(known)}, got {value[:40]!r}", f"invalid_{name}")
    return value


def _flag(intake: Intake, name: str) -> bool:
    return _one_of(name, intake.one(name, "false").lower(), ("true", "false", "1", "0")) in ("true", "1")


def _color(text: str) -> str:
    """Return a color as bgkit knows it: remove.bg takes hexadecimal without the sign, too."""
    text = text if text.startswith("#") or parse_color(text) else "#" + text
    if len(text) in (5, 9) and text[-1] + text[-2] == "00":
        return "none"
    text = text[:7] if len(text) == 9 and text.lower().endswith("ff") else text
    if parse_color(text) is None:
        raise RefusedError(
            f"bg_color: expected a name, or hexadecimal as 81d4fa, got {text[:40]!r}", "invalid_bg_color"
        )
    return text


def _lengths(name: str, text: str, sides: tuple[int, ...]) -> list[tuple[float, bool]]:
    """Return shares, of ``sides`` where a number is in px, and for each whether it was in percent."""
    found = []
    parts = text.replace(",", " ").split()
    for part in parts:
        match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,4})?)(px|%)?", part)
        if not match:
            raise RefusedError(f"{name}: expected numbers in px or %, got {text[:40]!r}", f"invalid_{name}")
        found.append((float(match[1]), match[2] == "%"))
    return [
        (value / 100 if percent else value / side, percent)
        for (value, percent), side in zip(found, sides * 4, strict=False)
    ]


def _region(text: str, size: tuple[int, int]) -> dict[str, float]:
    edges = [min(share, 1.0) for share, _ in _lengths("roi", text, (size[1], size[0]))]
    if len(text.split()) != 4 or edges[0] >= edges[2] or edges[1] >= edges[3]:
        raise RefusedError(f"roi: expected x1 y1 x2 y2 with x1 < x2 and y1 < y2, got {text[:40]!r}", "invalid_roi")
    return dict(zip(("left", "top", "right", "bottom"), edges, strict=True))


def _placement(intake: Intake, size: tuple[int, int]) -> dict[str, Any]:
    """Return the values of the stage ``place``."""
    values: dict[str, Any] = {"crop": _flag(intake, "crop")}
    if intake.one("crop_margin"):
        found = _lengths("crop_margin", intake.one("crop_margin"), size)
        if len(found) not in (1, 2, 4):
            raise RefusedError("crop_margin: expected 1, 2 or 4 values", "invalid_crop_margin")
        if len(found) == 1:  # one number in px is as many rows as columns
            share, percent = found[0]
            found = [(share, percent), (share if percent else share * size[0] / size[1], percent)]
        above, right, below, left = found if len(found) == 4 else (*found, *found)
        four = (above, right, below, left)
        if any(share > 0.5 for share, _ in four):
            raise RefusedError(
                "crop_margin: expected at most 50% of the subject, or half the picture", "invalid_crop_margin"
            )
        values["margin"] = tuple(share if percent else 0.0 for share, percent in four)
        values["border"] = tuple(0.0 if percent else share for share, percent in four)
    scale, position = intake.one("scale", "original"), intake.one("position")
    if scale != "original":
        ((share, percent),) = _lengths("scale", scale, (1,))[:1] or [(0.0, False)]
        if not percent or not 0.1 <= share <= 1:
            raise RefusedError(f"scale: expected 10% to 100%, or original, got {scale[:40]!r}", "invalid_scale")
        values |= {"scale": share, "position": "given"}
    if position == "original":
        values["position"] = "original"
    elif position and position != "center":
        shares = [share for share, percent in _lengths("position", position, (1,)) if percent and share <= 1]
        if len(shares) not in (1, 2) or len(shares) != len(position.replace(",", " ").split()):
            raise RefusedError("position: expected original, center, or one or two percentages", "invalid_position")
        values |= {"position": "given", "col": shares[0], "row": shares[-1]}
    elif position == "center":
        values["position"] = "given"
    return values


def _limits(state: Any) -> dict[str, str]:
    crew = state.crew
    room = max(0, crew.limit + crew.workers - crew.busy - crew.queued)
    return {
        "X-RateLimit-Limit": str(crew.limit + crew.workers),
        "X-RateLimit-Remaining": str(room),
        "X-RateLimit-Reset": str(int(time.time()) + 2),
    }


def _as_json(content: bytes, place: dict[str, Any]) -> dict[str, Any]:
    box = {f"foreground_{name}": place[name] for name in ("top", "left", "width", "height")}
    return {"data": {"result_b64": base64.b64encode(content).decode(), **box}}
