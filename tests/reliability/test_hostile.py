"""R9: one hostile client, whatever it does, does not hurt the others."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script
from tests.e2e.processes import ROOT, Server, open_socket, started
from tests.reliability.scale import measured, percentile, scaled
from tests.reliability.watched import COMMAND

SECONDS = scaled("hostile_s", 12, 300)
OTHERS_P95_S = 0.2
MEMORY_BYTES = 64 * 1024 * 1024
RECOVERY_S = 45
PAUSE_S = 0.15
"""Between two acts of an honest client: together they stay below the pace at which one address is served."""
SPARE_TASKS = 6
"""A connection of the one who asks, and one that has just ended."""


class Others:
    """Honest clients: a page and a form now and then, a tab that says ping. Seconds that each took."""

    def __init__(self, server: Server, http: httpx.AsyncClient) -> None:
        self._server = server
        self._http = http
        self.times: dict[str, list[float]] = {}

    async def go_on(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ping())
            group.create_task(self._repeat("page", self._page))
            group.create_task(self._repeat("form", self._form))

    async def _repeat(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            began = time.perf_counter()
            await act()
            self.times.setdefault(name, []).append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE_S)

    async def _page(self) -> None:
        assert (await self._http.get("/", follow_redirects=True)).status_code == 200

    async def _form(self) -> None:
        assert (await self._http.post("/nothing/here")).status_code == 404

    async def _ping(self) -> None:
        async with await open_socket(self._server, "/ws?after=") as socket:

            async def round_trip() -> None:
                await socket.send('{"type":"ping"}')
                while json.loads(await socket.recv())["payload"].get("event") != "pong":
                    pass

            await self._repeat("socket", round_trip)


async def attacked(server: Server, seconds: float) -> None:
    """By a process of its own, so that it does not slow down who measures."""
    command = (sys.executable, "-m", "tests.reliability.attacks", str(server.port), str(seconds))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    try:
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_one_hostile_client_does_not_hurt_the_others(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    variables = {"OLLAMA_BASE_URL": fake_ollama.url, "LOG_LEVEL": "WARNING", "RATE_LIMIT_ENABLED": "on"}
    variables["RATE_LIMIT_REQUESTS"] = "2000"  # our own forms, twenty a second
    fake_ollama.answer_always(Script(tokens=["word " * 2000] * 90, rate=20))
    async with (
        started(tmp_path, COMMAND, **variables) as server,
        httpx.AsyncClient(base_url=server.url, cookies={"qc_person": "a" * 16}) as http,
    ):
        process = psutil.Process(server.process.pid)
        quiet, busy = Others(server, http), Others(server, http)
        await during(quiet, asyncio.sleep(2))
        base_tasks, base_memory = int((await http.get("/tasks")).text), process.memory_info().rss
        peak = Peak(process)
        await asyncio.gather(during(busy, attacked(server, SECONDS)), during(peak, asyncio.sleep(SECONDS)))
        recovery = await recovered(http, base_tasks)
        more = peak.highest - base_memory
        p95 = {name: percentile(times, 0.95) for name, times in busy.times.items()}
        before = {name: percentile(times, 0.95) for name, times in quiet.times.items()}
        measured(
            f"R9 hostile client, {SECONDS} s: others' p95 "
            + ", ".join(f"{name} {p95[name] * 1e3:.0f} ms (quiet {before[name] * 1e3:.0f})" for name in p95)
            + f"; memory +{more / 2**20:.0f} MiB; tasks back to {base_tasks} after {recovery:.0f} s"
        )
        assert fake_ollama.questions, "no stream was begun"
        code, _, errors = await server.stop()
        assert (code, "Traceback" in errors) == (0, False), errors[:3000] + errors[-3000:]
    assert max(p95.values()) <= OTHERS_P95_S, p95
    assert more <= MEMORY_BYTES, more


class Peak:
    """The most memory that the process had."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.highest = 0

    async def go_on(self) -> None:
        while True:
            self.highest = max(self.highest, self._process.memory_info().rss)
            await asyncio.sleep(0.2)


async def during(going_on: Others | Peak, act: Awaitable[object]) -> None:
    """What goes on must not fail before `act` is done."""
    task = asyncio.create_task(going_on.go_on())
    acting = asyncio.ensure_future(act)
    try:
        await asyncio.wait({task, acting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        await acting
    finally:
        for one in (task, acting):
            one.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def recovered(http: httpx.AsyncClient, base: int) -> float:
    """Seconds until the server has no more tasks than before."""
    began = time.monotonic()
    async with asyncio.timeout(RECOVERY_S):
        while int((await http.get("/tasks")).text) > base + SPARE_TASKS:  # noqa: ASYNC110
            await asyncio.sleep(0.25)
    return time.monotonic() - began
