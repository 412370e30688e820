"""Loads asked for by hand or ahead of a question, as jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from msgspec.structs import replace

from quart_chat.entities import new_id, now_ms
from quart_chat.errors import ModelError
from quart_chat.library.jobs import Jobs
from quart_chat.library.work import Work
from quart_chat.model_entities import Job, JobKind, JobState, LoadedModel
from quart_chat.providers.base import Provider
from quart_chat.providers.ollama_models import normalise
from quart_chat.providers.registry import Providers

LOOK_EVERY_S = 0.5

KeepAlive = int | str | None


class Loads:
    """`load_s(model)`: how long it usually takes. `blocked(model, loaded)`: whether it has to wait until another
    model has finished its answer. `look()` looks at the engine again."""

    def __init__(
        self,
        jobs: Jobs,
        providers: Providers,
        *,
        load_s: Callable[[str], float | None],
        blocked: Callable[[str, Collection[LoadedModel]], bool],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        self._jobs = jobs
        self._providers = providers
        self._load_s = load_s
        self._blocked = blocked
        self._look = look
        self._keep_alive: dict[str, KeepAlive] = {}

    def begin(self, name: str, *, by: str, num_ctx: int | None, keep_alive: KeepAlive) -> Work:
        """Joins a load of that model which is under way. Raises ModelNotFoundError where nobody answers for it."""
        self._providers.for_model(name)
        work = self._jobs.running(name, JobKind.LOAD)
        return work or self._begin(self._new(name, by, num_ctx, keep_alive))

    def hold(self, name: str, *, by: str, num_ctx: int | None, keep_alive: KeepAlive, leaving: str) -> Job:
        """A load that waits for somebody to say that `leaving` may leave the memory."""
        return self._jobs.hold(replace(self._new(name, by, num_ctx, keep_alive), leaving=leaving))

    def withdraw(self, job_id: str) -> None:
        """Takes the question back if nobody has said yes."""
        if any(job.id == job_id and job.state is JobState.HELD for job in self._jobs.all()):
            self._jobs.drop(job_id)

    def settle(self, loaded: Collection[LoadedModel]) -> None:
        """Questions and failures that what is in memory now has made pointless leave the boards."""
        held = {normalise(model.name) for model in loaded}
        for job in self._jobs.all():
            if job.kind is not JobKind.LOAD or job.state not in (JobState.HELD, JobState.FAILED):
                continue
            free = job.state is JobState.HELD and normalise(job.leaving) not in held
            if free or normalise(job.model) in held:
                self._jobs.drop(job.id)

    def resume(self, job: Job) -> Work:
        """One that is held or has ended, under its own id."""
        return self._jobs.running(job.model, JobKind.LOAD) or self._begin(job)

    def _new(self, name: str, by: str, num_ctx: int | None, keep_alive: KeepAlive) -> Job:
        self._keep_alive[normalise(name)] = keep_alive
        now = now_ms()
        return Job(id=new_id(), kind=JobKind.LOAD, model=name, user_id=by, created_at=now, num_ctx=num_ctx or 0)

    def _begin(self, job: Job) -> Work:
        now = now_ms()
        fresh = replace(
            job,
            state=JobState.RUNNING,
            phase="loading",
            since=now,
            created_at=now,  # from here to its end a load is measured
            ended_at=None,
            expected_s=self._load_s(job.model),
            leaving="",
            problem=None,
        )
        return self._jobs.begin(fresh, self._run)

    async def _run(self, work: Work) -> None:
        job = work.job
        provider = self._providers.for_model(job.model)
        watching = asyncio.create_task(self._watch(work, provider), name=f"watch the load of {job.model}")
        try:
            keep_alive = self._keep_alive.get(normalise(job.model))
            await provider.load_model(job.model, num_ctx=job.num_ctx or None, keep_alive=keep_alive)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        work.set(replace(work.job, ended_at=now_ms()))
        await self._look()  # so that it is seen in memory in the moment in which its load is over

    async def _watch(self, work: Work, provider: Provider) -> None:
        """What leaves the memory from here on makes room. The engine says nothing else about a load."""
        before: dict[str, str] | None = None
        while True:
            try:
                loaded = await provider.running_models()
            except ModelError:
                pass  # the load itself will say what is wrong
            else:
                names = {normalise(model.name): model.name for model in loaded}
                before = names if before is None else before
                self._see(work, loaded, [before[key] for key in before if key not in names])
            await asyncio.sleep(LOOK_EVERY_S)

    def _see(self, work: Work, loaded: list[LoadedModel], gone: list[str]) -> None:
        job = work.job
        leaving = next((name for name in gone if normalise(name) != normalise(job.model)), job.leaving)
        blocked = not leaving and self._blocked(job.model, loaded)
        phase = "making_room" if leaving else "waiting" if blocked else "loading"
        since = job.since if phase == job.phase else now_ms()
        if (phase, leaving) != (job.phase, job.leaving):
            work.set(replace(job, phase=phase, since=since, leaving=leaving))
