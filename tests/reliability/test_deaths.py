"""R1, R5, R7: kill -9 and restarts under eight writers lose nothing, double nothing, leave nothing half."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from tests.doubles.script import Script
from tests.reliability.house import House
from tests.reliability.ledger import Ledger, all_finished, rows
from tests.reliability.scale import measured, percentile, scaled, seeded
from tests.reliability.writer import Writer

WRITERS = 8
KINDS = ("short", "short", "long")
COUNTS = "SELECT count(*), sum(role = 'user'), sum(state = 'interrupted') FROM message"
USABLE_S = 3.0


def written(question: str) -> Script:
    return Script(count=600, rate=150) if question.startswith("long") else Script(count=20, rate=100)


class Town:
    """Eight writers at one house whose server keeps dying."""

    def __init__(self, directory: Path) -> None:
        self.house = House(directory, written)
        self.ledger = Ledger()
        self.writers = [Writer(self.house, self.ledger, n, KINDS[n % len(KINDS)]) for n in range(WRITERS)]
        self._lives: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.house.__aenter__()
        self._lives = [asyncio.create_task(writer.live()) for writer in self.writers]
        return self

    async def __aexit__(self, *failure: Any) -> None:
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        await self.house.__aexit__(*failure)

    async def deaths(self, times: int, chance: random.Random, die: Callable[[], Awaitable[object]]) -> None:
        for _ in range(times):
            await self._at_work()
            # When death comes is the experiment.
            await asyncio.sleep(chance.uniform(0, 1.3))
            died_at = time.monotonic()
            await die()
            self.ledger.life += 1
            await self.house.start()
            self.check(died_at)
            self.raise_failures()

    async def _at_work(self) -> None:
        """Something was acknowledged since the last death, so that there is something to lose."""
        before = len(self.ledger.acknowledged)
        async with asyncio.timeout(30):
            while len(self.ledger.acknowledged) == before:
                self.raise_failures()
                await asyncio.sleep(0.02)

    def check(self, died_at: float) -> None:
        house = self.house
        self.ledger.check(house.database, died_at=died_at, began_ms=house.began_ms, asked=house.asked)

    def raise_failures(self) -> None:
        for life in self._lives:
            if life.done():
                life.result()

    async def finish(self) -> str:
        """Lets everybody end their turn: every question acknowledged, every answer at an end. Counts in words."""
        for writer in self.writers:
            writer.leaving = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._lives)
        await all_finished(self.house.database)
        with closing(sqlite3.connect(self.house.database)) as database:
            [(messages, questions, interrupted)] = rows(database, COUNTS)
        self.ledger.life += 1
        self.check(time.monotonic())
        return (
            f"{len(self.ledger.acknowledged)} acknowledged, {questions} questions and {messages - questions} answers "
            f"stored ({interrupted} interrupted), {self.ledger.checked_texts} texts compared, 0 lost, 0 doubled; "
            f"listening again after {percentile(self.house.start_s, 0.5):.2f} s, at most {max(self.house.start_s):.2f}"
        )


async def test_kills_lose_nothing_acknowledged_nothing_seen_and_leave_nothing_running(tmp_path: Path) -> None:
    times = scaled("kills", 30, 1000)
    async with Town(tmp_path) as town:
        await town.deaths(times, seeded(), town.house.kill)
        measured(f"R1, R5: {times} kill -9 under {WRITERS} writers: {await town.finish()}")
        assert min(town.house.start_s) <= USABLE_S, "others may use this machine too, so the best start counts"


async def test_restarts_under_load_end_well_and_lose_and_double_nothing(tmp_path: Path) -> None:
    times = scaled("restarts", 10, 100)
    stops: list[tuple[int, float]] = []
    async with Town(tmp_path) as town:

        async def stop() -> None:
            stops.append(await town.house.stop())

        await town.deaths(times, seeded(), stop)
        counts = await town.finish()
    assert {code for code, _ in stops} == {0}
    slowest = max(seconds for _, seconds in stops)
    measured(f"R7: {times} restarts under {WRITERS} writers: {counts}; slowest stop {slowest:.2f} s")
    assert slowest <= 5
