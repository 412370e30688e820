"""Who may speak to us at all: the Host that was asked for and the Origin that asks, before anything is parsed."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from quart import Quart, Response, request, websocket
from werkzeug.datastructures import Headers

from quart_chat.config import Settings
from quart_chat.errors import ForbiddenError, QuartChatError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


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
            self._check_origin(request.headers, request.host)

    async def check_websocket(self) -> Response | None:
        """Refused before the upgrade: no frame of a stranger is ever parsed."""
        try:
            self._check_host(websocket.host)
            self._check_origin(websocket.headers, websocket.host)
        except QuartChatError as error:
            return Response(error.message, status=403 if error.code == "FORBIDDEN" else 421)
        return None

    def _check_host(self, host: str) -> None:
        name = _name(host)
        if name in self._names or name.endswith((".local", ".localhost")) or _is_private_address(name):
            return
        raise MisdirectedError("This server does not answer under that name. Add it to ALLOWED_HOSTS.")

    def _check_origin(self, headers: Headers, host: str) -> None:
        """Browsers always send Origin with an unsafe request and with a socket; programs send none."""
        origins = headers.getlist("Origin")
        if not origins:
            if headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}:
                return
            raise ForbiddenError("Requests from other sites are not accepted.")
        if len(origins) > 1 or not _same_host(origins[0], host):
            raise ForbiddenError("Requests from other sites are not accepted.")


def _same_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        own = urlsplit(f"{parts.scheme}://{host}")
        return (
            default is not None
            and parts.netloc == parts.netloc.rpartition("@")[2]
            and parts.hostname == own.hostname
            and (parts.port or default) == (own.port or default)
        )
    except ValueError:
        return False


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_private_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local
