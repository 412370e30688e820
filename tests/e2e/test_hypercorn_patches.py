"""What Hypercorn would let one client do, and that it still is the Hypercorn the patches were written for."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import hypercorn.asyncio.run
import hypercorn.asyncio.task_group
import hypercorn.asyncio.tcp_server
import hypercorn.protocol
import hypercorn.protocol.h11
import hypercorn.protocol.http_stream as http_stream
import hypercorn.protocol.ws_stream as ws_stream
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from quart_chat.hypercorn_patches import HYPERCORN_SERIES, ByteCountingBuffer
from quart_chat.server import WEBSOCKET_MESSAGE_BYTES
from tests.e2e.processes import Server, connected, handshake, open_socket, started

PATCHED_SOURCES = {
    hypercorn.asyncio.run.worker_serve: "ae30269c42b95442",
    hypercorn.asyncio.task_group._handle: "e37cfe3db06eb470",
    hypercorn.asyncio.task_group.TaskGroup.spawn_app: "6606faaadfc368e3",
    hypercorn.asyncio.tcp_server.TCPServer: "3bfa72b319509f2b",
    hypercorn.protocol.ProtocolWrapper: "caf949187e9b4a81",
    hypercorn.protocol.h11.H11Protocol: "b32a61e0a8ca2127",
    http_stream.HTTPStream: "e0f656feb55ab89c",
    ws_stream.Handshake.accept: "e163533bf7919793",
    ws_stream.WSStream: "67434c428a1a3c04",
    ws_stream.WebsocketBuffer: "31c9b1345f308f4c",
}


WITHOUT = """
import sys
from quart_chat.left_out import leave_out
leave_out()
import quart_chat.app, quart_chat.hypercorn_patches, hypercorn.asyncio
print(*(name for name in ("hpack", "priority", "h2.connection", "pygments") if name in sys.modules))
"""


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


async def test_what_serves_has_not_loaded_what_it_does_not_use() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WITHOUT, stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"\n"
    assert process.returncode == 0
