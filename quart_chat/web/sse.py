"""Server-sent events: what one live document tells, as an answer that goes on until there is nothing more to tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from quart import Response

from quart_chat.live.board import Board
from quart_chat.live.document import Document
from quart_chat.live.revisions import Cursor, parse_cursor
from quart_chat.live.viewer import Viewer
from quart_chat.services import RESTARTED, Services
from quart_chat.web.streams import streamed

KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
RESTARTING = "The server is restarting. Ask again in a moment."

_encode = msgspec.json.Encoder().encode


class Teller(Protocol):
    """What one stream tells of a document. Asked until nothing is due, and again after changes."""

    ended: bool
    """Nothing more will be due."""

    def due(self) -> bytes:
        """Events that have not been told yet, made by `event`; empty if there are none. Of very much only a part, as
        the next part is asked for when the client has taken this one."""
        ...


def event(data: Any, *, name: str = "", id: str = "") -> bytes:
    """One event; `data` as JSON, which has no line breaks. `id` comes back as Last-Event-ID."""
    lines = [f"event: {name}\n".encode() if name else b"", f"id: {id}\n".encode() if id else b""]
    return b"%sdata: %s\n\n" % (b"".join(lines), _encode(data))


def cursor(document: Document) -> str:
    """The id of an event that tells `document` as it is now; a cursor as on the socket."""
    rev = document.rev
    is_board = isinstance(document, Board)
    return str(Cursor(document.revisions.epoch, None if is_board else rev, rev if is_board else None))


def position(document: Document, last_event_id: str | None) -> int | None:
    """The revision up to which the one who comes back has seen `document`; None if that cannot be told any more."""
    found = parse_cursor(last_event_id or "")
    if found is None or found.epoch != document.revisions.epoch:
        return None
    return document.position(found.board if isinstance(document, Board) else found.session)


def event_stream(chunks: AsyncIterator[bytes], *, counted: bool = False) -> Response:
    """The answer to one who accepts `text/event-stream`. `counted`, and what it raises, as for `streamed`."""
    response = streamed(chunks, "text/event-stream", counted=counted)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would keep the events until they fill a buffer
    return response


async def told(
    services: Services, document: Document, teller: Teller, *, person: str = ""
) -> AsyncGenerator[bytes, None]:
    """What `teller` has to say of `document`, until it has ended; a comment in every silence of 15 s.

    At a restart of the server the last event is an `error`, SERVICE_UNAVAILABLE. Whoever asks for this holds the
    document meanwhile and closes the iterator, which ends the looking on. Needs no request around it.
    """
    with looking_on(services, document, person) as viewer:
        while viewer.close_code is None:
            viewer.wake.clear()
            if chunk := teller.due():
                services.hub.frames_sent += 1
                yield chunk
            if teller.ended:
                return
            if not chunk and not await woken(viewer, KEEP_ALIVE_S):
                yield KEEP_ALIVE
        yield event({"error": RESTARTING, "code": "SERVICE_UNAVAILABLE"}, name="error")


@contextmanager
def looking_on(services: Services, document: Document, person: str = "") -> Iterator[Viewer]:
    """A viewer whose `wake` is set at every change of `document`, and when the server restarts: `close_code`."""
    hub = services.hub
    viewer = Viewer("program", person=person, paced=False)
    hub.join(viewer)
    try:
        viewer.follow(document, document.rev)
        if services.draining:
            viewer.close(RESTARTED)
        yield viewer
    finally:
        hub.leave(viewer)


async def woken(viewer: Viewer, within_s: float) -> bool:
    """False if nothing has changed for so long."""
    try:
        async with asyncio.timeout(within_s):
            await viewer.wake.wait()
    except TimeoutError:
        return False
    return True
