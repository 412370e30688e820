"""The product with `/probe`: tasks, descriptors, memory, and how late its loop was since the last look."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from hypercorn.typing import ASGIFramework
from quart import Quart

from quart_chat.config import Settings, load_settings
from quart_chat.server import Servable, build_product, serve

COMMAND = (sys.executable, "-m", "tests.reliability.probed")
TICK_S = 0.01
OWN = Path("/proc/self/schedstat")


class Lateness:
    """Milliseconds by which a task that wants to wake every 10 ms woke late.

    On Linux the time in which other processes had the processor is left out, so a busy machine does not count.
    """

    def __init__(self) -> None:
        self._late_ms: list[float] = []

    async def tick(self) -> None:
        before, waited = time.perf_counter(), self._kept_waiting_s()
        while True:
            await asyncio.sleep(TICK_S)
            now, since = time.perf_counter(), self._kept_waiting_s()
            self._late_ms.append(max(0.0, now - before - TICK_S - (since - waited)) * 1000)
            before, waited = now, since

    def take(self) -> list[float]:
        taken, self._late_ms = self._late_ms, []
        return taken

    def _kept_waiting_s(self) -> float:
        return int(OWN.read_text().split()[1]) / 1e9 if OWN.exists() else 0.0


def build(settings: Settings) -> tuple[Servable, ASGIFramework]:
    services, app = build_product(settings)
    assert isinstance(app, Quart)
    lateness, process, ticking = Lateness(), psutil.Process(), set[asyncio.Task[None]]()

    @app.get("/probe")
    async def probe() -> dict[str, object]:
        if not ticking:
            ticking.add(asyncio.create_task(lateness.tick()))
        return {
            "tasks": len(asyncio.all_tasks()),
            "descriptors": process.num_fds(),
            "memory_mb": process.memory_info().rss / 1e6,
            "late_ms": lateness.take(),
        }

    return services, app


if __name__ == "__main__":
    sys.exit(serve(load_settings(os.environ), build=build))
