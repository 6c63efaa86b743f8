"""Pictures by URL: only from hosts that the operator named with ``--fetch``, and never followed elsewhere."""

from __future__ import annotations

import asyncio
import urllib.request
from http.client import HTTPException as BadAnswer
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

__all__ = ["fetch"]

SECONDS = 15.0  # between two pieces of an answer


async def fetch(request: Request, url: str) -> bytes:
    """Return the content at a URL.

    Raises
    ------
    HTTPException
        403 if the host is not one the operator named, 422 if nothing can be had there, 413 if it is too large.
    """
    settings = request.app.state.settings
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise HTTPException(422, "url: expected an address as https://host/path") from None
    if parts.scheme not in ("http", "https") or parts.username is not None:
        raise HTTPException(422, "url: expected an address as https://host/path")
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


class _Stay(urllib.request.HTTPRedirectHandler):
    """Another place is another host's word."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _read(url: str, most: int) -> bytes:
    opener = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=SECONDS) as answer:
        return answer.read(most + 1)
