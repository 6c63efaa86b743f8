"""What every request passes on its way in, and every answer on its way out.

The name it was sent to (against DNS rebinding), the page it came from (against requests that other sites make a
browser send), the key; then security headers, a line in the log, and the metrics.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
import re
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bgkit.serve.settings import Settings

__all__ = ["Gate", "JsonLines", "Metrics"]

log = logging.getLogger("bgkit.serve")

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OPEN = re.compile(r"/(health|ready)?|/watch|/(page/)?[\w.-]+\.(html|js|css|svg|png|ico|webmanifest)")  # need no key


class Metrics:
    """Figures for Prometheus, of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("bgkit_requests", "Requests answered.", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "bgkit_request_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ["route"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=registry,
        )
        self.stages = Counter("bgkit_stage_seconds", "Seconds of work by stage.", ["stage"], registry=registry)
        self.flags = Counter("bgkit_flagged", "Pictures flagged by a check.", ["finding"], registry=registry)
        self.queued = Gauge("bgkit_queued", "Pictures that wait for a worker.", registry=registry)
        self.busy = Gauge("bgkit_busy", "Workers at work.", registry=registry)
        self.ready = Gauge("bgkit_workers", "Workers that are ready.", registry=registry)
        self.deaths = Gauge("bgkit_worker_deaths", "Workers that died or were ended.", registry=registry)


class JsonLines(logging.Formatter):
    """A JSON object a line; what ``extra={"told": ...}`` holds becomes its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Gate:
    """ASGI middleware; ``settings`` says who may pass."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self.too_large = f"expected at most {settings.max_bytes / 1e6:g} MB"
        self.names = {"localhost", settings.host.lower(), *(name.lower() for name in settings.names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        began, number = time.perf_counter(), secrets.token_hex(8)
        status = sent = received = 0
        told: dict[str, Any] = {}
        scope.setdefault("state", {})["told"] = told

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
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            line = {
                "request": number,
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status,
                "seconds": round(seconds, 4),
                "received": received,
                "sent": sent,
                "client": (scope.get("client") or ("",))[0],
                **told,
            }
            log.info("request", extra={"told": line})

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """Return the answer to a request that may not pass."""
        host = _name_of("//" + headers.get("host", ""))
        if host is None or not (host in self.names or _is_address(host)):
            return JSONResponse({"detail": "this server does not go by that name; --name adds one"}, 421)
        origin = headers.get("origin")
        if origin and origin not in self.settings.origins and not self._is_own(origin, headers, scope):
            return JSONResponse(
                {"detail": "requests from pages of another origin are refused; --origin allows one"}, 403
            )
        if not self.settings.keys or OPEN.fullmatch(scope["path"]) or self._has_key(headers):
            return None
        if scope["path"].startswith("/v1.0/"):
            error = {"title": "API Key invalid", "code": "auth_failed"}
            return JSONResponse({"errors": [error]}, 403)
        detail = "expected a key in the header X-Api-Key, or as Authorization: Bearer"
        return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})

    @staticmethod
    def _is_own(origin: str, headers: Headers, scope: Scope) -> bool:
        """Tell whether a page of this very server sent the request."""
        return origin != "null" and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()

    def _has_key(self, headers: Headers) -> bool:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        checks = [hmac.compare_digest(given.encode(), key.encode()) for key in self.settings.keys]
        return any(checks)


def _name_of(url: str) -> str | None:
    """Return the host of a URL in small letters, or None where it is malformed."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    """Tell whether a host is an address: rebinding needs a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
