"""Bytes on a connection of one's own: what no polite client would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from websockets.frames import Frame, Opcode

from tests.e2e.processes import handshake

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connection(port: int, source: str = "127.0.0.1") -> AsyncIterator[Stream]:
    """From any address of this machine's loopback network; dropped at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def request(method: str, path: str, *headers: str, host: str = "127.0.0.1", body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *length, *headers, "", ""]).encode() + body


async def answer(reader: asyncio.StreamReader, *, has_body: bool = True) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    length = int(headers.get("content-length", 0)) if has_body else 0
    return Answer(int(head[0].split()[1]), headers, await reader.readexactly(length) if length else b"")


async def ask(port: int, data: bytes, *, source: str = "127.0.0.1", within_s: float = 10) -> Answer:
    """The answer to `data` on a connection of its own."""
    async with asyncio.timeout(within_s), connection(port, source) as (reader, writer):
        writer.write(data)
        return await answer(reader, has_body=not data.startswith(b"HEAD "))


async def ask_for_socket(port: int, path: str = "/ws", *headers: str, host: str = "127.0.0.1") -> Answer:
    return await ask(port, handshake(path, *headers).replace(b"Host: 127.0.0.1", b"Host: " + host.encode("latin1")))


async def closed(reader: asyncio.StreamReader, within_s: float) -> bytes:
    """What still came until the other side ended the connection, however it did. Fails after `within_s`."""
    data = b""
    async with asyncio.timeout(within_s):
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                data += piece
    return data


def frames(opcode: Opcode, data: bytes, pieces: int = 1, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True) * pieces


def origins_of(port: int) -> Sequence[str]:
    """Twenty origins that are not ours, whatever they look like."""
    own = f"127.0.0.1:{port}"
    return (
        "null",
        "",
        "https://evil.example",
        f"http://evil.example:{port}",
        f"https://{own}",
        f"http://127.0.0.1:{port + 1}",
        "http://127.0.0.1",
        f"http://localhost:{port}",
        f"http://{own}.evil.example",
        f"http://evil-{own}",
        f"http://user@{own}",
        f"http://{own}@evil.example",
        f"http://{own}/",
        f"http://{own}/path",
        f"http://{own}?query",
        f"http://{own}#part",
        f"http://{own} http://evil.example",
        f"file://{own}",
        f"ws://{own}",
        f"http://127.1:{port}",
    )
