"""Pulls, updates and checks for updates, as jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from msgspec.structs import replace

from quart_chat.entities import Problem, new_id, now_ms
from quart_chat.errors import ModelNotFoundError
from quart_chat.library.downloads import Download, Pace
from quart_chat.library.jobs import Jobs
from quart_chat.library.names import checked_name
from quart_chat.library.work import Work
from quart_chat.model_entities import Job, JobKind, JobState, ModelInfo
from quart_chat.providers.registry import Providers

AT_ONCE = 2
DOWNLOADS = (JobKind.PULL, JobKind.UPDATE)


class Pulls:
    """`installed(name)` is the model as last seen, `look()` looks again."""

    def __init__(
        self,
        jobs: Jobs,
        providers: Providers,
        *,
        installed: Callable[[str], ModelInfo | None],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        self._jobs = jobs
        self._providers = providers
        self._installed = installed
        self._look = look
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._check_slots = asyncio.Semaphore(AT_ONCE)
        self.pace = Pace()

    def begin(self, kind: JobKind, name: str, *, by: str) -> Work:
        """Joins a download of that model which is under way, or a check if it is to be one. Raises InvalidInputError
        for what is no name, ConflictError while the server ends."""
        name = checked_name(name)
        kinds = DOWNLOADS if kind in DOWNLOADS else (kind,)
        work = self._jobs.running(name, *kinds)
        if work is not None:
            return work
        now = now_ms()
        return self._begin(Job(id=new_id(), kind=kind, model=name, user_id=by, created_at=now))

    def resume(self, job: Job) -> Work:
        """An ended one again, under its own id; the engine goes on where it stopped."""
        kinds = DOWNLOADS if job.kind in DOWNLOADS else (job.kind,)
        return self._jobs.running(job.model, *kinds) or self._begin(job)

    def _begin(self, job: Job) -> Work:
        now = now_ms()
        fresh = replace(job, state=JobState.RUNNING, phase="waiting", since=now, ended_at=None, problem=None)
        return self._jobs.begin(fresh, self._check if job.kind is JobKind.CHECK else self._download)

    async def _download(self, work: Work) -> None:
        name = work.job.model
        before = self._installed(name)
        work.set(replace(work.job, digest=before.digest if before else "", new_digest=""))
        await work.save()
        expected = work.job.total or (before.size if before else _size_in_catalogue(name))
        try:
            async with self._slots:
                await Download(work, self._providers.primary, self.pace, expected=expected).run()
        except ModelNotFoundError as error:
            if before is None:
                raise
            work.set(replace(work.job, problem=_made_here(name, error)))
        await self._compare(work)

    async def _check(self, work: Work) -> None:
        """A pull that is stopped as soon as there is something to fetch. What is so small that it comes before anybody
        can stop it is installed afterwards, and `new_digest` says so."""
        name = work.job.model
        before = self._installed(name)
        if before is None:
            raise ModelNotFoundError(f"{name} is not on this machine.")
        work.set(replace(work.job, digest=before.digest, new_digest="", total=0))
        async with self._check_slots:
            work.set(replace(work.job, phase="manifest", since=now_ms()))
            try:
                missing = await self._missing(work)
            except ModelNotFoundError as error:
                work.set(replace(work.job, problem=_made_here(name, error)))
                return
        if missing:
            work.set(replace(work.job, total=missing))
        else:
            await self._compare(work)

    async def _missing(self, work: Work) -> int:
        """Bytes of the first layer that is not here; 0 when all are, the model then being the newest."""
        async with aclosing(self._providers.primary.pull_model(work.job.model)) as lines:
            async for line in lines:
                work.note(line)
                if line.completed < line.total:
                    return line.total
        return 0

    async def _compare(self, work: Work) -> None:
        await self._look()
        after = self._installed(work.job.model)
        work.set(replace(work.job, new_digest=after.digest if after else ""))


def _size_in_catalogue(name: str) -> int:
    """Bytes that a well-known model has, else 0."""
    from quart_chat.library.catalogue import canonical, read_catalogue

    known = (model.size for model in read_catalogue().models if canonical(name) in model.names)
    return next(known, 0)


def _made_here(name: str, error: ModelNotFoundError) -> Problem:
    """For what is installed and in no registry: nothing went wrong, there is only nothing to fetch."""
    return Problem(code=error.code, text=f"No registry has {name}: it was made on this machine.", retry=False)
