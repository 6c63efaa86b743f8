"""What every request passes on its way in, and every answer on its way out.

The name it was sent to (against DNS rebinding), the page it came from (against requests that other sites make a
browser send), the key; then security headers, a line in the log, and the metrics.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import secrets
import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bgkit.serve.settings import Settings

__all__ = ["Gate", "JsonLines"]

log = logging.getLogger("bgkit.serve")

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",  # this and the next: threads in WASM
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OPEN = re.compile(r"/(health|ready)?|/watch|/(ort/)?[\w.-]+\.(html|m?js|css|svg|png|ico|wasm|onnx)")  # need no key

REQUESTS = Counter("bgkit_requests", "Requests answered.", ["route", "status"])
SECONDS = Histogram(
    "bgkit_request_seconds",
    "Seconds from a request's first byte to its answer's last.",
    ["route"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


class JsonLines(logging.Formatter):
    """A JSON object a line; what ``extra={"fields": ...}`` holds becomes its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Gate:
    """ASGI middleware; ``settings`` says who may pass."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.too_large = f"the request is too large: expected at most {settings.max_bytes / 1e6:g} MB"
        self.names = {"localhost", settings.host.lower(), *(name.lower() for name in settings.names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        began, number = time.perf_counter(), secrets.token_hex(8)
        status = sent = received = 0
        fields: dict[str, Any] = {}
        scope.setdefault("state", {})["fields"] = fields

        async def out(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                fields = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    fields.setdefault(name, value)
                fields["X-Request-Id"] = number
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        async def limited() -> Message:
            nonlocal received
            if not received and int(headers.get("content-length") or 0) > self.settings.max_bytes:
                raise HTTPException(413, self.too_large)
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.settings.max_bytes:
                raise HTTPException(413, self.too_large)
            return message

        try:
            refusal = self._refusal(scope, headers)
            await (refusal or self.app)(scope, limited, out)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "") or "other"
            REQUESTS.labels(route, str(status)).inc()
            SECONDS.labels(route).observe(seconds)
            line = {
                "request": number,
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "seconds": round(seconds, 4),
                "received": received,
                "sent": sent,
                "client": (scope.get("client") or ("",))[0],
                **fields,
            }
            log.info("request", extra={"fields": line})

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """Return the answer to a request that may not pass."""
        netloc, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self._is_ours(netloc):
            return JSONResponse({"detail": "this server does not go by that name; --name adds one"}, 421)
        own = (f"http://{netloc}", f"https://{netloc}")
        if origin and origin.lower() not in own and origin not in self.settings.origins:
            detail = "requests from pages of another origin are refused; --origin allows one"
            return JSONResponse({"detail": detail}, 403)
        if not self.settings.keys or OPEN.fullmatch(scope["path"]) or self._has_key(headers):
            return None
        if scope["path"].startswith("/v1.0/"):
            return JSONResponse({"errors": [{"title": "API Key invalid", "code": "auth_failed"}]}, 403)
        detail = "expected a key in the header X-Api-Key, or as Authorization: Bearer"
        return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})

    def _is_ours(self, netloc: str) -> bool:
        """Tell whether a Host header names this server: a name can be made to resolve here, an address cannot."""
        try:
            host = (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
            return host in self.names or bool(ip_address(host))
        except ValueError:
            return False

    def _has_key(self, headers: Headers) -> bool:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        checks = [hmac.compare_digest(given.encode(), key.encode()) for key in self.settings.keys]
        return any(checks)
