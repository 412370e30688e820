"""Errors to HTTP in one table, as JSON or as a page, whatever was asked for."""

from __future__ import annotations

import logging
from typing import Any

from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from quart_chat.errors import InvalidInputError, QuartChatError, RateLimitError
from quart_chat.web.current import asking, live_html, services, theme, web
from quart_chat.web.responses import json_response

logger = logging.getLogger(__name__)

STATUS = {
    "INVALID_INPUT": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "CONFLICT": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "MISDIRECTED": 421,
    "RATE_LIMIT": 429,
    "INTERNAL_ERROR": 500,
    "MODEL_FAILED": 500,
    "MODEL_LOAD_FAILED": 500,
    "DOWNLOAD_FAILED": 500,
    "ANSWER_CUT": 500,
    "SERVICE_UNAVAILABLE": 503,
    "INTERRUPTED": 503,
    "TIMEOUT": 504,
}
SENTENCES = {
    400: ("INVALID_INPUT", "This request could not be read."),
    404: ("NOT_FOUND", "There is nothing at this address."),
    405: ("METHOD_NOT_ALLOWED", "This address does not take that kind of request."),
    413: ("PAYLOAD_TOO_LARGE", "That is too much at once."),
}
INTERNAL = ("INTERNAL_ERROR", "Something went wrong here. The server's log has the details.")


def install(app: Quart) -> None:
    app.register_error_handler(QuartChatError, on_our_error)
    app.register_error_handler(HTTPException, on_http_error)
    app.register_error_handler(Exception, on_unexpected)


def status_of(error: QuartChatError) -> int:
    return STATUS.get(error.code, 500)


async def on_our_error(error: QuartChatError) -> Response:
    status = status_of(error)
    if status >= 500:
        logger.warning("%s: %s", _asked(), error.message)
    more = {"fields": error.fields} if isinstance(error, InvalidInputError) and error.fields else {}
    response = answer(status, error.code, error.message, more)
    if isinstance(error, RateLimitError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


async def on_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return error.get_response()  # type: ignore[return-value]
    code, sentence = SENTENCES.get(status, INTERNAL if status >= 500 else SENTENCES[400])
    return answer(status, code, sentence)


async def on_unexpected(error: Exception) -> Response:
    logger.exception("%s failed", _asked(), exc_info=error)
    return answer(500, *INTERNAL)


def answer(status: int, code: str, message: str, more: dict[str, Any] | None = None) -> Response:
    if wants_json():
        return json_response({"error": message, "code": code, **(more or {})}, status)
    page = web().templates.render("pages/error.html", status=status, code=code, message=message, theme=theme())
    return Response(page, status, content_type="text/html; charset=utf-8")


def _asked() -> str:
    asked = asking()
    return f"{asked.method} {asked.path}"


def wants_json() -> bool:
    asked = asking()
    api = (services().settings.base_path + "/api/", services().settings.base_path + "/ws")
    if asked.path.startswith(api) or live_html():
        return True
    best = asked.accept_mimetypes.best_match(
        ["text/html", "application/json", "text/event-stream"], default="text/html"
    )
    return best != "text/html"
