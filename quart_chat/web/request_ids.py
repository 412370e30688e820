"""Gives every request and socket an id, returns it as X-Request-Id, and writes one line about each to the log.

Wraps the application at the ASGI level, so that refusals and files have both as well.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from quart_chat.log_context import request_id

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

logger = logging.getLogger(__name__)

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What is taken over from a proxy or a program: nothing that could forge a line or hide in one."""
SHOWN_PATH = 200
QUIET = ("/assets/", "/static/", "/api/health", "/metrics")
"""Asked for often and saying little: told at DEBUG."""
BEGINNINGS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
UPGRADED = 101


class RequestIds:
    """`app` with ids. The line: method, path without its query string, status (of a socket its close code, 1006
    when it just went away), duration, the client's address. "-" as status: the client left before the answer."""

    def __init__(self, app: ASGIFramework, base_path: str = "") -> None:
        self._app = app
        self._quiet = tuple(base_path + path for path in QUIET)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        own_id = _id_of(scope["headers"])
        status: int | str = "-"

        async def send_with_id(event: Any) -> None:
            nonlocal status
            kind = event["type"]
            if kind in BEGINNINGS:
                event = {**event, "headers": [*event.get("headers", ()), (HEADER, own_id.encode())]}
                status = event.get("status", UPGRADED)
            elif kind == "websocket.close" and status == UPGRADED:
                status = event["code"]
            await send(event)

        token = request_id.set(own_id)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._tell(scope, 1006 if status == UPGRADED else status, time.perf_counter() - began)
            request_id.reset(token)

    def _tell(self, scope: Any, status: int | str, seconds: float) -> None:
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        level = logging.DEBUG if path.startswith(self._quiet) else logging.INFO
        if not logger.isEnabledFor(level):
            return
        facts = {
            "method": scope.get("method", "WS"),
            "path": path[:SHOWN_PATH],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": (scope.get("client") or ("-",))[0],
        }
        logger.log(level, "%(method)s %(path)s %(status)s %(ms)s ms %(client)s", facts, extra={"facts": facts})


def _id_of(headers: Any) -> str:
    given = [value for name, value in headers if name.lower() == HEADER]
    if len(given) == 1 and SANE.fullmatch(given[0]):
        return bytes(given[0]).decode("ascii")
    return secrets.token_hex(8)
