"""R15: under fifty viewers that come, reload and stop at random nothing grows, and the loop stays in time."""

from __future__ import annotations

import asyncio
import json
import statistics
from pathlib import Path
from typing import Any

from bench.client import Http
from quart_chat.providers.ollama_http import SPARE as KEPT
from tests.doubles.script import Script
from tests.reliability.crowd import Crowd
from tests.reliability.house import House
from tests.reliability.probed import COMMAND
from tests.reliability.scale import FULL, measured, percentile, scaled, seeded

VIEWERS = 50
LATE_P99_MS = 50.0 if FULL else 200.0
"""In the quick form other tests and programs have the machine as well."""
SLOPE_MB_H = 12.0
GROWTH_MB = 32.0
RECOVERY_S = 45
LOOK_EVERY_S = 0.25
SPARE = {"tasks": 4, "descriptors": 4 + KEPT}
"""Of the connection that asks, of one that has just ended, and of those to the engine that wait for the next answer."""
PROSE = "\n\n".join(["# A *title*", "Some **bold** words and `code`. " * 8, "```python\nx = 1\n```", "- a\n- b"] * 2)


async def probe(http: Http) -> dict[str, Any]:
    _, _, data = await http.request("GET", "/probe")
    return dict(json.loads(data))


def slope_mb_h(samples: list[dict[str, Any]]) -> float:
    """Of memory over the second half, one sample a second: the first half fills caches."""
    half = [sample["memory_mb"] for sample in samples[len(samples) // 2 :]]
    return statistics.linear_regression(range(len(half)), half).slope * 3600


async def watched(http: Http, seconds: int, crowd: Crowd) -> list[dict[str, Any]]:
    """A look a second while the crowd goes on. Fails with what failed in the crowd."""
    going = asyncio.create_task(crowd.go_on())
    samples = []
    try:
        for _ in range(seconds):
            await asyncio.wait([going], timeout=1)
            if going.done():
                going.result()
            samples.append(await probe(http))
    finally:
        crowd.leave()
        await going
    return samples


async def back_to(base: dict[str, Any], http: Http) -> float:
    """Seconds until tasks and descriptors are what they were before anybody came."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(RECOVERY_S):
        while True:
            now = await probe(http)
            if all(now[name] <= base[name] + spare for name, spare in SPARE.items()):
                return loop.time() - began
            await asyncio.sleep(LOOK_EVERY_S)


def told(base: dict[str, Any], samples: list[dict[str, Any]], end: dict[str, Any]) -> str:
    names = ("memory_mb", "tasks", "descriptors")
    return ", ".join(
        f"{name} {base[name]:.0f} → {max(s[name] for s in samples):.0f} → {end[name]:.0f}" for name in names
    )


async def test_nothing_grows_and_the_loop_stays_in_time_under_a_crowd(tmp_path: Path) -> None:
    seconds = scaled("soak_s", 120, 1800)

    def write(question: str) -> Script:
        return Script(text=PROSE, rate=60)

    async with House(tmp_path, write, command=COMMAND) as house, Http(house.server.port) as http:
        base = await probe(http)
        crowd = Crowd(house.server.port, VIEWERS, seeded())
        samples = await watched(http, seconds, crowd)
        recovered_s = await back_to(base, http)
        end = await probe(http)
    late = [value for sample in samples[2:] for value in sample["late_ms"]]
    slope, growth = slope_mb_h(samples), samples[-1]["memory_mb"] - samples[len(samples) // 3]["memory_mb"]
    measured(f"R15: {seconds} s, {VIEWERS} viewers: {crowd.did}")
    measured(
        f"R15: loop late {' '.join(f'p{p} {percentile(late, p / 100):.1f}' for p in (50, 99))} max {max(late):.0f} ms"
    )
    measured(f"R15: memory slope {slope:.1f} MB/h; {told(base, samples, end)} {recovered_s:.1f} s after the last left")
    assert percentile(late, 0.99) <= LATE_P99_MS
    assert growth <= GROWTH_MB
    assert not FULL or slope <= SLOPE_MB_H
