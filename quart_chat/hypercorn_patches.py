"""The only place that touches Hypercorn's internals: what its settings cannot say. Each part says why.

For Hypercorn 0.18 with Quart 0.22 and 0.23; tests/e2e/test_hypercorn_patches.py fails when what is used here changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from io import BytesIO, StringIO
from typing import Any, cast

import h11
import hypercorn.asyncio.run as hypercorn_run
import hypercorn.asyncio.tcp_server as hypercorn_tcp
import hypercorn.protocol as hypercorn_protocol
import hypercorn.protocol.h11 as hypercorn_h11
import hypercorn.protocol.ws_stream as ws_stream
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.task_group import _handle as _handle_app
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from quart_chat.edge.connections import Connections
from quart_chat.edge.headers import BARE_HEADERS, TURNED_AWAY
from quart_chat.edge.inbound import FrameRate, InboundQueue, disconnect, is_last
from quart_chat.edge.strict_http import ENDED, StrictConnection
from quart_chat.edge.text_line import TextLine, text_frame, text_line

HYPERCORN_SERIES = "0.18."
PONG_DEADLINE_S, CLOSE_S = 45.0, 10.0
CLOSED_BY_US, ABNORMAL, TOO_MANY = 1000, 1006, 1008


class EdgeConfig(Config):
    """Carries what the classes below need and Hypercorn does not know of."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self.connections = connections


def apply_patches() -> None:
    """Changes Hypercorn for this process; a second call changes nothing."""
    hypercorn_run.TCPServer = CountedTCPServer  # type: ignore[attr-defined]
    hypercorn_tcp.TaskGroup = EndingTaskGroup  # type: ignore[attr-defined]
    hypercorn_protocol.H11Protocol = Http1Protocol  # type: ignore[attr-defined]
    hypercorn_h11.WSStream = GuardedSocket  # type: ignore[attr-defined]
    hypercorn_h11.HTTPStream = GuardedHttp  # type: ignore[attr-defined]
    ws_stream.server_extensions_handshake = _offer_no_extension  # type: ignore[attr-defined]
    ws_stream.WebsocketBuffer = ByteCountingBuffer  # type: ignore[misc]


class Abort(StreamClosed):
    """From a stream to its connection: drop it, unsent data included."""


class CountedTCPServer(TCPServer):
    """Hypercorn has no limit of connections and no way to drop one; Python >= 3.12 waits for the last on stopping."""

    config: EdgeConfig

    async def run(self) -> None:
        connections = self.config.connections
        if not connections.enter(self.writer):
            self.writer.write(TURNED_AWAY)
            self.writer.close()
            return
        try:
            await connections.turn(self.writer)
            await super().run()
        finally:
            connections.leave(self.writer)

    async def protocol_send(self, event: Any) -> None:
        """asyncio logs a line for every write to a lost connection."""
        if isinstance(event, Abort):
            self.writer.transport.abort()
        elif isinstance(event, RawData) and self.writer.transport.is_closing():
            await self.protocol.handle(Closed())
        else:
            await super().protocol_send(event)

    async def _close(self) -> None:
        """The original waits without end for a client that does not read what was sent last."""
        giving_up = self.loop.call_later(CLOSE_S, self.writer.transport.abort)
        try:
            await super()._close()
        finally:
            giving_up.cancel()


class EndingTaskGroup(TaskGroup):
    """The original's queue to an application that has ended stays full: who puts waits for ever, the connection and
    its tasks stay. And Quart 0.23 goes on listening after it has closed a socket, until the client leaves."""

    async def spawn_app(self, app: Any, config: Any, scope: Any, send: Any) -> Callable[[Any], Awaitable[None]]:
        inbound = InboundQueue(config.max_app_queue_size, disconnect(scope["type"], CLOSED_BY_US))

        async def send_and_end(event: Any) -> None:
            if event is None:
                inbound.end()
            await send(event)
            if event is not None and is_last(event):
                inbound.end()
                if event.get("code") == TOO_MANY:
                    config.connections.charge(scope["client"])

        self.spawn(_handle_app, app, config, scope, inbound.get, send_and_end, None, None)
        return inbound.put


class BareErrors:
    """Answers of Hypercorn itself have no body; these give them the security headers that every answer has."""

    send: Callable[[Event], Awaitable[None]]
    stream_id: int

    async def _send_error_response(self, status_code: int) -> None:
        await self.send(Response(stream_id=self.stream_id, headers=BARE_HEADERS, status_code=status_code))
        await self.send(EndBody(stream_id=self.stream_id))


class GuardedHttp(BareErrors, HTTPStream): ...


