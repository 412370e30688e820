"""Child processes of a measurement: the product, its engine, its viewers; what each uses of the machine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120.0
NOBODY = "http://127.0.0.1:9"
"""An address at which no engine answers."""


class Child:
    """A Python process that speaks in lines. `cpu_s` counts all its threads, user and system."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._usage = psutil.Process(process.pid)

    async def line(self, pattern: str = "") -> str:
        """The next line of its stdout that has `pattern` (a regular expression) in it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.process.stdout:
                if re.search(pattern, line.decode()):
                    return line.decode().rstrip()
        raise RuntimeError(f"process {self.process.pid} ended without saying {pattern!r}")

    async def ask(self, command: str) -> str:
        """Sends a line, gives the line that comes back."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        return await self.line()

    def cpu_s(self) -> float:
        threads = Path(f"/proc/{self.process.pid}/task")
        with suppress(OSError, IndexError):  # Linux counts nanoseconds here, psutil only hundredths of a second
            times = [(thread / "schedstat").read_text().split()[0] for thread in threads.iterdir()]
            return sum(int(time) for time in times) / 1e9
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> tuple[float, float]:
        """(resident, proportional), the second 0 where the system does not tell."""
        used = self._usage.memory_full_info()
        return used.rss / 1e6, getattr(used, "pss", 0) / 1e6


@asynccontextmanager
async def child(*arguments: str, **variables: str) -> AsyncIterator[Child]:
    """Runs `python arguments` from the root of the repository; ended at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env=environment(**variables),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield Child(process)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


def environment(**variables: str) -> dict[str, str]:
    """Nothing of the caller's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LOG_LEVEL": "WARNING",
        "RATE_LIMIT_ENABLED": "off",
        "CONNECTIONS_MAX_PER_ADDRESS": "2000",
        "CONNECTIONS_MAX": "2000",
        "SOCKETS_MAX_PER_PERSON": "2000",
        "OLLAMA_BASE_URL": NOBODY,
        **variables,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stage:
    """The product, serving with a fake engine. `engine_port` is the engine's own, for direct requests."""

    def __init__(self, server: Child, port: int, engine_port: int) -> None:
        self.server = server
        self.port = port
        self.engine_port = engine_port


@asynccontextmanager
async def engine(models: int = 0) -> AsyncIterator[int]:
    """The port of a fake engine, with so many more models than its usual two."""
    async with child("-m", "bench.peers.engine", str(models)) as fake:
        yield int(await fake.line())


@asynccontextmanager
async def stage(directory: Path, *command: str, models: int = 0) -> AsyncIterator[Stage]:
    """The product (or `command` in its place) with fresh data, once it has found its engine."""
    run = command or ("-m", "quart_chat", "serve")
    async with engine(models) as engine_port:
        settings = {"DATA_DIR": str(directory / f"data-{engine_port}"), "API_PORT": "0"}
        url = f"http://127.0.0.1:{engine_port}"
        async with child(*run, OLLAMA_BASE_URL=url, **settings) as server:
            listens = await server.line(r"listens at .*:\d+/")
            await server.line(r"^Ollama .* at ")
            found = re.search(r":(\d+)/", listens)
            assert found is not None
            yield Stage(server, int(found[1]), engine_port)
