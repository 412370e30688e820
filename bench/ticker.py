"""A clock in an event loop: how long the loop stood still while it had other things to do."""

from __future__ import annotations

import asyncio

TICK_S = 0.001


class Ticker:
    """Wakes every millisecond; what is longer between two wakes was somebody else's."""

    def __init__(self) -> None:
        self._longest_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def take_ms(self) -> float:
        """The longest stall since the last call, in milliseconds, the tick itself left out."""
        longest, self._longest_s = self._longest_s, 0.0
        return longest * 1000

    async def _tick(self) -> None:
        clock = asyncio.get_running_loop().time
        before = clock()
        while True:
            await asyncio.sleep(TICK_S)
            now = clock()
            self._longest_s = max(self._longest_s, now - before - TICK_S)
            before = now
