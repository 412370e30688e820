"""The dashboard with 200 models: how long its page takes, and what a pull that reports 16 times a second sends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from bench.client import Http
from bench.peers.engine import ENDLESS
from bench.processes import Stage, stage
from bench.report import Effort, Measure, middle
from bench.viewer import Viewer

MODELS = 200
OPENED = 20
WATCH_S = 5.0
PAGE_MS = 100.0
FRAMES_PER_S = 20.0


class Opened(NamedTuple):
    took_ms: float
    processor_ms: float
    size: int


class Watched(NamedTuple):
    """Of one second: frames that the page and the program got, milliseconds of processor time of the server."""

    page: float
    program: float
    processor_ms: float


async def run(directory: Path, effort: Effort) -> list[Measure]:
    async with stage(directory, models=effort.of(MODELS)) as product, Http(product.port) as http:
        await _open(product, http)
        opened = [await _open(product, http) for _ in range(effort.of(OPENED))]
        page = await Viewer("dashboard").open(product.port, "")
        program = await Viewer("board").open(product.port, "")
        calm = [await _watch(product, page, program, effort) for _ in range(effort.rounds)]
        await _pull(http)
        pulling = [await _watch(product, page, program, effort) for _ in range(effort.rounds)]
        page.close()
        program.close()
    return [_page(opened, effort), *_pulled(calm, pulling)]


async def _open(product: Stage, http: Http) -> Opened:
    worked_s, began = product.server.cpu_s(), time.perf_counter()
    status, _, body = await http.request("GET", "/dashboard")
    if status != 200:
        raise RuntimeError(f"the dashboard was refused: {status}")
    took_s = time.perf_counter() - began
    return Opened(took_s * 1000, (product.server.cpu_s() - worked_s) * 1000, len(body))


async def _pull(http: Http) -> None:
    """Returns once it is under way."""
    body = {"model": ENDLESS, "stream": True}
    status, _, data = await http.request("POST", "/api/providers/ollama/pull", body)
    if status != 202:
        raise RuntimeError(f"the pull was refused: {status} {data.decode()}")
    await asyncio.sleep(0.5)


async def _watch(product: Stage, page: Viewer, program: Viewer, effort: Effort) -> Watched:
    page.reset()
    program.reset()
    worked_s, began = product.server.cpu_s(), time.perf_counter()
    await asyncio.sleep(max(0.5, WATCH_S * effort.share))
    took_s = time.perf_counter() - began
    processor_ms = (product.server.cpu_s() - worked_s) * 1000
    return Watched(page.frames / took_s, program.frames / took_s, processor_ms / took_s)


def _page(opened: list[Opened], effort: Effort) -> Measure:
    processor_ms = middle([one.processor_ms for one in opened])
    note = f"{effort.of(MODELS)} models, {processor_ms:.0f} ms of processor, {opened[-1].size / 1000:.0f} KB"
    return Measure("dashboard, request to whole page", middle([one.took_ms for one in opened]), "ms", PAGE_MS, note)


def _pulled(calm: list[Watched], pulling: list[Watched]) -> list[Measure]:
    idle_ms = middle([one.processor_ms for one in calm])
    more_ms = middle([one.processor_ms for one in pulling]) - idle_ms
    name = "frames a second of a pull"
    return [
        Measure(f"{name}, dashboard", middle([one.page for one in pulling]), "/s", FRAMES_PER_S),
        Measure(f"{name}, program", middle([one.program for one in pulling]), "/s", FRAMES_PER_S),
        Measure("processor of a pull, per second", more_ms, "ms", None, f"both looking; idle {idle_ms:.1f} ms"),
    ]
