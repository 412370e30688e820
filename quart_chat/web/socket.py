"""`/ws`: one socket a tab. Follows a session's document and the board, sends differences, takes small messages."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from quart import Blueprint, Websocket, websocket

from quart_chat.edge.inbound import TAKEN
from quart_chat.edge.text_line import text_line
from quart_chat.errors import NotFoundError
from quart_chat.live.board import Board
from quart_chat.live.document import Document, Frame
from quart_chat.live.revisions import Cursor, parse_cursor
from quart_chat.live.session import SessionDocument
from quart_chat.live.viewer import Viewer
from quart_chat.web import program_frames
from quart_chat.web.current import Web, address, person, user_id, web
from quart_chat.web.dashboard_frames import BOARD_VIEWS, page_view
from quart_chat.web.frames import with_cursor
from quart_chat.web.inbox import Inbox

logger = logging.getLogger(__name__)

GONE, OUR_FAULT, RESTART = 4404, 1011, 1012
HELLO_S = 0.15
"""A program that names no cursor in the address may say one in its first frame; after this it gets a snapshot."""

AT_ONCE = 4
"""Frames that may follow each other without asking whether the socket still takes them."""

blueprint = Blueprint("socket", __name__)


class TakingWebsocket(Websocket):
    """Tells the edge, which hands out no more than is taken."""

    async def receive(self) -> str | bytes:
        data = await super().receive()
        if taken := self.scope["extensions"].get(TAKEN):
            taken()  # type: ignore[operator]
        return data


@blueprint.websocket("/ws")
async def ws() -> None:
    parts = web()
    with parts.limits.one_more("socket", person(), address()):
        await websocket.accept()
        await _serve_and_say_why_not(parts)


async def _serve_and_say_why_not(parts: Web) -> None:
    """Closes with a code: an exception of ours must not look like an orderly end, after which no page comes back."""
    code = OUR_FAULT
    try:
        code = await _serve(parts)
    except NotFoundError:
        code = GONE
    except asyncio.CancelledError:
        code = RESTART
        raise
    except Exception:
        logger.exception("a socket failed")
    finally:
        await websocket.close(code)


async def _serve(parts: Web) -> int:
    args = websocket.args
    is_page = args.get("view") == "html"
    session_id = args.get("session", "")
    hub = parts.services.hub
    viewer = Viewer(page_view(args) if is_page else "program", person=person(), paced=is_page)
    async with AsyncExitStack() as stack:
        document = None
        if session_id:
            document = await stack.enter_async_context(hub.session(session_id, user_id()))
            if is_page:
                # A snapshot shows stored answers, which nobody may have looked at since the start.
                await document.render()
        connection = Connection(parts, viewer, document, hub.board(user_id()), after=args.get("after"))
        hub.join(viewer)
        stack.callback(hub.leave, viewer)
        if parts.services.draining:
            return RESTART
        parts.services.library.look_now()
        return await connection.run()


class Connection:
    """The two halves of one socket: a reader that never stops reading, a writer that pulls what is due."""

    def __init__(
        self, parts: Web, viewer: Viewer, document: SessionDocument | None, board: Board, *, after: str | None
    ) -> None:
        self._parts = parts
        self._viewer = viewer
        self._document = document
        self._board = board
        self._inbox = Inbox(parts.services, viewer, document, self._hello)
        self._greeted = asyncio.Event()
        self._line = text_line.get()
        self._resting = False
        viewer.deliver = self._deliver
        if after is not None:
            self._hello(parse_cursor(after))

    async def run(self) -> int:
        """The close code: why the writer ended, or 1000 when the client left."""
        reader = asyncio.create_task(self._inbox.read(), name="socket reader")
        writer = asyncio.create_task(self._write(), name="socket writer")
        tasks = {reader, writer}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return max(task.result() for task in done)

    def _hello(self, cursor: Cursor | None) -> None:
        """Begin at what the client has; with no cursor, or one of another epoch, with snapshots."""
        if cursor is None or cursor.epoch != self._board.revisions.epoch:
            cursor = Cursor("")
        if self._document is not None:
            self._viewer.follow(self._document, cursor.session)
        self._viewer.follow(self._board, cursor.board)
        self._greeted.set()

    async def _write(self) -> int:
        if not self._viewer.paced:
            await self._wait_for_hello()
        viewer = self._viewer
        while True:
            self._resting = True
            await viewer.wake.wait()
            self._resting = False
            viewer.wake.clear()
            while viewer.notices:
                await websocket.send(viewer.notices.popleft())
            for document in list(viewer.positions):
                if not viewer.blocked:
                    await self._send_due(document)
            if viewer.close_code is not None:
                return viewer.close_code
            if self._document is not None and self._document.deleted_rev is not None:
                return GONE

    def _deliver(self, document: Document) -> bool:
        """The usual case, a few frames for a socket that keeps up, without waking the writer."""
        if self._line is None or not self._resting or self._viewer.blocked or not self._line.ready():
            return False
        frames = document.frames_for(self._viewer, lambda since: self._encode(document, since))
        if len(frames) > AT_ONCE:
            return False
        for number, (frame, rev) in enumerate(frames, 1):
            if number == len(frames):
                self._viewer.advance(document, rev)
            self._line.write(with_cursor(frame, self._cursor()))
            self._parts.services.hub.frames_sent += 1
        return True

    async def _send_due(self, document: Document) -> None:
        """Only the last frame of several moves the cursor: each may tell of changes older than another's."""
        frames = document.frames_for(self._viewer, lambda since: self._encode(document, since))
        for number, (frame, rev) in enumerate(frames, 1):
            if number == len(frames):
                self._viewer.advance(document, rev)
            await websocket.send(with_cursor(frame, self._cursor()))
            self._parts.services.hub.frames_sent += 1

    def _encode(self, document: Document, since: int | None) -> list[Frame]:
        pages = self._parts.frames if self._viewer.paced else None
        if isinstance(document, SessionDocument):
            return pages.session_frames(document, since) if pages else program_frames.session_frames(document, since)
        assert isinstance(document, Board)
        if pages is None:
            return program_frames.board_frames(document, since)
        if isinstance(view := self._viewer.view, BOARD_VIEWS):
            return self._parts.dashboard.board_frames(document, since, view)
        return pages.board_frames(document, since, self._document)

    def _cursor(self) -> str:
        positions = self._viewer.positions
        session = positions.get(self._document) if self._document is not None else None
        return str(Cursor(self._board.revisions.epoch, session, positions.get(self._board)))

    async def _wait_for_hello(self) -> None:
        try:
            async with asyncio.timeout(HELLO_S):
                await self._greeted.wait()
        except TimeoutError:
            if not self._greeted.is_set():
                self._hello(None)
