"""A clock in an event loop: how long the loop stood still while it had other things to do."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TICK_S = 0.001
THREADS = Path("/proc/self/task")


class _Reading(NamedTuple):
    wall_s: float
    worked_s: float
    kept_waiting_s: float


class Ticker:
    """Wakes every millisecond; what is longer between two wakes was a stall.

    On Linux the time in which other processes had the processor is left out, so a busy machine does not count.
    """

    def __init__(self) -> None:
        self._longest_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._threads: dict[str, int] = {}

    def start(self) -> None:
        self._task = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for file in self._threads.values():
            os.close(file)
        self._threads.clear()

    def take_ms(self) -> float:
        """The longest stall since the last call, in milliseconds, the tick itself left out."""
        longest, self._longest_s = self._longest_s, 0.0
        return longest * 1000

    async def _tick(self) -> None:
        before = self._read()
        while True:
            await asyncio.sleep(TICK_S)
            now = self._read()
            self._longest_s = max(self._longest_s, _stall_s(before, now) - TICK_S)
            before = now

    def _read(self) -> _Reading:
        return _Reading(time.perf_counter(), time.process_time(), self._kept_waiting_s())

    def _kept_waiting_s(self) -> float:
        """For how long our threads were ready to run and did not, since they began; 0 where nobody counts."""
        waited_ns = 0
        with suppress(FileNotFoundError):
            names = os.listdir(THREADS)
            for name in names:
                if name not in self._threads:
                    self._threads[name] = os.open(THREADS / name / "schedstat", os.O_RDONLY)
        for name, file in list(self._threads.items()):
            try:
                waited_ns += int(os.pread(file, 99, 0).split()[1])
            except OSError:
                os.close(self._threads.pop(name))
        return waited_ns / 1e9


def _stall_s(before: _Reading, now: _Reading) -> float:
    """Never less than what this process itself worked."""
    wall = now.wall_s - before.wall_s
    worked = min(wall, now.worked_s - before.worked_s)
    return max(worked, wall - max(0.0, now.kept_waiting_s - before.kept_waiting_s))
