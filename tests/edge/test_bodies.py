"""Bodies: how large, how slow, how many at once; and that the largest honest one fits."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest

from quart_chat.edge import bodies
from quart_chat.edge.bodies import REFUSAL, BodyLimits
from quart_chat.errors import RateLimitError, SlowBodyError
from tests.edge.wire import answer, ask, closed, connection, request
from tests.web.conftest import Site

WIDE = "\N{GRINNING FACE}"


def chunked(path: str, size: int) -> bytes:
    chunk = b"%x\r\n%s\r\n" % (size, b"x" * size)
    return request("POST", path, "Transfer-Encoding: chunked", "Accept: application/json") + chunk + b"0\r\n\r\n"


async def test_the_longest_message_fits_in_the_worst_encoding_of_a_form_and_of_json(site: Site) -> None:
    session = await site.new_session()
    text = WIDE * site.services.settings.max_message_chars
    form = f"content={quote(text)}&client_id=a".encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = await site.http.post(f"/chat/{session.id}/message", content=form, headers=kind)
    assert sent.status_code == 303, sent.text
    other = await site.new_session()
    body = json.dumps({"content": text, "session_id": other.id}).encode()
    assert (await site.http.post("/api/chat/message", content=body)).status_code == 202


@pytest.mark.parametrize("path", ["/chat", "/api/models/load", "/nothing"])
async def test_64_kib_elsewhere_declared_or_chunked_is_413_in_our_shape(site: Site, path: str) -> None:
    for data in (
        request("POST", path, "Accept: application/json", body=b"x" * (64 * 1024 + 1)),
        chunked(path, 64 * 1024 + 1),
        chunked(path, 3_000_000),
    ):
        got = await ask(site.port, data)
        assert (got.status, json.loads(got.body)["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_browser_gets_a_page_for_413(site: Site) -> None:
    refused = await site.http.post("/chat", content=b"x" * 100_000, headers={"Accept": "text/html"})
    assert refused.status_code == 413
    assert refused.text.startswith("<!doctype html>")


async def test_an_announced_gigabyte_is_answered_at_once_and_an_endless_body_after_4_mib(site: Site) -> None:
    announced = request("POST", "/api/chat/message", "Content-Length: 1073741824")
    assert (await ask(site.port, announced, within_s=2)).status == 413
    async with connection(site.port) as (_, writer), asyncio.timeout(10):
        writer.write(request("POST", "/api/chat/message", "Transfer-Encoding: chunked"))
        assert await sent_until_cut(writer, b"10000\r\n" + b"x" * 65_536 + b"\r\n") < 20_000_000
    assert (await site.http.get("/api/health")).status_code == 200


async def sent_until_cut(writer: asyncio.StreamWriter, data: bytes) -> int:
    sent = 0
    with suppress(ConnectionError):
        while True:
            writer.write(data)
            await writer.drain()
            sent += len(data)
    return sent


async def test_after_a_refused_body_the_connection_ends(site: Site) -> None:
    async with connection(site.port) as (reader, writer):
        writer.write(request("POST", "/chat", "Content-Length: 99999999") + b"x" * 1000)
        assert (await answer(reader)).status == 413
        assert await closed(reader, 3) == b""


async def refused(limits: BodyLimits, events: list[dict[str, Any]], address: str = "192.0.2.1") -> object:
    """What reached the application: a refusal, or the body."""
    waiting = iter(events)

    async def receive() -> Any:
        event = next(waiting, None)
        if event is None:
            await asyncio.Event().wait()
        return event

    async def send(event: Any) -> None:
        raise AssertionError("nothing is to be sent")

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [],
        "client": (address, 1),
        "extensions": {},
    }
    await limits(scope, receive, send)
    seen = scope["extensions"]
    return seen.get(REFUSAL, seen.get("body"))


async def taking(scope: Any, receive: Any, send: Any) -> None:
    scope["extensions"]["body"] = (await receive())["body"]


def piece(size: int, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


async def test_a_body_that_does_not_end_in_time_is_refused() -> None:
    limits = BodyLimits(taking, lambda method, path: 100, read_s=0.05)
    assert isinstance(await refused(limits, [piece(1)]), SlowBodyError)
    assert await refused(limits, [piece(1, more=False)]) == b"x"


async def test_unfinished_bodies_of_one_address_are_bounded_together_and_others_are_served() -> None:
    limits = BodyLimits(taking, lambda method, path: 2**22, read_s=30)
    most = bodies.HELD_BYTES_PER_ADDRESS
    holding = asyncio.create_task(refused(limits, [piece(most - 10)]))
    await asyncio.sleep(0)
    assert isinstance(await refused(limits, [piece(11, more=False)]), RateLimitError)
    assert await refused(limits, [piece(11, more=False)], "192.0.2.2") == b"x" * 11
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    assert await refused(limits, [piece(11, more=False)]) == b"x" * 11


async def test_who_leaves_before_the_end_reaches_nobody() -> None:
    limits = BodyLimits(taking, lambda method, path: 100)
    assert await refused(limits, [piece(1), {"type": "http.disconnect"}]) is None
