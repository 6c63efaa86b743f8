"""How a request's picture and fields come in: as a form, as JSON, or with the picture as the body.

Uploads rest in temporary files without a name until a worker is free for them, so slow clients cost neither memory
nor a worker. What a client calls its files is never looked at.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

__all__ = ["FILES", "Intake", "read_request"]

FILES, FIELDS, FIELD_BYTES = 8, 200, 1 << 20  # of one form
MEMORY = 1 << 20  # bytes of an upload that stay in memory
MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"


@dataclass
class Intake:
    """What a request brought: texts by name in the order they came, and files by the names of their fields."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, IO[bytes]] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a field."""
        return next((value for key, value in reversed(self.fields) if key == name), default)

    def content(self, name: str) -> bytes | None:
        """Return a file's bytes."""
        if name not in self.files:
            return None
        self.files[name].seek(0)
        return self.files[name].read()

    def close(self) -> None:
        """Let the temporary files go."""
        for file in self.files.values():
            file.close()


async def read_request(request: Request, seconds: float, *, urlencoded: bool = False) -> Intake:
    """Read all of a request; a picture that is the body itself becomes the file ``file``.

    A body that calls itself URL-encoded is a picture too, unless ``urlencoded`` forms are expected: curl's
    ``--data-binary`` says so of everything.

    Raises
    ------
    HTTPException
        408 if it takes too long, 400 if a form is broken or has too many parts, 422 if a file comes twice.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, (MULTIPART, URLENCODED) if urlencoded else (MULTIPART,))
    except TimeoutError:
        raise HTTPException(408, f"the upload took longer than {seconds:g} s") from None


async def _read(request: Request, forms: tuple[str, ...]) -> Intake:
    intake = Intake(list(request.query_params.multi_items()))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in forms:
        await _read_form(request, intake)
    elif kind == "application/json":
        intake.json = _mapping(await request.body())
    else:
        file = tempfile.SpooledTemporaryFile(MEMORY)  # noqa: SIM115 - the Intake closes it
        intake.files["file"] = file
        async for chunk in request.stream():
            if len(chunk) + file.tell() > MEMORY:
                await asyncio.to_thread(file.write, chunk)
            else:
                file.write(chunk)
        if not file.tell():
            del intake.files["file"]
    return intake


async def _read_form(request: Request, intake: Intake) -> None:
    try:
        form = await request.form(max_files=FILES, max_fields=FIELDS, max_part_size=FIELD_BYTES)
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    for name, value in form.multi_items():
        if isinstance(value, str):
            intake.fields.append((name, value))
        elif isinstance(value, UploadFile):
            if name in intake.files:
                raise HTTPException(422, f"{name}: expected one file, got several")
            intake.files[name] = value.file


def _mapping(text: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise HTTPException(422, "expected a JSON object")
    return value
