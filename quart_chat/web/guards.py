"""Who may speak to us at all: the Host that was asked for and the Origin that asks, before anything is parsed."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from quart import Quart, Request, Websocket, request, websocket

from quart_chat.config import Settings
from quart_chat.edge.bodies import REFUSAL
from quart_chat.errors import ForbiddenError, QuartChatError
from quart_chat.web.current import address, person, web

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443}
WEB_SCHEMES = {"ws": "http", "wss": "https"}


class MisdirectedError(QuartChatError):
    code = "MISDIRECTED"


class Guards:
    """A name in Host must be one of ours, or a page elsewhere could be made to resolve to us (DNS rebinding); an
    unsafe request or a socket must come from our own origin."""

    def __init__(self, settings: Settings) -> None:
        self._names = {
            "localhost",
            socket.gethostname().lower(),
            *(h.lower() for h in settings.allowed_hosts),
        }

    def install(self, app: Quart) -> None:
        app.before_request(self.check_request)
        app.before_websocket(self.check_websocket)

    async def check_request(self) -> None:
        self._check_host(request.host)
        if request.method not in SAFE_METHODS:
            _check_origin(request)
        if refusal := request.scope["extensions"].get(REFUSAL):
            assert isinstance(refusal, QuartChatError)
            raise refusal
        if request.method not in SAFE_METHODS:
            web().limits.count_request(person(), address())

    async def check_websocket(self) -> None:
        """Refused before the upgrade: no frame of a stranger is ever parsed."""
        self._check_host(websocket.host)
        _check_origin(websocket)

    def _check_host(self, host: str) -> None:
        name = _name(host)
        if name in self._names or name.endswith((".local", ".localhost")) or _is_private_address(name):
            return
        raise MisdirectedError("This server does not answer under that name. Add it to ALLOWED_HOSTS.")


def _check_origin(asked: Request | Websocket) -> None:
    """Browsers always send Origin with an unsafe request and with a socket; programs send none."""
    origins = asked.headers.getlist("Origin")
    if not origins:
        if asked.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}:
            return
        raise ForbiddenError("Requests from other sites are not accepted.")
    if len(origins) == 1 and (found := _parts(origins[0])) is not None:
        own = _parts(f"{WEB_SCHEMES.get(asked.scheme, asked.scheme)}://{asked.host}")
        if found == own:
            return
        if own is not None and (found[0], own[0]) == ("https", "http") and found[1] == own[1]:
            raise ForbiddenError(
                "This page came by https, which the server does not know of: name its proxy in BEHIND_PROXY."
            )
    raise ForbiddenError("Requests from other sites are not accepted.")


def _parts(origin: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of an origin; None for what is not exactly one, such as `null`."""
    try:
        parts = urlsplit(origin)
        default = DEFAULT_PORTS.get(parts.scheme)
        if default is None or not parts.hostname or parts.netloc.lower() != origin.partition("://")[2].lower():
            return None
        if "@" in parts.netloc:
            return None
        return parts.scheme, parts.hostname, parts.port or default
    except ValueError:
        return None


def _name(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").rstrip(".") if parts.port is None or parts.port else ""
    except ValueError:
        return ""


def _is_private_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local
