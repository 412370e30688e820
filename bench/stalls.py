"""How long the serving loop stands still while it streams hostile Markdown to a page and a program."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bench.chats import ask, new_session
from bench.client import Http
from bench.hostile import TEXTS
from bench.processes import Stage, stage
from bench.report import Effort, Measure, middle
from bench.viewer import Viewer

STALL_MS = 50.0
CALM_S = 2.0


async def run(directory: Path, effort: Effort) -> list[Measure]:
    rounds = effort.of(3)
    calm: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in list(TEXTS)[: effort.of(len(TEXTS), 2)]}
    async with stage(directory, "-m", "bench.peers.ticking") as product, Http(product.port) as http:
        await _hostile(product, http, "prose")
        for _ in range(rounds):
            calm.append(await _calm(http, effort))
            for name, stalls in found.items():
                stalls.append(await _hostile(product, http, name))
    medians = {name: middle(stalls) for name, stalls in found.items()}
    worst = sorted(medians, key=lambda name: -medians[name])[:3]
    note = "worst: " + ", ".join(f"{name} {medians[name]:.0f}" for name in worst)
    return [
        Measure("loop stall, nothing to do", middle(calm), "ms"),
        Measure("loop stall, hostile Markdown", medians[worst[0]], "ms", STALL_MS, note),
    ]


async def _calm(http: Http, effort: Effort) -> float:
    await _stall_ms(http)
    await asyncio.sleep(CALM_S * min(1.0, effort.share))
    return await _stall_ms(http)


async def _hostile(product: Stage, http: Http, name: str) -> float:
    """The longest stall from the question to the end of its answer, and of the page then read whole."""
    session_id = await new_session(http)
    page = await Viewer("page").open(product.port, session_id)
    program = await Viewer("program").open(product.port, session_id)
    await _stall_ms(http)
    await ask(http, session_id, hostile=name)
    await asyncio.gather(page.ended.wait(), program.ended.wait())
    await http.request("GET", f"/chat/{session_id}")
    page.close()
    program.close()
    return await _stall_ms(http)


async def _stall_ms(http: Http) -> float:
    _, _, data = await http.request("GET", "/bench/stall")
    return float(json.loads(data))
