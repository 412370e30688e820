"""Connections: how many, how long one may take to say something, and that whoever is gone is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.frames import Opcode

from quart_chat import claims, hypercorn_patches, server
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script
from tests.e2e.processes import PRODUCT, handshake, started
from tests.edge.wire import answer, ask, ask_for_socket, closed, connection, frames, request
from tests.web.conftest import Site, open_site


async def until(condition: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def hasty(tmp_path: Path, fake_ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A site that pings every 0.2 s and waits 1 s for the pong."""
    monkeypatch.setattr(server, "WEBSOCKET_PING_S", 0.2)
    monkeypatch.setattr(hypercorn_patches, "PONG_DEADLINE_S", 1.0)
    async with open_site(tmp_path, fake_ollama) as site:
        yield site


async def test_one_address_has_a_limit_that_leaves_room_for_others_and_all_have_one(tmp_path: Path) -> None:
    limits = {"CONNECTIONS_MAX": "10", "CONNECTIONS_MAX_PER_ADDRESS": "6"}
    async with started(tmp_path, PRODUCT, **limits) as process, AsyncExitStack() as stack:
        for _ in range(6):
            await stack.enter_async_context(connection(process.port, "127.0.0.2"))
        refused = await ask(process.port, b"", source="127.0.0.2")
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert (await ask(process.port, request("GET", "/api/health"))).status == 200
        for _ in range(4):
            await stack.enter_async_context(connection(process.port, "127.0.0.3"))
        assert (await ask(process.port, b"", source="127.0.0.4")).status == 503


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "line", "head"])
async def test_who_does_not_finish_the_head_in_5_s_is_dropped(site: Site, begun: bytes) -> None:
    async with connection(site.port) as (reader, writer):
        writer.write(begun)
        began = time.monotonic()
        await closed(reader, within_s=7)
        assert time.monotonic() - began > 4


async def test_a_peer_without_pongs_is_dropped_and_one_with_them_stays(hasty: Site) -> None:
    async with hasty.socket() as alive, connection(hasty.port) as (reader, writer):
        writer.write(handshake("/ws"))
        await reader.readuntil(b"\r\n\r\n")
        assert await closed(reader, within_s=3)
        await until(lambda: len(hasty.services.hub.viewers) == 1, 2)
        await alive.say("ping")
        await alive.event("pong")


async def test_a_stuck_reader_is_dropped_by_the_same_deadline(hasty: Site) -> None:
    """It takes nothing, so no close frame reaches it; the viewer goes all the same."""
    async with connection(hasty.port) as (reader, writer):
        writer.write(handshake("/ws?after="))
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: len(hasty.services.hub.viewers) == 1, 2)
        await until(lambda: not hasty.services.hub.viewers, 4)


async def test_a_stream_that_nobody_reads_is_dropped_and_its_answer_goes_on(
    tmp_path: Path, fake_ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the network's own deadline, 10 s, here 1 s."""
    hasty = [(*option[:2], 1000) if option[1] == "TCP_USER_TIMEOUT" else option for option in claims.SOCKET_OPTIONS]
    monkeypatch.setattr(claims, "SOCKET_OPTIONS", hasty)
    script = Script(tokens=["word " * 2000] * 80, hold_at=70)
    fake_ollama.answer(script)
    async with open_site(tmp_path, fake_ollama) as site, connection(site.port) as (reader, writer):
        writer.write(request("POST", "/api/chat/stream", body=b'{"message": "Go on."}'))
        assert (await answer(reader)).status == 200
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.wait_for(script.held.wait(), 5)
        assert site.services.hub.viewers
        await until(lambda: not site.services.hub.viewers, 8)
        assert site.services.queue.running == 1


async def test_data_before_the_upgrade_is_answered_leaves_nobody_behind(site: Site) -> None:
    tasks = len(asyncio.all_tasks())
    for _ in range(20):
        async with connection(site.port) as (reader, writer):
            writer.write(handshake("/ws?after=") + frames(Opcode.TEXT, b"{}", 50))
            await closed(reader, within_s=3)
    await until(lambda: not site.services.hub.viewers, 3)
    await until(lambda: len(asyncio.all_tasks()) <= tasks + 2, 3)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frames(Opcode.TEXT, b"x" * 70_000), 1009),
        (frames(Opcode.TEXT, b"x" * 40_000, fin=False) + frames(Opcode.CONT, b"x" * 40_000), 1009),
        (frames(Opcode.TEXT, b"{}", 500), 1008),
        (frames(Opcode.PING, b"", 3000), 1008),
        (frames(Opcode.TEXT, b"x", fin=False) + frames(Opcode.CONT, b"", 3000, fin=False), 1008),
        (frames(Opcode.TEXT, b"\xff\xfe"), 1007),
        (b"\x81\x05hello", 1002),
    ],
    ids=["large", "large in pieces", "messages", "pings", "empty pieces", "no text", "unmasked"],
)
async def test_whoever_floods_or_breaks_the_protocol_is_told_a_code_and_cut(site: Site, data: bytes, code: int) -> None:
    async with connection(site.port) as (reader, writer):
        writer.write(handshake("/ws?after="))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        said = await closed(reader, within_s=3)
        assert b"\x88\x02" + code.to_bytes(2, "big") in said
    await until(lambda: not site.services.hub.viewers, 3)


async def test_data_after_a_refusal_is_ignored(site: Site) -> None:
    """The refusal is being sent when the data comes; a second answer would be an exception."""
    refusal = handshake("/ws", "Origin: null")
    for _ in range(20):
        async with connection(site.port) as (reader, writer):
            writer.write(refusal)
            await reader.readexactly(12)
            writer.write(frames(Opcode.TEXT, b"{}", 50))
            await closed(reader, within_s=3)
    assert (await ask_for_socket(site.port)).status == 101


async def test_a_refused_handshake_ends_the_connection(site: Site) -> None:
    async with connection(site.port) as (reader, writer):
        writer.write(handshake("/ws", "Sec-WebSocket-Version: 12"))
        assert (await answer(reader)).status == 400
        await closed(reader, within_s=1)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ],
    ids=["LF", "one LF", "CL and TE", "two CL", "two hosts"],
)
async def test_what_a_proxy_could_read_differently_is_400_and_ends_the_connection(site: Site, data: bytes) -> None:
    async with connection(site.port) as (reader, writer):
        writer.write(data + request("GET", "/api/health"))
        assert (await answer(reader)).status == 400
        assert b"200" not in await closed(reader, within_s=2)


async def test_a_body_may_hold_line_feeds(site: Site) -> None:
    body = b'{"content":\n"a"}\n\n'
    async with connection(site.port) as (reader, writer):
        writer.write(request("POST", "/api/chat/message", body=body) + request("GET", "/api/health"))
        assert (await answer(reader)).status == 202
        assert (await answer(reader)).status == 200


async def test_a_socket_that_is_refused_is_not_counted_as_open(site: Site) -> None:
    for _ in range(60):
        assert (await ask_for_socket(site.port, "/ws", "Origin: null")).status == 403
    assert (await ask_for_socket(site.port)).status == 101
