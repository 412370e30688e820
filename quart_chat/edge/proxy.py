"""Believes `X-Forwarded-*` of the proxies we were told of (BEHIND_PROXY), and of nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from quart_chat.edge.addresses import Networks, parse_address

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

Headers = list[tuple[bytes, bytes]]
SECURE = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
FOR_SOCKETS = {"http": "ws", "https": "wss"}


class BehindProxy:
    """Below it a request looks as the browser sent it: its address, its scheme, its Host.

    From any other peer these headers are removed, so that nothing above can be made to believe them.
    """

    def __init__(self, app: ASGIFramework, proxies: Networks) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan":
            scope = cast("Scope", self._as_sent(cast("dict[str, Any]", scope)))
        await self._app(scope, receive, send)

    def _as_sent(self, scope: dict[str, Any]) -> dict[str, Any]:
        given: Headers = list(scope["headers"])
        kept = [item for item in given if not _is_forwarded(item[0])]
        if len(kept) == len(given):
            return scope
        changed: dict[str, Any] = {"headers": kept}
        client = scope["client"]
        if client is not None and parse_address(str(client[0])) in self._proxies:
            if address := self._proxies.last_outside(_values(given, b"x-forwarded-for")):
                changed["client"] = (str(address), 0)
            if (scheme := _last(given, b"x-forwarded-proto").lower()) in SECURE:
                web = SECURE[scheme]
                changed["scheme"] = FOR_SOCKETS[web] if scope["type"] == "websocket" else web
            if host := _last(given, b"x-forwarded-host"):
                others = [item for item in kept if item[0] != b"host"]
                changed["headers"] = [(b"host", host.encode("latin1")), *others]
        return {**scope, **changed}


def _is_forwarded(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name == b"forwarded"


def _values(headers: Headers, name: bytes) -> list[str]:
    texts = [value.decode("latin1") for key, value in headers if key == name]
    return [item.strip() for item in ",".join(texts).split(",") if item.strip()]


def _last(headers: Headers, name: bytes) -> str:
    """What the nearest proxy said; what stands before came from further away."""
    values = _values(headers, name)
    return values[-1] if values else ""
