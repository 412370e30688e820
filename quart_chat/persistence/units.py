"""Units of work and the lanes they wait in: how threads take work from the loop and hand it back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from quart_chat.errors import StorageError

GONE = "The database is closed."
BROKEN = "The database has stopped working. Restart the server."


class Unit:
    """One call that a thread makes for a waiting caller. Cancelled before it began, it is dropped."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        self.result = None
        self.error = error


class Lane:
    """A queue between the loop and the threads that serve it. After `end` it takes nothing more."""

    def __init__(self) -> None:
        self._units: SimpleQueue[Unit | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._refusal: str | None = None

    def put(self, unit: Unit) -> None:
        """Accepts `unit`, or raises StorageError. What was accepted is run or failed, never forgotten."""
        with self._gate:
            if self._refusal is not None:
                raise StorageError(self._refusal)
            self._units.put(unit)

    def take(self, limit: int) -> list[Unit]:
        """Blocks for work; then up to `limit` units that wait. Empty: the lane has ended and is empty."""
        unit = self._units.get()
        if unit is None:
            # Whoever serves the same lane has to see the end as well.
            self._units.put(None)
            return []
        return [unit, *self._waiting(limit - 1)]

    def end(self, refusal: str) -> None:
        """From now on `put` raises StorageError(refusal); the first end counts. What waits can be taken."""
        with self._gate:
            if self._refusal is None:
                self._units.put(None)
                self._refusal = refusal

    def rest(self) -> list[Unit]:
        """Everything that still waits, taken out."""
        return self._waiting(self._units.qsize() + 1)

    def _waiting(self, limit: int) -> list[Unit]:
        units: list[Unit] = []
        try:
            while len(units) < limit:
                unit = self._units.get_nowait()
                if unit is None:
                    self._units.put(None)
                    break
                units.append(unit)
        except Empty:
            return units
        return units


def settle(units: list[Unit]) -> None:
    """Tells the callers; runs on the loop. A whole group in one call, so that the loop wakes once for it."""
    for unit in units:
        if unit.future.done():
            continue
        if unit.error is None:
            unit.future.set_result(unit.result)
        else:
            unit.future.set_exception(unit.error)
