"""Every answer has an id, and the log ties to it what was done for that request."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest

from quart_chat.log_context import request_id
from tests.doubles.script import Script
from tests.web.conftest import Site

ACCESS = "quart_chat.web.request_ids"
Lines = Callable[[str], list[tuple[str, str]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """(request id, message) of what a logger said, at any level."""
    caplog.set_level(logging.DEBUG)
    told: list[tuple[str, str, str]] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append((record.name, request_id.get(), record.getMessage()))

    caplog.handler.addFilter(lambda record: Collector().emit(record) or True)
    return lambda name: [(id, message) for logger, id, message in told if logger == name]


async def test_a_sane_id_is_kept_and_comes_back(site: Site) -> None:
    response = await site.http.get("/api/queue", headers={"X-Request-Id": "proxy-1.2_3"})
    assert response.headers.get_list("X-Request-Id") == ["proxy-1.2_3"]


@pytest.mark.parametrize("given", ["", "two words", "a" * 65, "a\tb", "<b>", "a,b"])
async def test_any_other_is_replaced(site: Site, given: str) -> None:
    response = await site.http.get("/api/queue", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f]{16}", response.headers["X-Request-Id"])


async def test_refusals_and_sockets_have_one_as_well(site: Site) -> None:
    for path, headers in (("/nothing", {}), ("/", {"Host": "evil.test"}), ("/api/history/none", {})):
        response = await site.http.get(path, headers=headers)
        assert response.status_code >= 400
        assert "X-Request-Id" in response.headers
    async with site.socket("?after=") as socket:
        assert socket.connection.response is not None
        assert "X-Request-Id" in socket.connection.response.headers


async def test_one_line_a_request_without_its_query(site: Site, lines: Lines) -> None:
    await site.http.get("/api/history?q=secret", headers={"X-Request-Id": "one"})
    ((_, line),) = [told for told in lines(ACCESS) if told[0] == "one"]
    assert re.fullmatch(r"GET /api/history 200 [\d.]+ ms 127\.0\.0\.1", line)


async def test_a_path_cannot_forge_a_line(site: Site, lines: Lines) -> None:
    await site.http.get("/a%0Ab%1b[31m", headers={"X-Request-Id": "one"})
    ((_, line),) = [told for told in lines(ACCESS) if told[0] == "one"]
    assert line.startswith("GET /a%0Ab%1b[31m 404 ")


async def test_a_socket_is_told_with_its_close_code(site: Site, lines: Lines) -> None:
    async with site.socket("?session=none", additional_headers={"X-Request-Id": "one"}) as socket:
        assert await socket.closed() == 4404
    while not (told := [line for id, line in lines(ACCESS) if id == "one"]):
        await site.http.get("/api/queue")
    assert told[0].startswith("WS /ws 4404 ")


async def test_what_a_generation_does_belongs_to_the_request_that_asked_for_it(site: Site, lines: Lines) -> None:
    held = site.fake.answer(Script(text="one two three", hold_at=1))
    for number in ("first", "second"):
        body = {"content": "Why?"}
        await site.http.post("/api/chat/message", json=body, headers={"X-Request-Id": number})
    assert site.queue.waiting == 1, "the second is started by whoever ends the first"
    held.resume.set()
    await site.idle()
    told = lines("quart_chat.chat.generation")
    assert [(id, message.split()[2]) for id, message in told] == [
        ("first", "started"),
        ("first", "complete"),
        ("second", "started"),
        ("second", "complete"),
    ]


async def test_probes_and_files_are_told_only_when_debugging(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for path in ("/api/health", "/api/health/ready", "/metrics", "/assets/x/base.css", "/api/queue"):
        await site.http.get(path)
    told = [record.getMessage().split()[1] for record in caplog.records if record.name == ACCESS]
    assert told == ["/api/queue"]
