"""From a question to its first token at a program's socket, beside the same question put to the engine itself."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.chats import ask, direct, new_session
from bench.client import Http
from bench.processes import Stage, stage
from bench.report import Effort, Measure, middle
from bench.viewer import STAMP, Viewer

SCRIPT = {"count": 2, "rate": 50, "stamp": True}
WHOLE_MS, RELAY_MS = 4.0, 1.0
QUESTIONS = 20
PAUSE_S = 0.03
"""For what the product still does after it has told the end."""

Sample = tuple[float, float]
"""Milliseconds from the question to the token, and from the engine's writing it to its arrival."""


async def run(directory: Path, effort: Effort) -> list[Measure]:
    ours: list[Sample] = []
    engines: list[Sample] = []
    async with stage(directory) as product, Http(product.port) as http, Http(product.engine_port) as engine:
        for _ in range(effort.rounds):
            await _round(product, http, engine, effort.of(QUESTIONS), ours, engines)
    whole, relay = (middle([s[i] for s in ours]) - middle([s[i] for s in engines]) for i in (0, 1))
    note = f"{middle([s[0] for s in ours]):.2f} ms, engine alone {middle([s[0] for s in engines]):.2f} ms"
    return [
        Measure("question to first token, added", whole, "ms", WHOLE_MS, note),
        Measure("of which token through the relay, added", relay, "ms", RELAY_MS),
    ]


async def _round(
    product: Stage, http: Http, engine: Http, questions: int, ours: list[Sample], engines: list[Sample]
) -> None:
    session_id = await new_session(http)
    viewer = await Viewer("program").open(product.port, session_id)
    for number in range(questions + 1):
        through, alone = await _ask_ours(http, session_id, viewer), await _ask_engine(engine)
        if number:  # the first opens connections
            ours.append(through)
            engines.append(alone)
        await asyncio.sleep(PAUSE_S)
    viewer.close()


async def _ask_ours(http: Http, session_id: str, viewer: Viewer) -> Sample:
    began = time.monotonic_ns()
    viewer.reset(stamps_after=began)
    await ask(http, session_id, **SCRIPT)
    await viewer.spoke.wait()
    sample = (viewer.first_at - began) / 1e6, viewer.delays_ns[0] / 1e6
    await viewer.ended.wait()
    return sample


async def _ask_engine(engine: Http) -> Sample:
    began = time.monotonic_ns()
    sample: Sample | None = None
    async for now, chunk in engine.chunks("/api/chat", direct(**SCRIPT)):
        written = next((n for n in map(int, STAMP.findall(chunk)) if began < n <= now), None)
        if sample is None and written is not None:
            sample = (now - began) / 1e6, (now - written) / 1e6
    assert sample is not None
    return sample
