"""Bounds what waits for an application, and ends it: queues between Hypercorn's reader, Quart and a handler."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from hypercorn.typing import (
        ASGIFramework,
        ASGIReceiveCallable,
        ASGIReceiveEvent,
        ASGISendCallable,
        ASGISendEvent,
        Scope,
    )

TAKEN = "quart_chat.taken"
"""In `scope["extensions"]`: to be called when a handler has taken a message."""
UNREAD_MESSAGES = 2
FRAMES_PER_S, FRAMES_BURST = 60.0, 200.0


class Gate:
    """Open while fewer messages are unread than may be."""

    def __init__(self) -> None:
        self._unread = 0
        self._room = asyncio.Event()
        self._room.set()

    async def wait(self) -> None:
        await self._room.wait()

    def given(self) -> None:
        self._unread += 1
        if self._unread >= UNREAD_MESSAGES:
            self._room.clear()

    def taken(self) -> None:
        self._unread -= 1
        self._room.set()

    def open(self) -> None:
        self._room.set()


class BoundedInbound:
    """Quart (0.22 and 0.23) moves every message into a queue without end. Here it is handed no more than the handler
    takes; the rest waits in the kernel, and so does the client."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        gate = Gate()
        cast("dict[str, Any]", scope["extensions"])[TAKEN] = gate.taken

        async def receive_when_there_is_room() -> ASGIReceiveEvent:
            await gate.wait()
            event = await receive()
            if event["type"] == "websocket.receive":
                gate.given()
            return event

        async def send_and_notice_the_end(event: ASGISendEvent) -> None:
            await send(event)
            if event["type"] == "websocket.close":
                gate.open()

        await self._app(scope, receive_when_there_is_room, send_and_notice_the_end)


class InboundQueue:
    """From Hypercorn's reader to one application. `end`: nothing more is taken, nobody waits, a disconnect is next."""

    def __init__(self, most: int, disconnect: Any) -> None:
        self._most = most
        self._disconnect = disconnect
        self._events: deque[Any] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    async def put(self, event: Any) -> None:
        while len(self._events) >= self._most and not self._ended and not _is_disconnect(event):
            self._changed.clear()
            await self._changed.wait()
        if not self._ended:
            self._events.append(event)
            self._changed.set()

    async def get(self) -> Any:
        while not self._events:
            self._changed.clear()
            await self._changed.wait()
        self._changed.set()
        return self._events.popleft()

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._events.clear()
            self._events.append(self._disconnect)
            self._changed.set()


def _is_disconnect(event: Any) -> bool:
    return bool(event["type"].endswith(".disconnect"))


def disconnect(kind: str, code: int) -> dict[str, Any]:
    return {"type": f"{kind}.disconnect", **({"code": code} if kind == "websocket" else {})}


def is_last(event: Any) -> bool:
    """Whether an application says with it that a socket is closed or refused."""
    refused = event["type"] == "websocket.http.response.body" and not event.get("more_body")
    return refused or bool(event["type"] == "websocket.close")


class FrameRate:
    """How many frames, pings and empty pieces included, one socket may send."""

    def __init__(self) -> None:
        self._left = FRAMES_BURST
        self._counted_at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(FRAMES_BURST, self._left + (now - self._counted_at) * FRAMES_PER_S) - 1
        self._counted_at = now
        return self._left >= 0
