"""One download: its attempts, its progress, and the one rule of trying again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

from msgspec import Struct

from quart_chat.entities import now_ms
from quart_chat.errors import DownloadError, ModelError
from quart_chat.library.progress import STALLED_AFTER_S, Progress
from quart_chat.library.work import Work
from quart_chat.providers.base import Provider


class Pace(Struct, frozen=True, kw_only=True):
    """`retry_after_s`: the pauses before it is tried again; one after another as long as nothing comes."""

    stalled_after_s: float = STALLED_AFTER_S
    retry_after_s: tuple[float, ...] = (2.0, 5.0, 10.0)
    tick_s: float = 1.0
    save_every_s: float = 10.0


class Download:
    """Brings the model of `work` and keeps its job true meanwhile."""

    def __init__(self, work: Work, provider: Provider, pace: Pace, *, expected: int) -> None:
        self._work = work
        self._provider = provider
        self._pace = pace
        self._now = steady_clock()
        self._progress = Progress(self._now(), expected=expected, stalled_after_s=pace.stalled_after_s)

    async def run(self) -> None:
        """Returns when the model is there whole. Cancelled, it stops the engine's download before it ends.

        Raises what the last attempt failed with.
        """
        ticking = asyncio.create_task(self._tick(), name=f"progress of {self._work.job.model}")
        try:
            self._show()
            await self._attempts()
        finally:
            ticking.cancel()
            await asyncio.wait([ticking])
        self._progress.finish(self._now())
        self._show()

    async def _attempts(self) -> None:
        """Once bytes have come, a failure that may pass is tried again: three times without any more coming end it."""
        in_vain = 0
        while True:
            reached = self._progress.reached
            try:
                await self._attempt()
                return
            except ModelError as error:
                in_vain = 0 if self._progress.reached > reached else in_vain + 1
                if not _passes(error) or not self._progress.fetching or in_vain >= len(self._pace.retry_after_s):
                    raise
            self._progress.halt()
            self._show()
            await asyncio.sleep(self._pace.retry_after_s[in_vain])
            self._progress.again(self._now())

    async def _attempt(self) -> None:
        async with aclosing(self._provider.pull_model(self._work.job.model)) as lines:
            async for line in lines:
                self._work.note(line)
                self._progress.take(line, self._now())
                self._show()

    async def _tick(self) -> None:
        """Notices that nothing comes any more, and stores how far it is."""
        saved_at, total = time.monotonic(), self._work.job.total
        while True:
            await asyncio.sleep(self._pace.tick_s)
            self._show()
            job = self._work.job
            if (job.total and not total) or time.monotonic() - saved_at >= self._pace.save_every_s:
                saved_at, total = time.monotonic(), job.total
                await self._work.save()

    def _show(self) -> None:
        self._work.set(self._progress.shown_on(self._work.job, self._now()))


def _passes(error: ModelError) -> bool:
    return error.passes if isinstance(error, DownloadError) and error.retry else error.retry


def steady_clock() -> Callable[[], int]:
    """Milliseconds since 1970 that never go back, whatever is done to the system's clock."""
    offset = now_ms() - round(time.monotonic() * 1000)
    return lambda: offset + round(time.monotonic() * 1000)
