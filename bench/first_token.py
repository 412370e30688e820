"""From a question to its first token at a program's socket, beside the same question put to the engine itself, and
beside the least that Quart, a commit and httpx can do with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.chats import ask, direct, new_session
from bench.client import Http
from bench.processes import Stage, child, free_port, stage
from bench.report import Effort, Measure, middle
from bench.viewer import STAMP, Kind, Viewer

SCRIPT = {"count": 2, "rate": 50, "stamp": True}
WHOLE_MS, RELAY_MS = 4.0, 1.0
QUESTIONS = 20
PAUSE_S = 0.03
"""For what the product still does after it has told the end."""
POLL_S = 0.01

Sample = tuple[float, float]
"""Milliseconds from the question to the token, and from the engine's writing it to its arrival."""
Samples = list[Sample]


async def run(directory: Path, effort: Effort) -> list[Measure]:
    ours: Samples = []
    least: Samples = []
    engines: Samples = []
    async with (
        stage(directory) as product,
        _least(product, directory) as least_port,
        Http(product.engine_port) as engine,
    ):
        for _ in range(effort.rounds):
            questions = effort.of(QUESTIONS)
            await _round("program", product.port, engine, questions, ours, engines)
            await _round("raw", least_port, engine, questions, least, engines)
    alone, bare, whole = (middle([s[0] for s in samples]) for samples in (engines, least, ours))
    relay = middle([s[1] for s in ours]) - middle([s[1] for s in engines])
    return [
        Measure("question to first token, added", whole - alone, "ms", WHOLE_MS, f"{whole:.2f}, engine {alone:.2f} ms"),
        Measure("of which token through the relay, added", relay, "ms", RELAY_MS),
        Measure("the least that Quart and httpx add", bare - alone, "ms"),
    ]


async def _round(kind: Kind, port: int, engine: Http, questions: int, through: Samples, engines: Samples) -> None:
    async with Http(port) as http:
        session_id = await new_session(http) if kind == "program" else ""
        viewer = await Viewer(kind).open(port, session_id)
        for number in range(questions + 1):
            samples = await _ask(http, session_id, viewer), await _ask_engine(engine)
            if number:  # the first opens connections
                through.append(samples[0])
                engines.append(samples[1])
            await asyncio.sleep(PAUSE_S)
        viewer.close()


@asynccontextmanager
async def _least(product: Stage, directory: Path) -> AsyncIterator[int]:
    port = free_port()
    settings = {"OLLAMA_BASE_URL": f"http://127.0.0.1:{product.engine_port}", "DATA_DIR": str(directory / "least")}
    async with child("-m", "bench.peers.relay", str(port), **settings):
        while True:
            try:
                async with Http(port):
                    break
            except ConnectionError:
                await asyncio.sleep(POLL_S)
        yield port


async def _ask(http: Http, session_id: str, viewer: Viewer) -> Sample:
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
