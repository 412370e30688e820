"""Style sheet, script and icons, named by their content so that a browser asks for each once."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.errors import NotFoundError
from quart_chat.web.current import web

FOREVER = "public, max-age=31536000, immutable"
A_DAY = "public, max-age=86400"

blueprint = Blueprint("files", __name__)


@blueprint.get("/assets/<tag>/<name>")
async def asset(tag: str, name: str) -> Response:
    """Whatever tag is asked for, the present file is given; only its own tag is kept for ever."""
    found = web().assets.get(name)
    if found is None:
        raise NotFoundError("There is no such file.")
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(found.packed if packed else found.body, content_type=found.content_type)
    response.headers["Cache-Control"] = FOREVER if tag == found.tag else "no-cache"
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


@blueprint.get("/static/icons/<name>")
async def icon(name: str) -> Response:
    found = web().assets.icon(name)
    if found is None:
        raise NotFoundError("There is no such file.")
    response = Response(found[0], content_type=found[1])
    response.headers["Cache-Control"] = A_DAY
    return response
