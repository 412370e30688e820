"""What Hypercorn would let one client do, and that it still is the Hypercorn the patches were written for."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import hypercorn.asyncio.run
import hypercorn.asyncio.tcp_server
import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream as ws_stream
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from quart_chat.hypercorn_patches import HYPERCORN_SERIES, ByteCountingBuffer, text_frame
from quart_chat.server import WEBSOCKET_MESSAGE_BYTES
from tests.e2e.processes import Server, connected, handshake, open_socket, started

PATCHED_SOURCES = {
    hypercorn.asyncio.run.worker_serve: "ae30269c42b95442",
    hypercorn.asyncio.tcp_server.TCPServer.run: "9437d01a916d887b",
    hypercorn.protocol.h11.H11Protocol._check_protocol: "f95f6b38f43c62aa",
    hypercorn.protocol.h11.H11Protocol.__init__: "c7c989fd6a352626",
    hypercorn.protocol.h11.H11Protocol._handle_events: "bd4a76b2837e8722",
    ws_stream.Handshake.accept: "e163533bf7919793",
    ws_stream.WSStream.app_send: "a6dd1160bfc416e7",
    ws_stream.WSStream._handle_events: "b90f3f595ff9fd47",
    ws_stream.WSStream._send_pings: "4721ce45cbdf91e6",
    ws_stream.WSStream.handle: "743209f49012b8c7",
    ws_stream.WebsocketBuffer: "31c9b1345f308f4c",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with started(tmp_path) as process:
        yield process


async def answer_to(server: Server, request: bytes) -> bytes:
    """The first line that comes back."""
    async with connected(server) as (reader, writer), asyncio.timeout(5):
        writer.write(request)
        return await reader.readline()


async def write_for_ever(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize("patched", PATCHED_SOURCES, ids=lambda patched: patched.__qualname__)
def test_the_patched_code_is_still_what_the_patch_was_written_for(patched: object) -> None:
    source = inspect.getsource(patched)  # type: ignore[arg-type]
    found = hashlib.sha256(source.encode()).hexdigest()[:16]
    assert found == PATCHED_SOURCES[patched], "read what changed upstream, then the patch, then note this hash"


def test_the_version_is_of_the_series_the_patches_name() -> None:
    assert version("hypercorn").startswith(HYPERCORN_SERIES)


async def test_compression_is_never_agreed_to(server: Server) -> None:
    client = await open_socket(server, "/ws/room", compression="deflate")
    assert client.protocol.extensions == []
    await client.close()


async def test_a_message_is_measured_in_bytes(server: Server) -> None:
    client = await open_socket(server, "/ws/room", compression=None)
    text = "€" * (WEBSOCKET_MESSAGE_BYTES // 3)
    await client.send(text)
    assert await client.recv() == text
    await client.send(text + "€")
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert client.close_code == 1009


async def test_texts_of_every_frame_size_arrive_as_they_were_sent(server: Server) -> None:
    client = await open_socket(server, "/ws/room", compression=None, max_size=None)
    for size in (0, 1, 125, 126, 127, WEBSOCKET_MESSAGE_BYTES - 1):
        await client.send("a" * size)
        assert await client.recv() == "a" * size
    await client.close()


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
def test_a_frame_is_what_a_client_that_is_not_ours_reads(size: int) -> None:
    text = "é" * (size // 2) + "a" * (size % 2)
    frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
    assert text_frame(text) == frame


async def test_after_1009_nothing_more_is_taken(server: Server) -> None:
    """An endless message: the server hangs up instead of buffering what comes after its close frame."""
    first = Frame(Opcode.BINARY, b"x" * (WEBSOCKET_MESSAGE_BYTES + 1), fin=False).serialize(mask=True)
    more = Frame(Opcode.CONT, b"x" * WEBSOCKET_MESSAGE_BYTES, fin=False).serialize(mask=True)
    async with connected(server) as (reader, writer), asyncio.timeout(10):
        writer.write(handshake("/ws/room"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        with pytest.raises(ConnectionError):
            await write_for_ever(writer, more)


async def test_http2_is_refused_both_ways(server: Server) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    upgrade = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"
    )
    assert b"505" in await answer_to(server, preface)
    assert b"200" in await answer_to(server, upgrade)
    assert "Traceback" not in (await server.stop())[2]


async def test_the_server_does_not_say_what_it_is(server: Server) -> None:
    async with connected(server) as (reader, writer), asyncio.timeout(5):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
    assert b"server:" not in head.lower()


def test_the_buffer_forgets_a_message_that_is_too_large() -> None:
    buffer = ByteCountingBuffer(10)
    with pytest.raises(ws_stream.FrameTooLargeError):
        buffer.extend(ws_stream.TextMessage(data="x" * 11))
    assert (buffer.value, buffer.length) == (None, 0)
