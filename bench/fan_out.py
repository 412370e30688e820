"""Processor time per frame for 100 viewers of one 50 tok/s answer, beside raw asyncio with frames of that size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.chats import ask, new_session
from bench.client import Http
from bench.processes import Child, Stage, child, stage
from bench.report import TINY, Effort, Measure, middle
from bench.viewer import Kind

VIEWERS = 100
RATE = 50
COUNT = 200
FRAMES_PER_S: dict[Kind, float] = {"program": RATE, "page": 20}
TIMES_RAW = 5.0


class Cost(NamedTuple):
    """Microseconds of processor time per delivered frame, bytes per frame, frames per viewer."""

    frame_us: float
    size: int
    frames: float


async def run(directory: Path, effort: Effort) -> list[Measure]:
    found: dict[Kind, list[tuple[Cost, Cost]]] = {"program": [], "page": []}
    async with stage(directory) as product, child("-m", "bench.peers.fan_out") as raw:
        raw_port = int(await raw.line())
        for kind in found:
            await _ours(product, kind, TINY)
        for _ in range(effort.rounds):
            for kind, pairs in found.items():
                ours = await _ours(product, kind, effort)
                pairs.append((ours, await _raw(raw, raw_port, kind, ours, effort)))
    return [_measure(kind, pairs) for kind, pairs in found.items()]


async def _ours(product: Stage, kind: Kind, effort: Effort) -> Cost:
    async with Http(product.port) as http:
        session_id = await new_session(http)
    async with (
        _viewers(product.port, session_id, effort.of(VIEWERS, 2), kind) as viewers,
        Http(product.port) as http,
    ):
        before = product.server.cpu_s()
        await ask(http, session_id, count=effort.of(COUNT), rate=RATE)
        return await _cost(product.server, viewers, before, effort)


async def _raw(raw: Child, port: int, kind: Kind, like: Cost, effort: Effort) -> Cost:
    async with _viewers(port, "-", effort.of(VIEWERS, 2), "raw") as viewers, Http(port) as http:
        before = raw.cpu_s()
        rate = FRAMES_PER_S[kind]
        await http.request("GET", f"/go?{rate},{effort.of(COUNT) * rate / RATE:.0f},{like.size}")
        return await _cost(raw, viewers, before, effort)


@asynccontextmanager
async def _viewers(port: int, session_id: str, count: int, kind: Kind) -> AsyncIterator[Child]:
    async with child("-m", "bench.viewers", str(port), session_id, str(count), kind) as viewers:
        await viewers.line("ready")
        await viewers.ask("reset")
        yield viewers


async def _cost(server: Child, viewers: Child, before_s: float, effort: Effort) -> Cost:
    counts = json.loads(await viewers.ask("ended"))
    frames = counts["frames"]
    spent_s = server.cpu_s() - before_s
    return Cost(spent_s / frames * 1e6, counts["bytes"] // frames, frames / effort.of(VIEWERS, 2))


def _measure(kind: Kind, pairs: list[tuple[Cost, Cost]]) -> Measure:
    ratio = middle([ours.frame_us / raw.frame_us for ours, raw in pairs])
    ours = middle([pair[0].frame_us for pair in pairs])
    raw = middle([pair[1].frame_us for pair in pairs])
    note = f"{ours:.1f} µs, raw {raw:.1f} µs, {pairs[-1][0].size} bytes, {pairs[-1][0].frames:.0f} frames"
    return Measure(f"processor per frame, {VIEWERS} {kind}s", ratio, "x raw", TIMES_RAW, note)
