"""The yardstick for fan-out: as little as Python can do to send frames to many sockets. Says its port.

`GET /go?RATE,COUNT,SIZE` sends COUNT frames of SIZE bytes to every socket, RATE a second, then `end`, then replies.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
sockets: set[asyncio.Transport] = set()
running: set[asyncio.Task[None]] = set()


def frame(text: bytes) -> bytes:
    size = len(text)
    if size < 126:
        return bytes([0x81, size]) + text
    return b"\x81" + (b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")) + text


async def send_all(rate: float, count: int, size: int) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(count):
        await asyncio.sleep(started + number / rate - loop.time())
        data = frame(b"%06d" % number + b"x" * (size - 6))
        for transport in sockets:
            transport.write(data)
    for transport in sockets:
        transport.write(frame(b"end"))


class Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        sockets.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.transport in sockets or not data.startswith(b"GET "):
            return
        path = data.split(b" ", 2)[1]
        if path.startswith(b"/go?"):
            rate, count, size = path[4:].split(b",")
            running.add(task := asyncio.create_task(self._go(float(rate), int(count), int(size))))
            task.add_done_callback(running.discard)
            return
        key = data.lower().index(b"sec-websocket-key:") + 18
        accept = base64.b64encode(hashlib.sha1(data[key:].split(b"\r\n")[0].strip() + GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        sockets.add(self.transport)

    async def _go(self, rate: float, count: int, size: int) -> None:
        await send_all(rate, count, size)
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
