"""`Jobs`: the one owner of every pull, update, check and load. It runs them, stores their ends and tells the boards."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from msgspec.structs import replace

from quart_chat.entities import Problem, now_ms
from quart_chat.errors import ConflictError, ModelError, NotFoundError, QuartChatError, StorageError
from quart_chat.library.notices import JobNotices
from quart_chat.library.work import Work
from quart_chat.live.hub import Hub
from quart_chat.model_entities import Job, JobKind, JobState
from quart_chat.persistence.jobs import INTERRUPTED
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.ollama_models import normalise

logger = logging.getLogger(__name__)

SHOWN_FOR_MS = 24 * 3600 * 1000
SHOWN_MOST = 20
STOP_S = 0.5
READ_MOST = 400

Run = Callable[[Work], Awaitable[None]]
"""Does the work, saying by `work.set` how it stands. Cancelled, it stops the engine first."""


class Jobs:
    """`on_end(job)` is awaited when one has ended and is stored, before the boards are told.

    One job a model of those that download, and one that loads it: who asks again joins. Ended ones of the last day
    stay on the boards until they are dismissed or the same is begun again; a load that went well leaves at once.
    """

    def __init__(self, hub: Hub, storage: StorageManager, *, on_end: Callable[[Job], Awaitable[None]]) -> None:
        self._storage = storage
        self._on_end = on_end
        self._notices = JobNotices(hub, self.all)
        self._works: dict[str, Work] = {}
        self._rest: dict[str, Job] = {}
        """Held and ended ones, oldest first."""
        self._closed = False

    async def start(self) -> list[Job]:
        """Those that our last end cut are interrupted from here on, and can be resumed. Returns all that are stored,
        oldest first."""
        await self._storage.recover_jobs()
        stored = (await self._storage.list_jobs(READ_MOST))[::-1]
        self._rest = {job.id: job for job in stored if _is_shown(job)}
        self._trim()
        self.tell(at_once=True)
        return stored

    def all(self) -> list[Job]:
        """Those under way, held and lately ended, oldest first."""
        running = [work.job for work in self._works.values()]
        return sorted([*self._rest.values(), *running], key=lambda job: job.created_at)

    def get(self, job_id: str) -> Job:
        """Raises NotFoundError."""
        work = self._works.get(job_id)
        job = work.job if work is not None else self._rest.get(job_id)
        if job is None:
            raise NotFoundError("There is no such job any more.")
        return job

    def running(self, model: str, *kinds: JobKind) -> Work | None:
        key = normalise(model)
        for work in self._works.values():
            if work.job.kind in kinds and normalise(work.job.model) == key:
                return work
        return None

    def works(self, *kinds: JobKind) -> list[Work]:
        return [work for work in self._works.values() if work.job.kind in kinds]

    def begin(self, job: Job, run: Run) -> Work:
        """Starts `job`, a new one or one that has ended. What is left of the same on the same model is forgotten."""
        if self._closed:
            raise ConflictError("The server is restarting. Ask again in a moment.")
        old = [other for other in self._rest.values() if _replaces(job, other)]
        for other in old:
            del self._rest[other.id]
        work = self._works[job.id] = Work(job, tell=self.tell, save=self.save)
        stale = [other.id for other in old if other.id != job.id]
        work.task = asyncio.create_task(self._run(work, run, stale), name=f"{job.kind} {job.model}")
        self.tell(at_once=True)
        return work

    def hold(self, job: Job) -> Job:
        """Keeps a job that waits for a person to say yes, in place of what is left of the same. It is not stored."""
        for other in [other for other in self._rest.values() if _replaces(job, other)]:
            del self._rest[other.id]
        self._rest[job.id] = replace(job, state=JobState.HELD)
        self.tell(at_once=True)
        return self._rest[job.id]

    def drop(self, job_id: str) -> None:
        """Takes one that is held or has ended from the boards, without forgetting what is stored of it."""
        if self._rest.pop(job_id, None) is not None:
            self.tell(at_once=True)

    async def cancel(self, job_id: str) -> Job:
        """Returns how it ended; one that had ended stays as it was. Raises NotFoundError."""
        job = self.get(job_id)
        work = self._works.get(job_id)
        if work is not None and work.task is not None:
            await asyncio.sleep(0)  # a task cancelled before its first step would never store its end
            if not work.stopping:
                work.stopping = True
                work.task.cancel()
            await work.ended.wait()
            return work.job
        if job.state is JobState.HELD:
            self.drop(job_id)
            return replace(job, state=JobState.CANCELLED, ended_at=now_ms())
        return job

    async def dismiss(self, job_id: str) -> None:
        """Raises NotFoundError, ConflictError while it runs. What a check found stays known."""
        job = self.get(job_id)
        if job_id in self._works:
            raise ConflictError("This is still under way. Cancel it first.")
        if not _is_finding(job):
            await self._storage.delete_job(job_id)
        self.drop(job_id)

    async def close(self) -> None:
        """Everything that runs is interrupted, stored as far as it came; takes half a second at most, and a commit."""
        self._closed = True
        works = list(self._works.values())
        tasks = [work.task for work in works if work.task is not None]
        await asyncio.sleep(0)
        for work in works:
            if not work.stopping and work.task is not None:
                work.stopping = True
                work.task.cancel()
        if tasks and (await asyncio.wait(tasks, timeout=STOP_S))[1]:
            logger.warning("a job did not stop in time")
        await asyncio.gather(*(self._interrupt(work) for work in works if not work.ended.is_set()))
        self._notices.close()

    def tell(self, *, at_once: bool = False) -> None:
        self._notices.changed(at_once=at_once)

    async def save(self, job: Job) -> None:
        """A database that cannot take it is no reason to stop a download."""
        try:
            await self._storage.save_job(job)
        except StorageError as error:
            logger.warning("a job was not stored: %s", error.message)

    async def _run(self, work: Work, run: Run, stale: Iterable[str]) -> None:
        try:
            await self._forget(stale)
            await run(work)
        except asyncio.CancelledError:
            if self._closed:
                return  # close() stores it
            await self._end(work, JobState.CANCELLED, ConflictError(f"{work.job.model}: this was cancelled."))
        except QuartChatError as error:
            logger.warning("%s of %s failed: %s", work.job.kind, work.job.model, error.message)
            await self._end(work, JobState.FAILED, error)
        except Exception:
            logger.exception("%s of %s failed", work.job.kind, work.job.model)
            await self._end(work, JobState.FAILED, ModelError("This went wrong in a way nobody expected."))
        else:
            await self._end(work, JobState.COMPLETE, None)

    async def _forget(self, job_ids: Iterable[str]) -> None:
        try:
            for job_id in job_ids:
                await self._storage.delete_job(job_id)
        except StorageError as error:
            logger.warning("an old job was not deleted: %s", error.message)

    async def _end(self, work: Work, state: JobState, error: QuartChatError | None) -> None:
        work.stopping = True  # a cancel that comes now is too late
        job = replace(work.job, state=state, ended_at=work.job.ended_at or now_ms(), bytes_per_s=0, eta_s=None)
        if error is not None and state is JobState.FAILED:
            job = replace(job, problem=Problem(code=error.code, text=error.message, retry=error.retry))
        await self.save(job)
        logger.info("%s of %s: %s", job.kind, job.model, state)
        await self._on_end(job)
        self._settle(work, job, error)

    async def _interrupt(self, work: Work) -> None:
        error = ConflictError("The server is restarting; this can be resumed afterwards.")
        job = replace(
            work.job, state=JobState.INTERRUPTED, ended_at=now_ms(), bytes_per_s=0, eta_s=None, problem=INTERRUPTED
        )
        await self.save(job)
        self._settle(work, job, error)

    def _settle(self, work: Work, job: Job, error: QuartChatError | None) -> None:
        work.job, work.error = job, error
        self._works.pop(job.id, None)
        self._rest[job.id] = job
        self._trim()
        self.tell(at_once=True)
        work.ended.set()

    def _trim(self) -> None:
        for loads in (True, False):
            ended = [job for job in self._rest.values() if job.ended and (job.kind is JobKind.LOAD) is loads]
            for job in ended[:-SHOWN_MOST]:
                del self._rest[job.id]


def _replaces(new: Job, old: Job) -> bool:
    return _group(new.kind) == _group(old.kind) and normalise(new.model) == normalise(old.model)


def _is_shown(job: Job) -> bool:
    """After a start: what is new, or can still be resumed. What a check said is told by the flag of its model."""
    if job.kind in (JobKind.PULL, JobKind.UPDATE) and job.state is JobState.INTERRUPTED:
        return True
    checked = job.kind is JobKind.CHECK and job.state is JobState.COMPLETE
    return not checked and (job.ended_at or job.created_at) > now_ms() - SHOWN_FOR_MS


def _is_finding(job: Job) -> bool:
    return job.kind is JobKind.CHECK and job.state is JobState.COMPLETE and job.total > 0


def _group(kind: JobKind) -> str:
    return "download" if kind in (JobKind.PULL, JobKind.UPDATE) else kind
