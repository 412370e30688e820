"""The product as a process that dies and comes back on the same data and port, in front of a fake engine."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script
from tests.e2e.processes import PRODUCT, Server, started

MODEL = "hello:latest"
SLOTS = 8
ROOMY = {"RATE_LIMIT_ENABLED": "off", "QUEUE_MAX_PER_PERSON": "100", "LOG_LEVEL": "ERROR", "OLLAMA_POLL": "1"}


class House:
    """`async with`; the product is started and killed at the end. `write(question)` is the engine's answer to it."""

    def __init__(
        self,
        directory: Path,
        write: Callable[[str], Script] | None = None,
        *,
        command: Sequence[str] = PRODUCT,
        **settings: str,
    ) -> None:
        self.directory = directory
        self.fake = FakeOllama(models=False)
        self.asked: Counter[str] = Counter()
        """How often the engine was asked each question."""
        self.server: Server
        self.start_s: list[float] = []
        self.began_ms = 0
        self._write = write or (lambda question: Script())
        self._command = command
        self._settings = {**ROOMY, "OLLAMA_NUM_PARALLEL": str(SLOTS), **settings}
        self._stack = AsyncExitStack()
        self._run = AsyncExitStack()

    @property
    def database(self) -> Path:
        return self.directory / "data" / "quart-chat.db"

    @property
    def pid(self) -> int:
        return self.server.process.pid

    async def start(self) -> None:
        """A process that listens and has found its engine, at the same port as before."""
        began = time.monotonic()
        self.began_ms = round(time.time() * 1000)
        product = started(self.directory, self._command, OLLAMA_BASE_URL=self.fake.url, **self._settings)
        self.server = await self._run.enter_async_context(product)
        self.start_s.append(time.monotonic() - began)
        self._settings["API_PORT"] = str(self.server.port)
        await self.server.line_with("Ollama")

    async def kill(self) -> None:
        """Without any warning."""
        await self.server.stop(signal.SIGKILL)
        await self._run.aclose()

    async def stop(self) -> tuple[int, float]:
        """With SIGTERM: exit code and the seconds it took."""
        code, seconds, errors = await self.server.stop()
        await self._run.aclose()
        assert "Traceback" not in errors, errors
        return code, seconds

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.fake)
        self._stack.push_async_callback(self._run.aclose)
        self.fake.add_model(MODEL, slots=asyncio.Semaphore(SLOTS))
        self.fake.answer_always(self._answer)
        try:
            await self.start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._stack.__aexit__(*failure)

    def _answer(self, body: dict[str, Any]) -> Script:
        question = str(body["messages"][-1]["content"])
        self.asked[question] += 1
        self.fake.requests.clear()  # long runs must not keep every body
        return self._write(question)
