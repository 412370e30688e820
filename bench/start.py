"""Start to the first page, and memory after it, beside a bare Quart page on Hypercorn started the same way."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.client import Http
from bench.processes import NOBODY, Child, child, engine, free_port
from bench.report import Effort, Measure, middle

POLL_S = 0.002
SETTLE_S = 2.5
"""So that what is loaded after the first page is counted."""
HELLO, FRESH, EXISTING, ENGINE = "bare", "fresh database", "existing database", "existing database, engine answers"
SLOWER, MORE_MB = 1.8, 20.0

Sample = tuple[float, float, float]
"""Seconds from exec to the first page; resident and proportional MB after it."""


async def run(directory: Path, effort: Effort) -> list[Measure]:
    samples: dict[str, list[Sample]] = {HELLO: [], FRESH: [], EXISTING: [], ENGINE: []}
    async with engine() as engine_port:
        engine_url = f"http://127.0.0.1:{engine_port}"
        kept = directory / "kept"
        await _start_ours(kept, NOBODY, settle_s=0)
        for number in range(effort.of(6)):
            samples[HELLO].append(await _start_hello(_settle_s(effort)))
            samples[FRESH].append(await _start_ours(directory / f"new-{number}", NOBODY, settle_s=0))
            samples[EXISTING].append(await _start_ours(kept, NOBODY, _settle_s(effort)))
            samples[ENGINE].append(await _start_ours(kept, engine_url, _settle_s(effort)))
    return _times(samples) + _memory(samples)


def _settle_s(effort: Effort) -> float:
    return SETTLE_S * min(1.0, effort.share * 2)


async def _start_hello(settle_s: float) -> Sample:
    port = free_port()
    return await _first_page(("-m", "bench.peers.hello", str(port)), port, settle_s)


async def _start_ours(data: Path, engine_url: str, settle_s: float) -> Sample:
    port = free_port()
    settings = {"API_PORT": str(port), "DATA_DIR": str(data), "OLLAMA_BASE_URL": engine_url}
    return await _first_page(("-m", "quart_chat", "serve"), port, settle_s, **settings)


async def _first_page(command: tuple[str, ...], port: int, settle_s: float, **settings: str) -> Sample:
    started = time.perf_counter()
    async with child(*command, **settings) as server:
        await _until_page(server, port)
        took_s = time.perf_counter() - started
        await asyncio.sleep(settle_s)
        return (took_s, *server.memory_mb())


async def _until_page(server: Child, port: int) -> None:
    path = "/"
    while True:
        try:
            async with Http(port) as http:
                while True:
                    status, headers, _ = await http.request("GET", path)
                    if status == 200:
                        return
                    path = headers["location"]
        except (ConnectionError, asyncio.IncompleteReadError):
            if server.process.returncode is not None:
                raise
            await asyncio.sleep(POLL_S)


def _times(samples: dict[str, list[Sample]]) -> list[Measure]:
    bare = middle([sample[0] for sample in samples[HELLO]])
    measures = [Measure("start, bare Quart page", bare * 1000, "ms")]
    for name in (FRESH, EXISTING, ENGINE):
        ours = middle([sample[0] for sample in samples[name]])
        note = f"{ours * 1000:.0f} ms"
        measures.append(Measure(f"start, {name}", ours / bare, "x bare", SLOWER, note))
    return measures


def _memory(samples: dict[str, list[Sample]]) -> list[Measure]:
    measures = []
    for column, kind in ((1, "RSS"), (2, "PSS")):
        bare = middle([sample[column] for sample in samples[HELLO]])
        for name in (EXISTING, ENGINE):
            ours = middle([sample[column] for sample in samples[name]])
            note = f"{ours:.1f} MB, bare {bare:.1f} MB"
            measures.append(Measure(f"memory {kind}, {name}", ours - bare, "MB more", MORE_MB, note))
    return measures
