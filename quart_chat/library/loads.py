"""Loads asked for by hand: server jobs that go on when the one who asked is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from quart_chat.entities import new_id
from quart_chat.errors import ModelError
from quart_chat.providers.base import Provider
from quart_chat.providers.ollama_models import normalise

logger = logging.getLogger(__name__)


class Load:
    """One load under way. `result()` waits for it: milliseconds it took, or the ModelError it ended with."""

    def __init__(self, model: str, task: asyncio.Task[int]) -> None:
        self.id = new_id()
        self.model = model
        self.task = task

    async def result(self) -> int:
        return await asyncio.shield(self.task)


class Loads:
    """Owns the load tasks, one a model: who asks for a model that is being loaded joins that load."""

    def __init__(self) -> None:
        self._running: dict[str, Load] = {}

    def begin(self, provider: Provider, model: str, *, num_ctx: int | None, keep_alive: int | str | None) -> Load:
        key = normalise(model)
        load = self._running.get(key)
        if load is None:
            work = partial(provider.load_model, model, num_ctx=num_ctx, keep_alive=keep_alive)
            task = asyncio.create_task(self._run(key, work), name=f"load {model}")
            load = self._running[key] = Load(model, task)
            task.add_done_callback(_report)
        return load

    async def close(self) -> None:
        tasks = [load.task for load in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: str, work: Callable[[], Awaitable[int]]) -> int:
        try:
            return await work()
        finally:
            self._running.pop(key, None)


def _report(task: asyncio.Task[int]) -> None:
    """Whoever waits gets the error; if nobody does, the log has it."""
    if not task.cancelled() and isinstance(error := task.exception(), ModelError):
        logger.warning("a load failed: %s", error.message)
