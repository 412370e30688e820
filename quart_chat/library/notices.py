"""Tells the boards how the jobs stand, often enough for an eye and no oftener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from quart_chat.live.hub import Hub
from quart_chat.model_entities import Job, JobKind, JobState

PAUSE_S = 0.2


class JobNotices:
    """Shares what `jobs()` gives: kind `job` those that download, `load` the loads that a person should see."""

    def __init__(self, hub: Hub, jobs: Callable[[], list[Job]]) -> None:
        self._hub = hub
        self._jobs = jobs
        self._timer: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")

    def changed(self, *, at_once: bool) -> None:
        """The first change after a rest and those that are `at_once` go out now, others within 200 ms."""
        loop = asyncio.get_running_loop()
        if at_once or loop.time() - self._told_at >= PAUSE_S:
            self._tell()
        elif self._timer is None:
            self._timer = loop.call_at(self._told_at + PAUSE_S, self._tell)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self.close()
        self._told_at = asyncio.get_running_loop().time()
        jobs = self._jobs()
        self._hub.share("job", {job.id: job for job in jobs if job.kind is not JobKind.LOAD})
        self._hub.share("load", {job.id: job for job in jobs if job.kind is JobKind.LOAD and _is_news(job)})


def _is_news(load: Job) -> bool:
    """A load that went well is told by the model in memory; one that was stopped by somebody is no surprise."""
    return load.state in (JobState.HELD, JobState.RUNNING, JobState.FAILED)
