"""Which documents are in memory and who looks at what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from quart_chat.live.board import Board
from quart_chat.live.document import Document
from quart_chat.live.revisions import Revisions
from quart_chat.live.session import PAGE_SIZE, SessionDocument
from quart_chat.live.viewer import Viewer
from quart_chat.persistence.storage import StorageManager

MAX_IDLE_DOCUMENTS = 32


class Hub:
    """Owner of every live document. A session's document is read from the database when somebody first asks for
    it and dropped when nobody looks at it and nothing grows in it any more.
    """

    def __init__(self, storage: StorageManager) -> None:
        self._storage = storage
        self.revisions = Revisions()
        self.viewers: set[Viewer] = set()
        self.frames_sent = 0
        self.empty = asyncio.Event()
        self.empty.set()
        self._documents: dict[str, SessionDocument] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._boards: dict[str, Board] = {}
        self._shared: dict[str, Mapping[str, Any]] = {}

    @asynccontextmanager
    async def session(self, session_id: str, user_id: str) -> AsyncIterator[SessionDocument]:
        """The document, kept in memory for the length of the block. Raises NotFoundError.

        Whoever changes a session enters this block before committing and tells the document after, in the same
        step: so no change can fall between reading the database and being told.
        """
        document = await self._open(session_id, user_id)
        document.holds += 1
        try:
            yield document
        finally:
            document.holds -= 1
            self._drop_idle()

    def loaded(self, session_id: str) -> SessionDocument | None:
        return self._documents.get(session_id)

    def documents(self) -> list[SessionDocument]:
        return list(self._documents.values())

    def forget(self, session_id: str) -> None:
        """The session is deleted: whoever still looks at it has been told."""
        document = self._documents.pop(session_id, None)
        if document is not None:
            document.close()

    def board(self, user_id: str) -> Board:
        board = self._boards.get(user_id)
        if board is None:
            board = self._boards[user_id] = Board(self.revisions, user_id)
            for kind, items in self._shared.items():
                board.put(kind, items)
        return board

    def share(self, kind: str, items: Mapping[str, Any]) -> bool:
        """Put what is the same for everybody on every board; True if it differs from before."""
        changed = self._shared.get(kind) != items or list(self._shared[kind]) != list(items)
        self._shared[kind] = items
        for board in self._boards.values():
            board.put(kind, items)
        return changed

    def shared(self, kind: str) -> Mapping[str, Any]:
        """What was last put on every board; empty when nothing was."""
        return self._shared.get(kind, {})

    def join(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        self.empty.clear()

    def leave(self, viewer: Viewer) -> None:
        viewer.leave()
        self.viewers.discard(viewer)
        if not self.viewers:
            self.empty.set()
        self._drop_idle()

    def close_viewers(self, code: int, matches: Callable[[Viewer], bool] = lambda viewer: True) -> None:
        for viewer in list(self.viewers):
            if matches(viewer):
                viewer.close(code)

    def close(self) -> None:
        documents: list[Document] = [*self._documents.values(), *self._boards.values()]
        for document in documents:
            document.close()

    async def _open(self, session_id: str, user_id: str) -> SessionDocument:
        document = self._documents.get(session_id)
        if document is None:
            lock = self._loading.setdefault(session_id, asyncio.Lock())
            try:
                async with lock:
                    document = self._documents.get(session_id) or await self._load(session_id, user_id)
            finally:
                if not lock.locked():
                    self._loading.pop(session_id, None)
        if document.session.user_id != user_id:
            await self._storage.get_session(session_id, user_id)
        return document

    async def _load(self, session_id: str, user_id: str) -> SessionDocument:
        session = await self._storage.get_session(session_id, user_id)
        messages = await self._storage.get_messages(session_id, user_id, limit=PAGE_SIZE)
        older = bool(messages) and bool(
            await self._storage.count_messages_before(session_id, user_id, messages[0].number)
        )
        document = SessionDocument(self.revisions, session, messages, older)
        self._documents[session_id] = document
        return document

    def _drop_idle(self) -> None:
        if len(self._documents) <= MAX_IDLE_DOCUMENTS:
            return
        for session_id, document in list(self._documents.items()):
            if document.idle:
                self.forget(session_id)
                if len(self._documents) <= MAX_IDLE_DOCUMENTS:
                    return
