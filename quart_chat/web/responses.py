"""Answers that several routes give: JSON, a page, `done` for a form with or without a script."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Response, redirect

from quart_chat.web.current import live_html, services

_encode = msgspec.json.Encoder().encode


def json_response(shape: Any, status: int = 200) -> Response:
    return Response(_encode(shape), status, content_type="application/json")


def page_response(html: str, status: int = 200) -> Response:
    return Response(html, status, content_type="text/html; charset=utf-8")


def done(path: str) -> Response:
    """After a form: nothing for htmx (the socket tells), the page at `path` for a browser without script."""
    if live_html():
        return Response(status=204)
    return go_to(path)


def go_to(path: str) -> Response:
    response: Response = redirect(services().settings.base_path + path, 303)  # type: ignore[assignment]
    return response
