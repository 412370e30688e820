"""Rates and numbers of one person: 429 with Retry-After, in our shape, and nobody else is touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from quart import Response

from quart_chat.web.limits import Rates
from quart_chat.web.streams import streamed
from tests.doubles.fake_ollama import FakeOllama
from tests.edge.wire import answer, ask, ask_for_socket, connection, request
from tests.web.conftest import Site, open_site


def cookie(number: int) -> str:
    return f"Cookie: qc_person={number:016d}"


async def posted(site: Site, *headers: str, source: str = "127.0.0.1") -> Any:
    return await ask(site.port, request("POST", "/nothing/here", "Accept: application/json", *headers), source=source)


async def test_the_request_after_the_limit_is_429_for_that_person_alone(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, rate_limit_requests=3) as site:
        got = [await posted(site, cookie(1)) for _ in range(4)]
        assert [one.status for one in got] == [404, 404, 404, 429]
        assert b'"code":"RATE_LIMIT"' in got[-1].body
        assert 1 <= int(got[-1].headers["retry-after"]) <= 20
        assert (await posted(site, cookie(2))).status == 404
        assert (await ask(site.port, request("GET", "/api/health", cookie(1)))).status == 200


async def test_an_address_that_claims_to_be_many_people_gets_what_ten_may_have(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, rate_limit_requests=3) as site:
        statuses = [(await posted(site, cookie(number))).status for number in range(31)]
        assert statuses == [404] * 30 + [429]
        assert (await posted(site, cookie(99), source="127.0.0.2")).status == 404


async def test_messages_on_a_socket_count_as_well(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, rate_limit_requests=2) as site:
        session = await site.new_session()
        async with site.socket(f"?session={session.id}&after=") as socket:
            for _ in range(3):
                await socket.say("message", content="")
            codes = [(await socket.until(lambda frame: frame["type"] == "error"))["payload"]["code"] for _ in range(3)]
            assert codes == ["INVALID_INPUT", "INVALID_INPUT", "RATE_LIMIT"]


async def test_switched_off_nothing_is_limited(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    limits = {"rate_limit_enabled": False, "rate_limit_requests": 1, "sockets_max_per_person": 1}
    async with open_site(tmp_path, fake_ollama, **limits) as site, site.socket(), site.socket():
        assert [(await posted(site)).status for _ in range(3)] == [404] * 3


async def test_one_socket_too_many_is_429_before_the_upgrade_and_a_closed_one_makes_room(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, sockets_max_per_person=2) as site, site.socket():
        async with site.socket():
            refused = await ask_for_socket(site.port)
            assert (refused.status, "retry-after" in refused.headers) == (429, True)
            assert b'"code":"RATE_LIMIT"' in refused.body
            assert (await ask_for_socket(site.port, "/ws", cookie(1))).status == 101
        async with asyncio.timeout(3):
            while (await ask_for_socket(site.port)).status != 101:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def streaming(site: Site) -> None:
    """A route that streams until its client leaves."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()

    async def stream() -> Response:
        response = streamed(chunks(), "text/event-stream")
        assert response.timeout is None
        return response

    site.app.add_url_rule("/stream", view_func=stream)


async def test_streams_at_a_time_are_limited_and_one_that_is_left_makes_room(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, rate_limit_streams=2) as site:
        streaming(site)
        wanted = request("GET", "/stream", "Accept: application/json")
        async with AsyncExitStack() as stack:
            for _ in range(2):
                reader, writer = await stack.enter_async_context(connection(site.port))
                writer.write(wanted)
                assert (await answer(reader)).status == 200
            refused = await ask(site.port, wanted)
            assert (refused.status, "retry-after" in refused.headers) == (429, True)
        async with asyncio.timeout(3):
            while (await ask(site.port, wanted)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_stream_outlives_the_time_that_other_answers_have(site: Site) -> None:
    site.app.config["RESPONSE_TIMEOUT"] = 0.2
    streaming(site)
    async with connection(site.port) as (reader, writer):
        writer.write(request("GET", "/stream"))
        assert (await answer(reader)).status == 200
        await reader.readuntil(b"\n\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await reader.read(1)


def test_a_bucket_refills_and_says_when() -> None:
    rates = Rates(per_minute=6000)
    assert [rates.take("a") for _ in range(5)] == [0.0] * 5
    few = Rates(per_minute=1)
    assert few.take("a") == 0.0
    assert 55 < few.take("a") <= 60
    assert few.take("b") == 0.0
