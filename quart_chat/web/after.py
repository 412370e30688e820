"""What follows a form about models: back to the page it was on, with a word about what happens now."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from quart import Response, request

from quart_chat.web.current import live_html, services
from quart_chat.web.responses import done, go_to

OURS = re.compile(r"/(dashboard|chat/[0-9a-f]+|models/[^?#]+)(\?[^#]*)?")
"""Pages that hold such forms."""


def came_from() -> str:
    """The page that the form was on, with its arguments; empty if that is not known or not one of ours."""
    parts = urlsplit(request.headers.get("Referer", ""))
    base = services().settings.base_path
    if parts.netloc != request.host or not parts.path.startswith(base):
        return ""
    path = parts.path[len(base) :] + (f"?{parts.query}" if parts.query else "")
    return path if OURS.fullmatch(path) else ""


def settled(said: str = "", *, usual: str = "/dashboard") -> Response:
    """Without a script the page it came from, else `usual`. Under htmx nothing to swap: the socket tells what has
    changed, and `said` is shown as a notice."""
    response = done(came_from() or usual)
    if said and live_html():
        response.headers["HX-Trigger"] = json.dumps({"qc:said": {"text": said}})
    return response


def moved(path: str) -> Response:
    """The page at `path`, with a script or without: where one was is no more."""
    if not live_html():
        return go_to(path)
    return Response(status=204, headers={"HX-Redirect": services().settings.base_path + path})
