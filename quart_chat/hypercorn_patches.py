"""The only place that touches Hypercorn's internals: what its settings cannot say.

Written for Hypercorn 0.18; tests/e2e/test_hypercorn_patches.py fails when the patched code changes upstream.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from io import BytesIO, StringIO
from typing import Any
from weakref import WeakKeyDictionary

import h11
import hypercorn.asyncio.run as hypercorn_run
import hypercorn.protocol.ws_stream as ws_stream
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.protocol.events import Data, Event, StreamClosed
from hypercorn.protocol.h11 import H11Protocol
from wsproto.connection import ConnectionState
from wsproto.events import Message, TextMessage

HYPERCORN_SERIES = "0.18."

_connections: set[asyncio.StreamWriter] = set()
_pings: WeakKeyDictionary[ws_stream.WSStream, asyncio.Task[Any]] = WeakKeyDictionary()


def apply_patches() -> None:
    """Changes Hypercorn for this process; a second call changes nothing."""
    hypercorn_run.TCPServer = TrackedTCPServer  # type: ignore[attr-defined]
    ws_stream.server_extensions_handshake = _offer_no_extension  # type: ignore[attr-defined]
    ws_stream.WebsocketBuffer = ByteCountingBuffer  # type: ignore[misc]
    ws_stream.WSStream._handle_events = _handle_events_then_hang_up  # type: ignore[method-assign]
    ws_stream.WSStream._send_pings = _send_pings_and_be_found  # type: ignore[method-assign]
    ws_stream.WSStream.handle = _handle_and_end_pings  # type: ignore[method-assign]
    ws_stream.WSStream.app_send = _send_text_at_once  # type: ignore[method-assign]
    H11Protocol._check_protocol = _ignore_upgrade_to_http2  # type: ignore[method-assign]
    H11Protocol.__init__ = _init_for_http1  # type: ignore[method-assign]


def abort_connections() -> int:
    """Drops every TCP connection that is still open, unsent data included; how many there were."""
    writers = list(_connections)
    for writer in writers:
        writer.transport.abort()
    return len(writers)


class TrackedTCPServer(TCPServer):
    """Keeps the writers, because Hypercorn offers no way to drop a client that never leaves.

    Without it `Server.wait_closed()` waits for ever on Python 3.12 and later.
    """

    async def run(self) -> None:
        _connections.add(self.writer)
        try:
            await super().run()
        finally:
            _connections.discard(self.writer)


def _offer_no_extension(requested: Any, supported: Any) -> None:
    """No permessage-deflate: 1 MB on the wire unpacks to more than 1 GB here, and there is no setting."""
    return


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


_app_send = ws_stream.WSStream.app_send


async def _send_text_at_once(self: ws_stream.WSStream, message: Any) -> None:
    """A text goes to the socket as one frame that is made once for all who are sent the same."""
    text = message.get("text") if message is not None and message["type"] == "websocket.send" else None
    connected = self.state is ws_stream.ASGIWebsocketState.CONNECTED and not self.closed
    if isinstance(text, str) and connected and self.connection.state is ConnectionState.OPEN:
        await self.send(Data(stream_id=self.stream_id, data=text_frame(text)))
    else:
        await _app_send(self, message)


@lru_cache(maxsize=16)
def text_frame(text: str) -> bytes:
    """A WebSocket text frame of a server: whole, not masked, not compressed."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


_handle_events = ws_stream.WSStream._handle_events


async def _handle_events_then_hang_up(self: ws_stream.WSStream) -> None:
    """After closing with 1009 the original keeps reading and buffering; this ends the connection."""
    await _handle_events(self)
    closed_by_library = self.connection.state is ConnectionState.LOCAL_CLOSING
    if closed_by_library and not self.closed and self.state is ws_stream.ASGIWebsocketState.CONNECTED:
        await self.send(StreamClosed(stream_id=self.stream_id))


_send_pings = ws_stream.WSStream._send_pings


async def _send_pings_and_be_found(self: ws_stream.WSStream) -> None:
    task = asyncio.current_task()
    if task is not None:
        _pings[self] = task
    await _send_pings(self)


_handle = ws_stream.WSStream.handle


async def _handle_and_end_pings(self: ws_stream.WSStream, event: Event) -> None:
    """The original leaves a closed connection's tasks asleep until the next ping would be due: 20 s each,
    which a stop would have to wait for."""
    await _handle(self, event)
    if self.closed and (pings := _pings.pop(self, None)) is not None:
        pings.cancel()


async def _ignore_upgrade_to_http2(self: H11Protocol, event: h11.Request) -> None:
    """HTTP/1.1 only: `Upgrade: h2c` gets past limits and proxies; ignored, it is an ordinary request."""


class Http1Connection(h11.Connection):
    """Answers the preface of HTTP/2 with 505; raised here because only here Hypercorn expects it."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request) and not event.http_version.startswith(b"1."):
            raise h11.RemoteProtocolError("only HTTP/1 is spoken here", error_status_hint=505)
        return event


_init = H11Protocol.__init__


def _init_for_http1(self: H11Protocol, *arguments: Any, **named: Any) -> None:
    _init(self, *arguments, **named)
    limit = self.config.h11_max_incomplete_size
    self.connection = Http1Connection(h11.SERVER, max_incomplete_event_size=limit)
