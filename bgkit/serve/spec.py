"""What OpenAPI says of requests whose bodies FastAPI cannot read from a signature: pictures in forms and as bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bgkit.serve.works import MEDIA

__all__ = ["JSON", "PICTURES", "field", "form", "picture_or_form", "refusals"]

JSON = "application/json"
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/tiff", "image/bmp", "image/avif")
BINARY = {"type": "string", "format": "binary"}
ERROR = {
    "type": "object",
    "properties": {"detail": {"type": "string"}, "line": {"type": "integer"}, "column": {"type": "integer"}},
    "required": ["detail"],
}
MEANINGS = {
    400: "The form is broken, or has too many parts.",
    401: "No key, or a wrong one.",
    403: "Sent by a page of another origin, or for a picture on a host that is not allowed.",
    404: "There is no such thing.",
    408: "The upload took too long, or the work longer than the request allowed.",
    409: "The fields do not go together: the pipeline needs a layer that was not sent, or makes none of that name.",
    413: "Too many bytes or pixels.",
    415: "Not a picture.",
    421: "Sent to a name that is not this server's.",
    422: "A wrong field or value, or a picture that is damaged.",
    429: "The queue is full; Retry-After says when to try again.",
    500: "An internal error, or a worker died.",
    501: "An optional part is not installed.",
    503: "A network is not here, the server is ending, or it takes no pictures.",
    504: "The work took too long.",
}
EVERYWHERE = (401, 403, 421)
WORK = (400, 404, 408, 409, 413, 415, 422, 429, 500, 501, 503, 504)


def refusals(*statuses: int, work: bool = False, schema: Mapping[str, Any] = ERROR) -> dict[int | str, dict[str, Any]]:
    """Return the answers other than 200 that an operation may give."""
    given = sorted({*EVERYWHERE, *statuses, *(WORK if work else ())})
    return {number: {"description": MEANINGS[number], "content": {JSON: {"schema": schema}}} for number in given}


def pictures(**more: Any) -> dict[int | str, dict[str, Any]]:
    """Return the answer 200 of an operation that gives a picture."""
    return {200: {"description": "The picture.", "content": {**{kind: {} for kind in MEDIA.values()}, **more}}}


def field(name: str, text: str, **schema: Any) -> dict[str, Any]:
    """Return a query parameter, text if nothing else is said."""
    return {"name": name, "in": "query", "description": text, "schema": {"type": "string", **schema}}


def form(files: Iterable[str], fields: Iterable[Mapping[str, Any]], required: Iterable[str]) -> dict[str, Any]:
    """Return a multipart form of picture files and the same fields that a query may hold."""
    properties = dict.fromkeys(files, BINARY) | {
        each["name"]: {**each["schema"], "description": each["description"]} for each in fields if "style" not in each
    }
    schema = {"type": "object", "properties": properties, "required": list(required)}
    encoding = {name: {"contentType": ", ".join(PICTURES)} for name in files}
    return {"multipart/form-data": {"schema": schema, "encoding": encoding}}


def picture_or_form(files: Iterable[str], fields: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a body that is a picture, or a form whose ``file`` is one."""
    bodies = {kind: {"schema": BINARY} for kind in PICTURES[:3]}
    return {"required": True, "content": {**bodies, **form(files, fields, ["file"])}}
