"""A small HTTP/1.1 server on a real socket: requests in, replies written exactly as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"
TEXT = "text/plain"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    raw_body: bytes
    at: float
    """Seconds on the loop's clock."""
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client left before the reply was complete."""

    @property
    def body(self) -> dict[str, object]:
        return dict(json.loads(self.raw_body)) if self.raw_body else {}


class Reply:
    """What a handler writes to. Nothing is added: no header, no framing beyond what was asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunked = False
        self.begun = False

    def head(self, status: int, headers: Sequence[tuple[str, str]], reason: str | None = None) -> None:
        self.begun = True
        self._chunked = any(name.lower() == "transfer-encoding" for name, _ in headers)
        lines = [f"HTTP/1.1 {status} {reason or REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self._connection.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def stream(self, content_type: str = NDJSON) -> None:
        self.head(200, [("Content-Type", content_type), ("Transfer-Encoding", "chunked")])

    async def part(self, data: bytes) -> None:
        """One HTTP chunk, or plain bytes where the head announced a length."""
        self._connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        await self._connection.drained.wait()

    def end(self) -> None:
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")

    def whole(self, status: int, content_type: str, data: bytes) -> None:
        headers = [("Content-Type", content_type)] if content_type else []
        self.head(status, [*headers, ("Content-Length", str(len(data)))])
        self._connection.write(data)

    def json(self, value: object, status: int = 200) -> None:
        self.whole(status, JSON, json.dumps(value).encode())

    def break_off(self) -> None:
        """Ends the connection with a FIN, whatever was promised."""
        self._connection.transport.close()

    def reset(self) -> None:
        self._connection.transport.abort()


Handler = Callable[[Request, Reply], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One client. Requests are handled one by one; the handler is cancelled when the client leaves."""

    transport: asyncio.Transport

    def __init__(self, owner: WireServer) -> None:
        self._owner = owner
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._request: Request | None = None
        self.drained = asyncio.Event()
        self.drained.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._owner.connections.add(self)
        self._owner.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connections.discard(self)
        self.drained.set()
        if self._task is not None and self._request is not None:
            self._request.aborted.set()
            self._owner.aborted.append(self._request)
            self._task.cancel()
        self._owner.changed.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def pause_writing(self) -> None:
        self.drained.clear()

    def resume_writing(self) -> None:
        self.drained.set()

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def _next(self) -> None:
        if self._task is None and (request := self._parsed()) is not None:
            self._request = request
            self._owner.note(request)
            self._task = asyncio.ensure_future(self._handle(request))

    async def _handle(self, request: Request) -> None:
        try:
            await self._owner.handler(request, Reply(self))
        except Exception as error:
            self._owner.failures.append(error)
            self.transport.abort()
        finally:
            self._task = self._request = None
        self._owner.changed.set()
        self._next()

    def _parsed(self) -> Request | None:
        head, complete, rest = self._buffer.partition(b"\r\n\r\n")
        if not complete:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        method, path, _ = first.split(" ")
        return Request(method, path, headers, rest[:length], asyncio.get_running_loop().time())


class WireServer:
    """`async with`; then `url`. A handler that raised makes leaving the block fail with its error."""

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.handler = handler
        self.connections: set[Connection] = set()
        self.accepted = 0
        """Connections so far, the closed ones included."""
        self.requests: list[Request] = []
        self.aborted: list[Request] = []
        self.failures: list[Exception] = []
        self.changed = asyncio.Event()
        self._host = host
        self.port = port
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    async def listen(self) -> None:
        """The first time at any free port (or the given one), later at the same again."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def drop_connections(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()

    def note(self, request: Request) -> None:
        self.requests.append(request)
        self.changed.set()

    async def until(self, condition: Callable[[], bool], within_s: float = 5.0) -> None:
        """Waits until something about the traffic came true."""
        async with asyncio.timeout(within_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop_listening()
        self.drop_connections()
        await self.until(lambda: not self.connections)
        if self.failures:
            raise self.failures[0]
