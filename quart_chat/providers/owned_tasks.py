"""Work that goes on when whoever asked for it leaves, and that its owner ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from quart_chat.errors import EngineUnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")


class OwnedTasks:
    """A failure that nobody waits for any more is logged, not lost and not shouted about."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.wait()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("%s: %s", task.get_coro(), error)


async def outcome(task: asyncio.Task[T]) -> T:
    """Waits without owning: the waiter can be cancelled, the work is not. Its owner's end is unavailability."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        waiter = asyncio.current_task()
        if task.cancelled() and waiter is not None and not waiter.cancelling():
            raise EngineUnavailableError("The connection to Ollama has been closed.") from None
        raise
