"""Logging to the console, and to a file if asked: plain lines or JSON, with request ids, without query strings."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from quart_chat.config import Settings
from quart_chat.errors import ConfigError
from quart_chat.log_context import request_id

QUERY_STRING = re.compile(r"(?<=[\w/])\?[^\s\"'<>]*=[^\s\"'<>]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What could forge a line of the log or steer a terminal."""
CHATTERBOXES = (
    "httpx",
    "httpcore",
    "hypercorn.error",
    "hypercorn.access",
    "markdown_it",
    "asyncio",
    "peewee",
)
"""Libraries that log each request or each step at INFO or DEBUG; some of that quotes what people wrote."""


def configure_logging(settings: Settings) -> None:
    """Sets up the root logger, replacing what was there. Raises ConfigError if LOG_FILE cannot be written."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if settings.log_file:
        handlers.append(_file_handler(settings.log_file))
    structured = settings.log_format == "structured"
    for handler in handlers:
        handler.setFormatter(StructuredFormatter() if structured else ConsoleFormatter())
    logging.basicConfig(level="DEBUG" if settings.api_debug else settings.log_level, handlers=handlers, force=True)
    for name in CHATTERBOXES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class ConsoleFormatter(logging.Formatter):
    """`2026-01-31 12:00:00 WARNING quart_chat.server [request id]: …`, a traceback below it if there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        own_id = request_id.get()
        record.request = f" [{own_id}]" if own_id else ""
        record.message = CONTROL.sub(_escaped, record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return _without_query_strings(super().format(record))


class StructuredFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, request_id (of those that belong to one), message,
    the facts that the message is made of, and traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _without_query_strings(record.getMessage()),
        }
        if own_id := request_id.get():
            fields["request_id"] = own_id
        fields |= getattr(record, "facts", {})
        if record.exc_info:
            fields["traceback"] = _without_query_strings(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def _escaped(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode("ascii")


def _without_query_strings(text: str) -> str:
    return QUERY_STRING.sub("?…", text)


def _file_handler(path: str) -> logging.Handler:
    from logging.handlers import WatchedFileHandler

    try:
        return WatchedFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f'LOG_FILE is "{path}": it cannot be written: {error.strerror}.') from error
