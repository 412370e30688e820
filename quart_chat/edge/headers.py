"""Security headers on every answer, whoever gives it: pages, files, errors, refused sockets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

Headers = list[tuple[bytes, bytes]]

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'{sockets}",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types htmx",
    )
)
FIXED: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
PLAIN_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")


class SecurityHeaders:
    """Adds what an answer does not say itself, so a route can be stricter (a file) or kept for longer (an asset)."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")

        async def send_with_headers(event: ASGISendEvent) -> None:
            if event["type"] in STARTS:
                start = cast("dict[str, Any]", event)
                said = {name.lower() for name, _ in start["headers"]}
                more = [item for item in security_headers(host) if item[0] not in said]
                event = cast("ASGISendEvent", {**start, "headers": [*start["headers"], *more]})
            await send(event)

        await self._app(scope, receive, send_with_headers)


@lru_cache(maxsize=64)
def security_headers(host: bytes = b"") -> Headers:
    """'self' covers our socket in Chromium, not in every engine, so it is named too where the Host is a plain one."""
    name = host.decode() if PLAIN_HOST.fullmatch(host) else ""
    policy = CONTENT_SECURITY_POLICY.format(sockets=f" ws://{name} wss://{name}" if name else "")
    return [(b"content-security-policy", policy.encode()), *FIXED]


BARE_HEADERS = [(b"content-length", b"0"), (b"connection", b"close"), *security_headers()]
TURNED_AWAY = b"HTTP/1.1 503 \r\nretry-after: 5\r\n%s\r\n" % b"".join(b"%s: %s\r\n" % item for item in BARE_HEADERS)
"""Of answers without a body, given by the server itself."""
