"""One simulated tab or program that looks at a session or at the board alone, as the real ones do: hello,
acknowledgements, pongs."""

from __future__ import annotations

import asyncio
import re
from typing import Literal, Self

from bench.client import Socket, open_socket

Kind = Literal["page", "program", "dashboard", "board", "raw"]
"""`dashboard`: a page of the board alone; `board`: a program that looks at it."""
PATHS = {
    "page": "/ws?view=html&session={}",
    "program": "/ws?after=&session={}",
    "dashboard": "/ws?view=html&page=dashboard",
    "board": "/ws?after=",
    "raw": "/ws?{}",
}
GREETED = {
    "page": (b'"doc":"session"', b'"doc":"board"'),
    "program": (b'"event":"snapshot"', b'"event":"ready"'),
    "dashboard": (b'"doc":"board"',),
    "board": (b'"event":"ready"',),
    "raw": (),
}
ENDED: dict[str, bytes] = {"page": b'"finished":[', "program": b'"event":"idle","message_id"', "raw": b"end"}
PAGES = ("page", "dashboard")
ACK_EVERY = 16
STAMP = re.compile(rb"\d{9,}")


class Viewer:
    """`ready`: has its snapshots. `ended`: has seen the end of an answer since `reset`.

    `delays_ns`: of each token that carries the time of its writing, from there to its arrival here.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.spoke = asyncio.Event()
        self.frames = self.bytes = 0
        self.delays_ns: list[int] = []
        self.first_at = 0
        self._stamps_after: int | None = None
        self._missing = set(GREETED[kind])
        self._unacknowledged = 0
        self._socket: Socket

    async def open(self, port: int, session_id: str) -> Self:
        self._socket = await open_socket(port, PATHS[self.kind].format(session_id), self._take)
        if self.kind in PAGES:
            self._socket.say("hello", after="")
        if self._missing:
            await self.ready.wait()
        return self

    def close(self) -> None:
        self._socket.close()

    def reset(self, *, stamps_after: int | None = None) -> None:
        """Counts from zero; with `stamps_after`, reads the times that tokens carry, from that one on."""
        self.frames = self.bytes = self.first_at = 0
        self.delays_ns = []
        self._stamps_after = stamps_after
        self.ended.clear()
        self.spoke.clear()

    def _take(self, frame: bytes, now: int) -> None:
        self.frames += 1
        self.bytes += len(frame)
        if self.kind in PAGES:
            self._acknowledge()
        if self._missing:
            self._missing -= {mark for mark in self._missing if mark in frame}
            if not self._missing:
                self.ready.set()
        if self._stamps_after is not None:
            self._read_stamps(frame, now, self._stamps_after)
        if (mark := ENDED.get(self.kind)) and mark in frame:
            self.ended.set()

    def _acknowledge(self) -> None:
        self._unacknowledged += 1
        if self._unacknowledged == ACK_EVERY:
            self._unacknowledged = 0
            self._socket.say("ack", count=ACK_EVERY)

    def _read_stamps(self, frame: bytes, now: int, after: int) -> None:
        fresh = [stamp for stamp in map(int, STAMP.findall(frame)) if after < stamp <= now]
        if fresh:
            self._stamps_after = max(fresh)
            self.delays_ns += [now - stamp for stamp in fresh]
            self.first_at = self.first_at or now
            self.spoke.set()
