"""The log: plain or JSON, to a file as well, and never with what stood in a query string."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from quart_chat.config import Settings
from quart_chat.errors import ConfigError
from quart_chat.log_context import request_id
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


@pytest.mark.parametrize("log_format", ["console", "structured"])
def test_a_line_names_its_request_and_no_other(tmp_path: Path, log_format: str) -> None:
    token = request_id.set("abc.1")
    try:
        inside = logged(tmp_path, log_format, "within")
    finally:
        request_id.reset(token)
    outside = logged(tmp_path, log_format, "without")
    assert ("abc.1" in inside, "abc.1" in outside.replace(inside, "")) == (True, False)
    if log_format == "structured":
        assert json.loads(inside)["request_id"] == "abc.1"


@pytest.mark.parametrize("log_format", ["console", "structured"])
def test_a_message_cannot_forge_a_line_or_steer_a_terminal(tmp_path: Path, log_format: str) -> None:
    path = tmp_path / "log"
    configure_logging(Settings(log_file=str(path), log_format=log_format))
    logging.getLogger("quart_chat.test").warning("model %s", "a\n2026-01-01 ERROR forged\x1b[2J")
    text = path.read_text()
    assert text.count("\n") == 1
    assert "\x1b" not in text


def test_structured_lines_have_the_facts_as_fields(tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure_logging(Settings(log_file=str(path), log_format="structured"))
    facts = {"status": 200, "ms": 1.5}
    logging.getLogger("quart_chat.test").info("%(status)d in %(ms)s ms", facts, extra={"facts": facts})
    fields = json.loads(path.read_text())
    assert (fields["message"], fields["status"], fields["ms"]) == ("200 in 1.5 ms", 200, 1.5)
