"""The fields of requests, declared once: read, checked, and described in OpenAPI with the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Self, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from bgkit.errors import ParamError, did_you_mean
from bgkit.serve.works import MEDIA

__all__ = ["JSON", "Fields", "Refusal", "form_of", "picture_or_form", "pictures", "refusals"]

JSON = "application/json"
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/tiff", "image/bmp", "image/avif")
BINARY = {"type": "string", "format": "binary"}
EVERYWHERE = (401, 403, 421)
WORK = (400, 404, 408, 409, 413, 415, 422, 429, 500, 501, 503, 504)


class Fields(BaseModel):
    """Fields of a query, a form or a JSON object; one that is empty counts as not given."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    @classmethod
    def read(cls, given: Iterable[tuple[str, Any]]) -> Self:
        """Return the fields, checked.

        Raises
        ------
        ParamError
            If one is unknown, wrong, or given twice with different values.
        """
        found: dict[str, list[Any]] = {}
        for name, value in given:
            found.setdefault(name, []).append(value)
        values: dict[str, Any] = {}
        for name, every in found.items():
            declared = cls.model_fields.get(name)
            listed = declared is not None and get_origin(declared.annotation) is list
            several = [value for value in every if value not in ("", None) or (listed and len(every) > 1)]
            if listed and several:
                values[name] = [word.strip() for text in several for word in str(text).split(",")]
            elif any(value != several[0] for value in several):
                raise ParamError(f"{name}: given {len(several)} times with different values")
            elif several:
                values[name] = several[0]
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
        if not first["loc"]:  # of JSON: half of a character, as "\\ud800"
            raise ParamError("a field's name is no text that Unicode knows")
        name = _shown(str(first["loc"][0]))
        if first["type"] == "extra_forbidden":
            known = list(cls.model_fields)
            raise ParamError(f"{name}: no such field{did_you_mean(name, known)} (there are: {', '.join(known)})")
        expected = _expected(cls.properties()[name]) or first["msg"]
        raise ParamError(f"{name}: expected {expected}, got {str(first['input'])[:40]!r}")

    @classmethod
    def properties(cls) -> dict[str, dict[str, Any]]:
        """Return the JSON Schema of each field."""
        found: dict[str, dict[str, Any]] = cls.model_json_schema()["properties"]
        for each in found.values():
            del each["title"]
        return found

    @classmethod
    def query(cls, *required: str) -> list[dict[str, Any]]:
        """Return the fields as OpenAPI's parameters of a query."""
        return [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in cls.properties().items()
        ]


def _shown(name: str) -> str:
    """Return a field's name for an error: in one line of at most 40 characters."""
    return name[:40] if name[:40].isprintable() else ascii(name[:40])


def _expected(schema: Mapping[str, Any]) -> str:
    """Return in words what a field may be."""
    if "minItems" in schema:
        return f"{schema['minItems']} values"
    schema = schema.get("items", schema)
    if "enum" in schema:
        return " or ".join(schema["enum"])
    kinds = {"boolean": "true or false", "integer": "a whole number", "number": "a number"}
    kind = kinds.get(schema.get("type", ""), "")
    if "maximum" in schema:
        return f"{kind} in {schema['minimum']:g}..{schema['maximum']:g}"
    return f"{kind} from {schema['minimum']:g}" if "minimum" in schema else kind


class Refusal(BaseModel):
    """An error; of a pipeline's YAML with its place."""

    detail: str
    line: int = 0
    column: int = 0


def refusals(*statuses: int, work: bool = False, model: type[BaseModel] = Refusal) -> dict[int | str, dict[str, Any]]:
    """Return the answers other than 200 that an operation may give."""
    given = sorted({*EVERYWHERE, *statuses, *(WORK if work else ())})
    return {number: {"description": HTTPStatus(number).phrase, "model": model} for number in given}


def pictures(*more: str) -> dict[int | str, dict[str, Any]]:
    """Return the answer 200 of an operation that gives a picture, or something else if asked for."""
    return {200: {"description": "The picture.", "content": {kind: {} for kind in (*MEDIA.values(), *more)}}}


def form_of(files: Iterable[str], model: type[Fields], required: Iterable[str]) -> dict[str, Any]:
    """Return a multipart form of picture files and the same fields that a query may hold."""
    properties = model.properties() | dict.fromkeys(files, BINARY)
    schema = {"type": "object", "properties": properties, "required": list(required)}
    encoding = {name: {"contentType": ", ".join(PICTURES)} for name in files}
    return {"multipart/form-data": {"schema": schema, "encoding": encoding}}


def picture_or_form(files: Iterable[str], model: type[Fields]) -> dict[str, Any]:
    """Return a body that is a picture, or a form whose ``file`` is one."""
    bodies = {kind: {"schema": BINARY} for kind in PICTURES[:3]}
    return {"required": True, "content": {**bodies, **form_of(files, model, ["file"])}}
