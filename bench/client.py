"""Clients that cost little, so that what is measured is the server: HTTP/1.1 and WebSocket on bare asyncio."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
NO_MASK = b"\0\0\0\0"
IDLE_S = 2.0
"""Servers close a connection that rests for five seconds."""


class Http:
    """One kept-alive connection, made anew after a rest and when the server has had enough of it; one request at a
    time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of a reply that tells its length."""
        status, headers = await self._begin(method, path, body)
        return status, headers, await self._reader.readexactly(int(headers.get("content-length", 0)))

    async def chunks(self, path: str, body: Any) -> AsyncIterator[tuple[int, bytes]]:
        """(monotonic nanoseconds of its arrival, chunk) of a chunked reply to a POST."""
        await self._begin("POST", path, body)
        while size := int(await self._reader.readline(), 16):
            chunk = (await self._reader.readexactly(size + 2))[:-2]
            yield time.monotonic_ns(), chunk
        await self._reader.readline()

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._used_at = time.monotonic()

    async def _begin(self, method: str, path: str, body: Any) -> tuple[int, dict[str, str]]:
        if time.monotonic() - self._used_at > IDLE_S:
            self._writer.close()
            await self._connect()
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
        self._writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self._used_at = time.monotonic()
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if headers.get("connection") == "close":
            self._used_at = float("-inf")
        return int(first.split(" ")[1]), headers


OnText = Callable[[bytes, int], None]
"""Called with each text frame and the monotonic nanoseconds of its arrival."""


class Socket(asyncio.Protocol):
    """A WebSocket client. Pings are answered; whole frames only, as our servers send them."""

    def __init__(self, port: int, path: str, on_text: OnText) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._port, self._path, self._on_text = port, path, on_text
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._head_read = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        head = (
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        transport.write(head.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the server refused the socket"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._buffer += data
        if not self._head_read and not self._read_head():
            return
        for opcode, payload in self._frames():
            if opcode == TEXT:
                self._on_text(payload, now)
            elif opcode == PING:
                self._send(PONG, payload)

    def say(self, type_: str, **payload: Any) -> None:
        self._send(TEXT, json.dumps({"type": type_, "payload": payload}).encode())

    def close(self) -> None:
        if not self._transport.is_closing():
            self._send(CLOSE, b"\x03\xe8")
            self._transport.close()

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self._transport.write(bytes([0x80 | opcode]) + length + NO_MASK + payload)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if self._buffer.startswith(b"HTTP/1.1 101"):
            self._head_read = True
            self.opened.set_result(None)
        else:
            self._transport.close()
        del self._buffer[: end + 4]
        return self._head_read

    def _frames(self) -> list[tuple[int, bytes]]:
        buffer, at, found = self._buffer, 0, []
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, start = int.from_bytes(buffer[start : start + width], "big"), start + width
            if len(buffer) < start + size or start > len(buffer):
                break
            found.append((buffer[at] & 15, bytes(buffer[start : start + size])))
            at = start + size
        del buffer[:at]
        return found


async def open_socket(port: int, path: str, on_text: OnText) -> Socket:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Socket(port, path, on_text), "127.0.0.1", port)
    await connection.opened
    return connection


def client_id() -> str:
    return os.urandom(8).hex()
