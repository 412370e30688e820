"""One open tab or program: what it looks at and how far it has been served."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quart_chat.live.document import Document

logger = logging.getLogger(__name__)

WINDOW = 32
"""Frames a page may be behind in its acknowledgements, of which it sends one for every sixteenth: nearly a second of
round trip before its changes coalesce."""


class Viewer:
    """Holds positions, never content: what a slow or absent viewer missed is computed when it is ready again.

    `view` names the form it wants; viewers with equal `view` and position are handed the same bytes.
    `paced`: woken every 50 ms instead of at every change. `wake` is set when there may be something to send.
    """

    def __init__(self, view: Hashable, *, person: str = "", paced: bool = True) -> None:
        self.view = view
        self.person = person
        self.paced = paced
        self.wake = asyncio.Event()
        self.positions: dict[Document, int | None] = {}
        self.notices: deque[str] = deque(maxlen=32)
        self.close_code: int | None = None
        self._unacknowledged = 0
        self.deliver: Callable[[Document], bool] = _not_now
        """Sends at once what is due of a document; False: not now, wake the writer."""

    @property
    def blocked(self) -> bool:
        return self.paced and self._unacknowledged >= WINDOW

    def offer(self, document: Document) -> None:
        """There may be something new in `document`."""
        try:
            delivered = self.deliver(document)
        except Exception:
            logger.exception("a frame could not be made; the socket's own task will say so too and close it")
            delivered = False
        if not delivered:
            self.wake.set()

    def follow(self, document: Document, position: int | None) -> None:
        """None: send a snapshot first."""
        self.positions[document] = position
        self._unacknowledged = 0
        document.join(self)
        self.wake.set()

    def advance(self, document: Document, revision: int) -> None:
        self.positions[document] = revision
        self._unacknowledged += 1

    def acknowledge(self, count: int) -> None:
        """The page has handled `count` frames more."""
        was_blocked = self.blocked
        self._unacknowledged = max(0, self._unacknowledged - count)
        if was_blocked:
            self.wake.set()

    def notify(self, frame: str) -> None:
        """A frame outside the state (a toast), for this viewer alone; the oldest of more than 32 are dropped."""
        self.notices.append(frame)
        self.wake.set()

    def close(self, code: int) -> None:
        self.close_code = code
        self.wake.set()

    def leave(self) -> None:
        for document in self.positions:
            document.viewers.discard(self)
        self.positions.clear()


def _not_now(document: Document) -> bool:
    return False
