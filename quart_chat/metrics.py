"""What is counted while it runs, as plain numbers: cheap to add to, read only when somebody asks for /metrics."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from quart_chat.entities import GenerationState, Statistics

BRIEF_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LONG_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
LAG_PERIOD_S = 0.25


class Spread:
    """How many durations there were up to each of `bounds` (seconds, rising), and their sum. For one thread."""

    __slots__ = ("_bounds", "_counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total_s += seconds

    @property
    def count(self) -> int:
        return sum(self._counts)

    def up_to(self) -> list[tuple[float, int]]:
        """(bound, how many were at most that long), the last bound being infinity."""
        return list(zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True))


class GenerationCounts:
    """Generations of this process: how they ended, how long they waited, what they wrote and how fast."""

    def __init__(self) -> None:
        self.ended: Counter[GenerationState] = Counter()
        self.wait = Spread(LONG_S)
        self.first_token = Spread(LONG_S)
        self.output_tokens = 0
        self.output_s = 0.0

    def note_end(self, state: GenerationState, statistics: Statistics) -> None:
        self.ended[state] += 1
        self.output_tokens += statistics.output_tokens
        self.output_s += statistics.output_ms / 1000
        if statistics.first_token_ms:
            self.first_token.add(statistics.first_token_ms / 1000)


class LoopLag:
    """How late the event loop comes to what is due, tried four times a second between `start` and `close`."""

    def __init__(self) -> None:
        self.spread = Spread(BRIEF_S)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._arm(loop)

    def close(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + LAG_PERIOD_S
        self._timer = loop.call_at(due, self._tick, loop, due)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.spread.add(max(0.0, loop.time() - due))
        self._arm(loop)
