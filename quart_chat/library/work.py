"""`Work`: one job under way, for those who do it and those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from quart_chat.errors import QuartChatError
from quart_chat.model_entities import Job
from quart_chat.providers.base import PullLine

LOG_LINES = 200


class Tell(Protocol):
    def __call__(self, *, at_once: bool) -> None: ...


class Work:
    """`job`: how it stands now. `log`: of a download, the last line per status and layer, 200 at most."""

    def __init__(self, job: Job, *, tell: Tell, save: Callable[[Job], Awaitable[None]]) -> None:
        self.job = job
        self._tell = tell
        self._save = save
        self._lines: dict[tuple[str, str], PullLine] = {}
        self.task: asyncio.Task[None] | None = None
        self.stopping = False
        self.ended = asyncio.Event()
        self.error: QuartChatError | None = None

    @property
    def log(self) -> list[PullLine]:
        return list(self._lines.values())

    def note(self, line: PullLine) -> None:
        self._lines[line.status, line.digest] = line
        if len(self._lines) > LOG_LINES:
            del self._lines[next(iter(self._lines))]

    def set(self, job: Job) -> None:
        """How it stands now: to the boards at once if it is another phase, else within 200 ms."""
        at_once = (job.state, job.phase, job.leaving) != (self.job.state, self.job.phase, self.job.leaving)
        self.job = job
        self._tell(at_once=at_once)

    async def save(self) -> None:
        await self._save(self.job)

    async def result(self) -> Job:
        """Its end. Raises the error it failed with, ConflictError if it was cancelled or cut by our own end.

        Cancelling who waits does not cancel the job.
        """
        await self.ended.wait()
        if self.error is not None:
            raise self.error
        return self.job
