"""Typed access to what a request belongs to: the services, the templates, the user, the person."""

from __future__ import annotations

import secrets

from msgspec import Struct, field
from quart import Request, Websocket, current_app, has_websocket_context, request, websocket

from quart_chat.entities import OWNER_ID
from quart_chat.services import Services
from quart_chat.web.asked import Asked
from quart_chat.web.assets import Assets
from quart_chat.web.dashboard_frames import DashboardFrames
from quart_chat.web.limits import Limits
from quart_chat.web.page_frames import PageFrames
from quart_chat.web.templates import Templates
from quart_chat.web.views import PageViews

PERSON_COOKIE = "qc_person"
PERSON_LENGTH = 16
THEMES = ("auto", "light", "dark")
EXTENSION = "quart-chat"


class Web(Struct, frozen=True):
    """What the web layer keeps for the life of the app."""

    services: Services
    assets: Assets
    templates: Templates
    views: PageViews
    frames: PageFrames
    dashboard: DashboardFrames
    limits: Limits
    asked: Asked = field(default_factory=Asked)


def web() -> Web:
    parts: Web = current_app.extensions[EXTENSION]
    return parts


def services() -> Services:
    return web().services


def user_id() -> str:
    """Whose sessions these are; the owner's while sign-in is off."""
    return OWNER_ID


def person() -> str:
    """Whose turn in the queue this is: a browser by its cookie, a program by its address. Not a credential."""
    source = asking()
    cookie = source.cookies.get(PERSON_COOKIE, "")
    if len(cookie) == PERSON_LENGTH and cookie.isalnum():
        return cookie
    return f"at {address()}"


def address() -> str:
    """Where the request came from; behind a proxy that is believed, what it says."""
    return asking().remote_addr or "unknown"


def asking() -> Request | Websocket:
    """The request, or the handshake of the socket, that is served here."""
    return websocket if has_websocket_context() else request


def new_person() -> str:
    return secrets.token_hex(PERSON_LENGTH // 2)


def theme() -> str:
    wanted = asking().cookies.get("theme", "auto")
    return wanted if wanted in THEMES else "auto"


def live_html() -> bool:
    """True for a request made by htmx: its answer carries no page, state comes by the socket."""
    return asking().headers.get("HX-Request") == "true"
