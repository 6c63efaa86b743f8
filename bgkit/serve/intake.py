"""How a request's picture and fields come in: as a form, as JSON, with the picture as the body, or by its URL.

Uploads rest in temporary files without a name until a worker is free for them, so slow clients cost neither memory
nor a worker. What a client calls its files is never looked at.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException as BadAnswer
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import HTTPDefaultErrorHandler, HTTPErrorProcessor, HTTPHandler, HTTPSHandler, OpenerDirector

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

__all__ = ["Intake", "fetch", "reading"]

FILES, FIELDS, FIELD_BYTES = 9, 100, 1 << 16  # of one form
MEMORY = 1 << 20  # bytes of an upload that stay in memory
HELD = 256_000_000  # bytes of pictures that come inside JSON or a form's text, all requests together
FETCH_SECONDS = 15.0  # between two pieces of an answer
MULTIPART, URLENCODED, JSON = "multipart/form-data", "application/x-www-form-urlencoded", "application/json"


@dataclass
class Intake:
    """What a request brought: values by name in the order they came, and files by the names of their fields."""

    fields: list[tuple[str, Any]] = field(default_factory=list)
    files: dict[str, IO[bytes]] = field(default_factory=dict)

    def content(self, name: str) -> bytes | None:
        """Return a file's bytes."""
        if name not in self.files:
            return None
        self.files[name].seek(0)
        return self.files[name].read()


@asynccontextmanager
async def reading(request: Request, *, texts: bool = False) -> AsyncIterator[Intake]:
    """Read all of a request and yield what it brought; a picture that is the body itself becomes the file ``file``.

    With ``texts`` a picture may also come as base64 in JSON, in a URL-encoded form or in a field. Otherwise a body that
    calls itself URL-encoded is a picture too: curl's ``--data-binary`` says so of everything.

    Raises
    ------
    HTTPException
        408 if it takes too long, 400 if a form is broken or has too many parts, 422 if a file comes twice.
    """
    settings = request.app.state.settings
    intake = Intake(list(request.query_params.multi_items()))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        try:
            async with asyncio.timeout(settings.upload_seconds):
                if texts:
                    with _held(min(int(request.headers.get("content-length", HELD)), settings.max_bytes)):
                        await _read_texts(request, intake, kind, settings.max_bytes)
                elif kind == MULTIPART:
                    await _read_form(request, intake, FIELD_BYTES)
                else:
                    await _read_body(request, intake)
        except TimeoutError:
            raise HTTPException(408, f"the upload took longer than {settings.upload_seconds:g} s") from None
        yield intake
    finally:
        for file in intake.files.values():
            file.close()


_in_memory = 0


@contextmanager
def _held(length: int) -> Iterator[None]:
    """Count what a request may hold in memory while it is read, and refuse it where that is too much."""
    global _in_memory
    if _in_memory + length > HELD:
        raise HTTPException(429, "too many uploads at once")
    _in_memory += length
    try:
        yield
    finally:
        _in_memory -= length


async def _read_texts(request: Request, intake: Intake, kind: str, field_bytes: int) -> None:
    if kind in (MULTIPART, URLENCODED):
        await _read_form(request, intake, field_bytes)
        return
    if kind != JSON:
        raise HTTPException(415, f"expected a form or JSON, got {kind[:40]!r}")
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise HTTPException(422, "expected a JSON object")
    intake.fields += value.items()


async def _read_body(request: Request, intake: Intake) -> None:
    file = tempfile.SpooledTemporaryFile(MEMORY)  # noqa: SIM115 - closed by reading()
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
        if not isinstance(value, UploadFile):
            intake.fields.append((name, value))
        elif name in intake.files:
            await form.close()  # the second file, too
            raise HTTPException(422, f"{name}: expected one file, got several")
        else:
            intake.files[name] = value.file


async def fetch(request: Request, url: str) -> bytes:
    """Return the content at a URL: only from hosts that the operator named with ``--fetch``, redirects not followed.

    Raises
    ------
    HTTPException
        403 if the host is not one the operator named, 422 if nothing can be had there, 413 if it is too large.
    """
    settings = request.app.state.settings
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
        if parts.scheme not in ("http", "https") or parts.username is not None:
            raise ValueError(url)
    except ValueError:
        raise HTTPException(422, "url: expected an address as https://host/path") from None
    if not {host, f"{host}:{port}"} & set(settings.fetch):
        raise HTTPException(
            403,
            f"pictures are not fetched from {host!r}: send the picture itself, or start the server with --fetch HOST",
        )
    try:
        async with asyncio.timeout(settings.upload_seconds):
            content = await asyncio.to_thread(_read, url, settings.max_bytes)
    except (OSError, BadAnswer, ValueError):  # TimeoutError is an OSError
        raise HTTPException(422, f"url: {host!r} did not send it") from None
    if len(content) > settings.max_bytes:
        raise HTTPException(413, f"url: more than {settings.max_bytes / 1e6:g} MB")
    return content


def _read(url: str, most: int) -> bytes:
    opener = OpenerDirector()  # follows no redirect, which is another host's word, and knows no proxy
    for handler in (HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler):
        opener.add_handler(handler())
    with opener.open(url, timeout=FETCH_SECONDS) as answer:
        return answer.read(most + 1)
