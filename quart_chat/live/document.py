"""A live document: revisioned state, the pace at which viewers are woken, and frames built once for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable

from quart_chat.live.revisions import Revisions
from quart_chat.live.viewer import Viewer

logger = logging.getLogger(__name__)

TICK_S = 0.05
UNWATCHED_TICK_S = 1.0
COST_SHARE = 8
"""A tick that took t ms is followed by a pause of at least 8 t, so rendering takes a ninth of a core at most."""

Frame = tuple[str, int]
"""The text of a frame without its cursor, and the revision that it leads to."""


class Document:
    """Changes call `touch()`; viewers take `frame_for(...)` when they are woken and ready.

    Programs are woken at every change, pages at most every 50 ms after `advance()` has brought what pages see up
    to date. The frames of one tick are kept until the next, so equal viewers get the same bytes.
    """

    name = "document"
    patience_s = 0.0
    """How long the first change after a rest waits for others to go with it."""

    def __init__(self, revisions: Revisions) -> None:
        self.revisions = revisions
        self.rev = self.floor = revisions.next()
        self.viewers: set[Viewer] = set()
        self.frames_built = 0
        self._paced_frames: dict[tuple[Hashable, int | None], list[Frame]] = {}
        self._prompt_frames: dict[tuple[Hashable, int | None], list[Frame]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_tick = 0.0
        self._offering = False

    def join(self, viewer: Viewer) -> None:
        """A page that comes to a text that nobody watched shall not wait for the slow tick."""
        self.viewers.add(viewer)
        if viewer.paced:
            self.hurry()

    def hurry(self) -> None:
        """What is due at the next tick is due now."""
        self._next_tick = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._schedule()

    def touch(self) -> int:
        """A new revision for a change that the caller makes now, in this same step of the loop."""
        self.stamp()
        if not self._offering:
            self._offering = True
            loop = asyncio.get_running_loop()
            if self.patience_s:
                loop.call_later(self.patience_s, self._offer)
            else:
                loop.call_soon(self._offer)
        self._schedule()
        return self.rev

    def stamp(self) -> int:
        """A new revision without waking anybody: for what `advance()` does."""
        self.rev = self.revisions.next()
        self._prompt_frames.clear()
        return self.rev

    def raise_floor(self, rev: int) -> None:
        """What changed up to `rev` cannot be told any more: whoever has seen less gets a snapshot, a fresh one."""
        self.floor = rev
        self._paced_frames.clear()

    def advance(self) -> bool:
        """Bring what pages see up to date; True if there is more to do at the next tick."""
        return False

    def frames_for(self, viewer: Viewer, encode: Callable[[int | None], list[Frame]]) -> list[Frame]:
        """The frames that bring `viewer` from its position to now; empty if it is there already."""
        position = self.position(viewer.positions.get(self))
        if position == self.rev:
            return []
        cache = self._paced_frames if viewer.paced else self._prompt_frames
        key = (viewer.view, position)
        frames = cache.get(key)
        if frames is None:
            frames = cache[key] = encode(position)
            self.frames_built += len(frames)
        return frames

    def position(self, revision: int | None) -> int | None:
        """The revision if a difference from it can be told, else None: a snapshot is due."""
        if revision is None or not self.floor <= revision <= self.rev:
            return None
        return revision

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _offer(self) -> None:
        """To those who want every change, once for all changes of one step of the loop."""
        self._offering = False
        for viewer in list(self.viewers):
            if not viewer.paced:
                viewer.offer(self)

    def _schedule(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time() + self.patience_s, self._next_tick), self._tick)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._timer = None
        try:
            more = self.advance()
        except Exception:
            logger.exception("a live document could not be brought up to date")
            more = False
        self._paced_frames.clear()
        watched = False
        for viewer in list(self.viewers):
            if viewer.paced:
                watched = True
                viewer.offer(self)
        pause = TICK_S if watched else UNWATCHED_TICK_S
        self._next_tick = started + max(pause, COST_SHARE * (loop.time() - started))
        if more:
            self._schedule()
