"""How a request's picture and fields come in: as a form, as JSON, or with the picture as the body.

Uploads rest in temporary files without a name until a worker is free for them, so slow clients cost neither memory
nor a worker. What a client calls its files is never looked at.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from bgkit.imagefile import header_size

__all__ = ["Intake", "lying", "read_request", "size_of"]

FILES, FIELDS, FIELD_BYTES = 9, 100, 1 << 16  # of one form
MEMORY = 1 << 20  # bytes of an upload that stay in memory
HELD = 256_000_000  # bytes of pictures that come inside JSON or a form's text, all requests together
MULTIPART, URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"


@dataclass
class Intake:
    """What a request brought: texts by name in the order they came, and files by the names of their fields."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, IO[bytes]] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None

    def one(self, name: str, default: str = "") -> str:
        """Return a field's value; in the query and in the form it must be the same."""
        values = {value for key, value in self.fields if key == name}
        if len(values) > 1:
            raise HTTPException(422, f"{name}: given {len(values)} times with different values")
        return values.pop() if values else default

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


async def read_request(request: Request, seconds: float, *, texts: bool = False) -> Intake:
    """Read all of a request; a picture that is the body itself becomes the file ``file``.

    With ``texts`` a picture may also come as base64 in JSON, in a URL-encoded form or in a field. Otherwise a body that
    calls itself URL-encoded is a picture too: curl's ``--data-binary`` says so of everything.

    Raises
    ------
    HTTPException
        408 if it takes too long, 400 if a form is broken or has too many parts, 422 if a file comes twice.
    """
    intake = Intake(list(request.query_params.multi_items()))
    try:
        async with asyncio.timeout(seconds):
            if texts:
                with _held(request):
                    await _read_texts(request, intake)
            elif _kind(request) == MULTIPART:
                await _read_form(request, intake, FIELD_BYTES)
            else:
                await _read_body(request, intake)
    except TimeoutError:
        intake.close()
        raise HTTPException(408, f"the upload took longer than {seconds:g} s") from None
    except BaseException:
        intake.close()
        raise
    return intake


_in_memory = 0


@contextmanager
def _held(request: Request) -> Iterator[None]:
    """Count what this request may hold in memory while it is read, and refuse it where that is too much."""
    global _in_memory
    length = int(request.headers.get("content-length") or request.app.state.settings.max_bytes)
    if _in_memory + length > HELD:
        raise HTTPException(429, "too many uploads at once")
    _in_memory += length
    try:
        yield
    finally:
        _in_memory -= length


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_texts(request: Request, intake: Intake) -> None:
    kind = _kind(request)
    if kind in (MULTIPART, URLENCODED):
        await _read_form(request, intake, request.app.state.settings.max_bytes)
    elif kind == "application/json":
        intake.json = _mapping(await request.body())
    else:
        raise HTTPException(415, f"expected a form or JSON, got {kind[:40]!r}")


async def _read_body(request: Request, intake: Intake) -> None:
    file = tempfile.SpooledTemporaryFile(MEMORY)  # noqa: SIM115 - the Intake closes it
    intake.files["file"] = file
    async for chunk in request.stream():
        if len(chunk) + file.tell() > MEMORY:
            await asyncio.to_thread(file.write, chunk)
        else:
            file.write(chunk)
    if not file.tell():
        del intake.files["file"]


async def _read_form(request: Request, intake: Intake, field_bytes: int) -> None:
    try:
        form = await request.form(max_files=FILES, max_fields=FIELDS, max_part_size=field_bytes)
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


@contextmanager
def lying(content: bytes) -> Iterator[str]:
    """Yield the path of a file with a name of our own that holds ``content`` and goes at the end."""
    with tempfile.NamedTemporaryFile(prefix="bgkit-") as file:
        file.write(content)
        file.flush()
        yield file.name


def size_of(picture: bytes) -> tuple[int, int]:
    """Return rows and columns as a picture's header tells them; (1, 1) where it tells nothing."""
    return header_size(picture) or (1, 1)
