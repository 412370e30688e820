"""How much later than from the engine itself a token arrives at one viewer of a 50 tok/s answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from bench.chats import ask, direct, new_session
from bench.client import Http
from bench.processes import Stage, stage
from bench.report import Effort, Measure, middle
from bench.viewer import STAMP, Kind, Viewer

RATE = 50
COUNT = 150
TARGETS_MS: dict[Kind, float] = {"page": 60.0, "program": 2.0}
PAUSE_S = 0.1
LAST_WORDS_S = 5.0
"""A page may be told the end before it is sent the last words."""


async def run(directory: Path, effort: Effort) -> list[Measure]:
    script: dict[str, Any] = {"count": effort.of(COUNT), "rate": RATE, "stamp": True}
    alone: list[float] = []
    delays: dict[Kind, list[float]] = {"page": [], "program": []}
    async with stage(directory) as product, Http(product.port) as http, Http(product.engine_port) as engine:
        for _ in range(effort.rounds):
            alone += await _from_engine(engine, script)
            for kind, found in delays.items():
                found += await _from_ours(product, http, kind, script)
                await asyncio.sleep(PAUSE_S)
    base = middle(alone)
    return [
        Measure(f"token to a {kind}, added", middle(delays[kind]) - base, "ms", target, _note(delays[kind]))
        for kind, target in TARGETS_MS.items()
    ]


async def _from_engine(engine: Http, script: dict[str, Any]) -> list[float]:
    began = time.monotonic_ns()
    found = []
    async for now, chunk in engine.chunks("/api/chat", direct(**script)):
        found += [(now - n) / 1e6 for n in map(int, STAMP.findall(chunk)) if began < n <= now]
    return found


async def _from_ours(product: Stage, http: Http, kind: Kind, script: dict[str, Any]) -> list[float]:
    session_id = await new_session(http)
    viewer = await Viewer(kind).open(product.port, session_id)
    viewer.reset(stamps_after=time.monotonic_ns())
    await ask(http, session_id, **script)
    await viewer.ended.wait()
    async with asyncio.timeout(LAST_WORDS_S):
        while len(viewer.delays_ns) < script["count"]:
            viewer.spoke.clear()
            await viewer.spoke.wait()
    viewer.close()
    return [delay / 1e6 for delay in viewer.delays_ns]


def _note(delays: list[float]) -> str:
    return f"99 of 100 within {sorted(delays)[int(len(delays) * 0.99)]:.1f} ms"
