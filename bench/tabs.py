"""Memory that an open tab costs: a socket of a page, after its hello, with nothing happening."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.chats import ask, new_session
from bench.client import Http
from bench.processes import child, stage
from bench.report import Effort, Measure, middle
from bench.viewer import Viewer

TABS, FIRST = 300, 20
TAB_KB = 60.0
SETTLE_S = 1.0


async def run(directory: Path, effort: Effort) -> list[Measure]:
    found = [await _tab_kb(directory, effort) for _ in range(effort.of(3))]
    return [Measure("memory of an open tab", middle(found), "KB", TAB_KB, f"{effort.of(TABS)} tabs, RSS")]


async def _tab_kb(directory: Path, effort: Effort) -> float:
    """Each time in a new process, because memory that was freed is used again."""
    async with stage(directory) as product, Http(product.port) as http:
        session_id = await new_session(http)
        viewer = await Viewer("page").open(product.port, session_id)
        await ask(http, session_id, text="A short answer with a [link](https://example.org) and `code`.")
        await viewer.ended.wait()
        arguments = ("-m", "bench.viewers", str(product.port), session_id)
        async with child(*arguments, str(FIRST), "page") as first:
            await first.line("ready")
            await asyncio.sleep(SETTLE_S * min(1, effort.share * 2))
            before = product.server.memory_mb()[0]
            count = effort.of(TABS)
            async with child(*arguments, str(count), "page") as tabs:
                await tabs.line("ready")
                await asyncio.sleep(SETTLE_S * min(1, effort.share * 2))
                return (product.server.memory_mb()[0] - before) * 1000 / count
