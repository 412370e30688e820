"""The live document of one session: its messages, its header, what is being written in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from quart_chat.entities import ChatSession, Message
from quart_chat.events import Phase
from quart_chat.live.document import Document
from quart_chat.live.message import LiveMessage
from quart_chat.live.revisions import Revisions

PAGE_SIZE = 40
MAX_KEPT = 200


class SessionDocument(Document):
    """Every method that changes something is synchronous: state and revision move in the same step of the loop.

    Holds the latest messages of the session (`has_older` tells whether there are more in the database).
    """

    name = "session"

    def __init__(
        self, revisions: Revisions, session: ChatSession, messages: Sequence[Message], has_older: bool
    ) -> None:
        super().__init__(revisions)
        self.session = session
        self.has_older = has_older
        self.header_rev = self.controls_rev = self.rev
        self.messages: dict[str, LiveMessage] = {m.id: LiveMessage(m, self.rev) for m in messages}
        self.deleted_rev: int | None = None
        self.holds = 0

    @property
    def latest(self) -> list[LiveMessage]:
        """The messages that a fresh page or a snapshot shows."""
        return list(self.messages.values())[-PAGE_SIZE:]

    @property
    def running(self) -> LiveMessage | None:
        """The answer that waits or grows; there is at most one."""
        return next((m for m in reversed(self.messages.values()) if m.growing), None)

    @property
    def idle(self) -> bool:
        return not self.holds and not self.viewers and self.running is None

    def set_session(self, session: ChatSession) -> None:
        self.session = session
        self.header_rev = self.touch()

    def touch_header(self) -> None:
        """Something that the header shows and that lies elsewhere (models) has changed."""
        self.header_rev = self.touch()

    def put(self, message: Message, *, generation_id: str | None = None) -> LiveMessage:
        """Add a message or give one that is here its new state."""
        rev = self.touch()
        live = self.messages.get(message.id)
        if live is None:
            live = self.messages[message.id] = LiveMessage(message, rev)
            self._trim()
        else:
            live.change(message, rev)
            self.hurry()  # pages are told the end together with the last words
        if generation_id is not None:
            live.generation_id = generation_id
        self.controls_rev = rev
        return live

    def grow(self, message_id: str, text: str) -> None:
        self.messages[message_id].grow(text, self.touch())

    def think(self, message_id: str, text: str) -> None:
        self.messages[message_id].think(text, self.touch())

    def set_phase(self, message_id: str, phase: Phase) -> None:
        live = self.messages.get(message_id)
        if live is not None and live.growing and live.phase != phase:
            live.set_phase(phase, self.touch())

    def clear(self) -> None:
        """Whoever looks gets a snapshot: there is no shorter way to say that nothing is left."""
        self.messages.clear()
        self.has_older = False
        self.controls_rev = self.touch()
        self.raise_floor(self.rev)

    def mark_deleted(self) -> None:
        """Every viewer is woken at once: whoever forgets a document ends its ticking."""
        self.deleted_rev = self.touch()
        for viewer in self.viewers:
            viewer.wake.set()

    def advance(self) -> bool:
        more = False
        for live in list(self.messages.values())[-4:]:
            more = live.advance(self.stamp) or more
        return more

    async def render(self) -> None:
        """Make every message that a fresh page shows ready, giving way to others in between: stored ones, and what
        has come since the last tick."""
        for live in self.latest:
            await live.render()
            await asyncio.sleep(0)
        # Unwatched it ticks slowly: an end could be shown before the text.
        while self.advance():  # noqa: ASYNC110
            await asyncio.sleep(0)

    def changed(self, since: int) -> Iterable[LiveMessage]:
        """Messages that a page at `since` does not show as they are now, in order."""
        return (live for live in self.messages.values() if live.page_rev > since)

    def _trim(self) -> None:
        while len(self.messages) > MAX_KEPT:
            del self.messages[next(iter(self.messages))]
            self.has_older = True
