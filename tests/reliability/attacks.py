"""One hostile client, at an address of its own: every way it has of using more than its share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from websockets.frames import Opcode

from tests.e2e.processes import handshake
from tests.edge.wire import closed, connection, frames, request

SOURCE = "127.0.0.66"
PAUSE_S = 0.02
Attack = Callable[[int], Awaitable[None]]


async def oversized(port: int) -> None:
    """A message without end."""
    piece = frames(Opcode.CONT, b"x" * 32_000, fin=False)
    await _on_socket(port, frames(Opcode.BINARY, b"x", fin=False), piece)


async def flood(port: int) -> None:
    """Messages as fast as they are taken."""
    await _on_socket(port, b"", frames(Opcode.TEXT, b'{"type":"ping"}', 200))


async def tiny(port: int) -> None:
    """Pings and empty pieces, six bytes each."""
    await _on_socket(port, frames(Opcode.TEXT, b"", fin=False), frames(Opcode.PING, b"", 2000))


async def stuck(port: int) -> None:
    """A reader that takes nothing."""
    async with connection(port, SOURCE) as (reader, writer):
        writer.write(handshake("/ws?view=html&after="))
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)


async def stuck_stream(port: int) -> None:
    """A stream of a long answer, always the same one, of which nothing is read. A cookie each: a person has few."""
    body = b'{"message":"Go on.","client_id":"stuck"}'
    headers = ("Content-Type: application/json", f"Cookie: qc_person={secrets.token_hex(8)}")
    async with connection(port, SOURCE) as (reader, writer):
        writer.write(request("POST", "/api/chat/stream", *headers, body=body))
        await reader.readexactly(12)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)


async def slow_head(port: int) -> None:
    """A byte of a header every half second."""
    async with connection(port, SOURCE) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        while not writer.transport.is_closing():
            writer.write(b"b")
            await asyncio.sleep(0.5)


async def slow_body(port: int) -> None:
    """Most of the largest body that is taken, and then a byte every half second."""
    async with connection(port, SOURCE) as (_, writer):
        writer.write(request("POST", "/api/chat/message", "Content-Length: 390000") + b"x" * 300_000)
        while not writer.transport.is_closing():
            writer.write(b"b")
            await asyncio.sleep(0.5)


async def huge_body(port: int) -> None:
    """A body without end."""
    chunk = b"8000\r\n" + b"x" * 32_768 + b"\r\n"
    async with connection(port, SOURCE) as (_, writer):
        writer.write(request("POST", "/api/chat/message", "Transfer-Encoding: chunked"))
        await _pour(writer, chunk)


async def requests(port: int) -> None:
    """Pages, one after the other, never read."""
    async with connection(port, SOURCE) as (_, writer):
        await _pour(writer, request("GET", "/", "Accept: text/html"))


async def connections(port: int) -> None:
    """Connections that are opened and left."""
    for _ in range(20):
        async with connection(port, SOURCE) as (reader, writer):
            writer.write(request("GET", "/api/health", "Connection: close"))
            await closed(reader, within_s=5)


CROWD: dict[Attack, int] = {
    oversized: 4,
    flood: 4,
    tiny: 4,
    stuck: 100,
    stuck_stream: 8,
    slow_head: 20,
    slow_body: 20,
    huge_body: 4,
    requests: 4,
    connections: 4,
}
"""attack -> how many at a time; together fewer than one address may have, or most would only be turned away"""


async def attack(port: int, seconds: float) -> None:
    """All of it at once, again and again."""
    running = [asyncio.create_task(_again(one, port)) for one, times in CROWD.items() for _ in range(times)]
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _again(one: Attack, port: int) -> None:
    while True:
        with suppress(OSError, EOFError, TimeoutError):
            await one(port)
        await asyncio.sleep(PAUSE_S)


async def _on_socket(port: int, first: bytes, more: bytes) -> None:
    async with connection(port, SOURCE) as (reader, writer):
        writer.write(handshake("/ws?after="))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await _pour(writer, more)


async def _pour(writer: asyncio.StreamWriter, data: bytes) -> None:
    """At up to some 50 MB/s in all: it is the server that is to be busy, not this machine's loopback."""
    while not writer.transport.is_closing():
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


def main() -> None:
    import sys

    asyncio.run(attack(int(sys.argv[1]), float(sys.argv[2])))


if __name__ == "__main__":
    main()