class GuardedSocket(BareErrors, WSStream):
    """Hangs up on whoever sends too much, too often, nonsense, or no pongs. The original goes on reading and buffering
    after its close frame, answers pings without limit, and never misses a pong."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pings: asyncio.Task[None] | None = None
        self._last_pong = time.monotonic()
        self._frames = FrameRate()

    async def handle(self, event: Event) -> None:
        """The original lets the pinging task sleep on, which a stop waits for, and forgets whom it refused with 400."""
        if isinstance(event, Request):
            text_line.set(TextLine(self._can_write, self._write_text))  # the application's task inherits it
        if isinstance(event, Body | Data) and not self.closed and not self.handshake.accepted:
            if self.state is ASGIWebsocketState.HANDSHAKE:  # else it was refused, and the answer is on its way
                self.closed = True
                await self._send_error_response(400)
        else:
            await super().handle(event)
        if self.closed and self._pings is not None:
            self._pings.cancel()
        if self.closed and self.state is ASGIWebsocketState.HANDSHAKE and not isinstance(event, StreamClosed):
            if self.app_put is not None:
                await self.app_put(disconnect("websocket", ABNORMAL))
            await self.send(StreamClosed(stream_id=self.stream_id))

    def _can_write(self) -> bool:
        server = cast("Any", self.send).__self__.send.__self__
        return (
            self.state is ASGIWebsocketState.CONNECTED
            and self.connection.state is ConnectionState.OPEN
            and not self.closed
            and not server.send_lock.locked()
            and not server.writer.transport.is_closing()
            and not server.writer.transport.get_write_buffer_size()
        )

    def _write_text(self, text: str) -> None:
        cast("Any", self.send).__self__.send.__self__.writer.write(text_frame(text))

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if not self._frames.take():
                return await self._hang_up(TOO_MANY)
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except ws_stream.FrameTooLargeError:
                    return await self._hang_up(CloseReason.MESSAGE_TOO_BIG)
                if event.message_finished:
                    message, self.buffer.value, self.buffer.length = self.buffer.to_message(), None, 0
                    await self.app_put(message)  # type: ignore[misc]
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, Pong):
                self._last_pong = time.monotonic()
            elif isinstance(event, CloseConnection):
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                    await self.send(StreamClosed(stream_id=self.stream_id))
                else:
                    await self._hang_up(event.code)
        return None

    async def _hang_up(self, code: int) -> None:
        if not self.closed:
            cast("EdgeConfig", self.config).connections.charge(self.client)
            await self._send_wsproto_event(CloseConnection(code=code))
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_pings(self) -> None:
        """A peer that is gone takes no goodbye: its connection is dropped."""
        self._pings = cast("asyncio.Task[None]", asyncio.current_task())
        self._last_pong = time.monotonic()
        interval = cast("float", self.config.websocket_ping_interval)
        while not self.closed:
            left = self._last_pong + PONG_DEADLINE_S - time.monotonic()
            try:
                async with asyncio.timeout(left):
                    await self._send_wsproto_event(Ping())
                    await asyncio.sleep(min(interval, left + 1))
            except TimeoutError:
                if time.monotonic() - self._last_pong >= PONG_DEADLINE_S:
                    await self.send(Abort(stream_id=self.stream_id))
                    await self.send(StreamClosed(stream_id=self.stream_id))


class ByteCountingBuffer(ws_stream.WebsocketBuffer):
    """Counts bytes where the original counts characters, and keeps nothing of a message that is too large."""

    def extend(self, event: Message[Any]) -> None:
        data = event.data
        self.length += len(data.encode()) if isinstance(data, str) else len(data)
        if self.length > self.max_length:
            self.clear()
            raise ws_stream.FrameTooLargeError
        if self.value is None:
            self.value = StringIO() if isinstance(event, TextMessage) else BytesIO()
        self.value.write(data)


class Http1Protocol(hypercorn_h11.H11Protocol):
    """HTTP/1.1 only: HTTP/2 in clear text gets past limits and proxies."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        limit = self.config.h11_max_incomplete_size
        self.connection = StrictConnection(h11.SERVER, max_incomplete_event_size=limit)

    async def handle(self, event: Any) -> None:
        """The original, holding back a request sent in advance, does not notice that the client left."""
        await super().handle(event)
        if isinstance(event, Closed):
            self.connection = cast("Any", ENDED)
            await self.can_read.set()

    async def stream_send(self, event: Event) -> None:
        if isinstance(event, Abort):
            await self.send(cast("Any", event))
        else:
            await super().stream_send(event)

    async def _check_protocol(self, event: h11.Request) -> None:
        """The original would follow `Upgrade: h2c`; ignored, it is an ordinary request."""

    async def _send_error_response(self, status_code: int) -> None:
        await self._send_h11_event(h11.Response(status_code=status_code, headers=BARE_HEADERS))
        await self._send_h11_event(h11.EndOfMessage())


def _offer_no_extension(requested: Any, supported: Any) -> None:
    """No permessage-deflate: 1 MB on the wire unpacks to more than 1 GB here, and there is no setting."""
