"""Starts a server as a process of its own and watches it: what it printed, where it listens, how it ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import websockets

ROOT = Path(__file__).parents[2]
STANDIN = (sys.executable, "-m", "tests.e2e.standin")
PRODUCT = (sys.executable, "-m", "quart_chat", "serve")
START_S = 15
STOP_S = 10


@dataclass
class Server:
    process: asyncio.subprocess.Process
    port: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def line_with(self, text: str) -> str:
        """The first line on stdout that contains `text`, waited for. Fails when stdout ends without it."""
        assert self.process.stdout is not None
        for line in self.lines:
            if text in line:
                return line
        while raw := await self.process.stdout.readline():
            self.lines.append(raw.decode().rstrip())
            if text in self.lines[-1]:
                return self.lines[-1]
        assert self.process.stderr is not None
        raise AssertionError(f"no {text!r} in {self.lines}; {(await self.process.stderr.read()).decode()}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float, str]:
        """Sends the signal: exit code, seconds until the end, what was left on stderr. Fails after STOP_S."""
        began = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(STOP_S):
            rest, errors = await self.process.communicate()
        self.lines += rest.decode().splitlines()
        assert self.process.returncode is not None
        return self.process.returncode, time.monotonic() - began, errors.decode()


def environment(directory: Path, **variables: str) -> dict[str, str]:
    """Nothing of the caller's settings: an unused engine address, any free port, data below `directory`.

    No limits of one person, as a test plays many.
    """
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "API_PORT": "0",
        "DATA_DIR": str(directory / "data"),
        "OLLAMA_BASE_URL": "http://127.0.0.1:9",
        "RATE_LIMIT_ENABLED": "off",
        **variables,
    }


@asynccontextmanager
async def started(
    directory: Path, command: Sequence[str] = STANDIN, env: dict[str, str] | None = None, **variables: str
) -> AsyncIterator[Server]:
    """A server that listens. Killed at the end if it is still there."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=env or environment(directory, **variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    server = Server(process)
    try:
        async with asyncio.timeout(START_S):
            line = await server.line_with("listens at")
            found = re.search(r":(\d+)/", line)
            assert found is not None
            server.port = int(found[1])
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(
    directory: Path, command: Sequence[str] = STANDIN, **variables: str
) -> tuple[int, list[str], list[str]]:
    """Runs a server that is expected to refuse to start: exit code, lines of stdout and of stderr."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=environment(directory, **variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_S):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode().splitlines(), errors.decode().splitlines()


async def open_socket(server: Server, path: str, **options: object) -> websockets.ClientConnection:
    return await websockets.connect(f"ws://127.0.0.1:{server.port}{path}", **options)  # type: ignore[arg-type]


@contextmanager
def stuck_socket(server: Server, path: str) -> Iterator[socket.socket]:
    """A client that finishes the handshake, then neither reads nor answers anything."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(handshake(path))
        assert client.recv(12) == b"HTTP/1.1 101"
        yield client


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare TCP connection, dropped at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def handshake(path: str, *extra: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *extra,
        "",
        "",
    )
    return "\r\n".join(lines).encode()
