"""The log: plain or JSON, to a file as well, and never with what stood in a query string."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from quart_chat.config import Settings
from quart_chat.errors import ConfigError
from quart_chat.logs import configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level = handlers, level


def logged(tmp_path: Path, log_format: str, message: str, *arguments: object) -> str:
    path = tmp_path / "log"
    configure_logging(Settings(log_file=str(path), log_format=log_format))
    try:
        raise ValueError("asked for /search?q=secret")
    except ValueError:
        logging.getLogger("quart_chat.test").exception(message, *arguments)
    return path.read_text()


def test_structured_is_one_json_object_a_line_with_the_traceback_inside(tmp_path: Path) -> None:
    (line,) = logged(tmp_path, "structured", "went %s", "wrong").splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["logger"], fields["message"]) == ("ERROR", "quart_chat.test", "went wrong")
    assert "ValueError" in fields["traceback"]
    assert fields["time"].endswith("+00:00")


@pytest.mark.parametrize("log_format", ["console", "structured"])
def test_query_strings_are_left_out_of_messages_and_tracebacks(tmp_path: Path, log_format: str) -> None:
    text = logged(tmp_path, log_format, "GET %s failed", "http://h/ws?session=secret&after=1")
    assert "http://h/ws?… failed" in text
    assert "after=1" not in text
    assert "asked for /search?…" in text


def test_libraries_that_log_every_request_are_quiet(tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure_logging(Settings(log_file=str(path), log_level="DEBUG"))
    logging.getLogger("httpx").info("HTTP Request: POST")
    assert path.read_text() == ""


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        configure_logging(Settings(log_file=str(tmp_path)))
    assert "LOG_FILE" in caught.value.message
