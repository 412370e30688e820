"""Jobs on models: kept whole, newest first, bounded, and never left running by a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from quart_chat.entities import OWNER_ID, Problem, new_id, now_ms
from quart_chat.model_entities import Job, JobKind, JobState
from quart_chat.persistence import jobs
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager

ENDS = [JobState.COMPLETE, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED]


def job(created_at: int = 1, **fields: Any) -> Job:
    defaults = {"id": new_id(), "kind": JobKind.PULL, "model": "m", "user_id": OWNER_ID}
    return Job(**(defaults | {"created_at": created_at} | fields))


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("kind", JobKind)
async def test_a_job_comes_back_without_what_it_said_of_the_moment(
    storage: StorageManager, kind: JobKind, state: JobState
) -> None:
    kept = job(
        kind=kind,
        state=state,
        phase="verifying",
        ended_at=9 if state in ENDS else None,
        completed=5,
        total=2**40,
        leaving="other:latest",
        num_ctx=4096,
        digest="sha256:old",
        new_digest="sha256:new",
        problem=Problem(code="DOWNLOAD_FAILED", text="Oh.", retry=False),
    )
    await storage.save_job(
        replace(kept, since=3, layer="sha256:layer", most_share=0.9, bytes_per_s=1.5, eta_s=2.5, expected_s=3.5)
    )
    assert await storage.list_jobs() == [kept]


async def test_saved_again_it_is_the_same_job_in_the_same_place(storage: StorageManager) -> None:
    first, second = job(), job()
    for one in (first, second, replace(first, completed=7, problem=Problem(code="X", text="Oh."))):
        await storage.save_job(one)
    await storage.save_job(ended := replace(first, state=JobState.COMPLETE, ended_at=4, completed=7))
    assert await storage.list_jobs() == [second, ended]


async def test_jobs_are_listed_newest_first_as_many_as_asked_for(storage: StorageManager) -> None:
    made = [job(created_at) for created_at in (2, 3, 1)]
    for one in made:
        await storage.save_job(one)
    assert await storage.list_jobs() == [made[1], made[0], made[2]]
    assert await storage.list_jobs(limit=2) == [made[1], made[0]]


async def test_what_a_restart_finds_under_way_is_interrupted_once_and_keeps_how_far_it_was(
    storage: StorageManager,
) -> None:
    running = job(1, phase="downloading", completed=5, total=10)
    held = job(2, kind=JobKind.LOAD, state=JobState.HELD, leaving="other:latest")
    ended = [job(3 + number, state=state, ended_at=9) for number, state in enumerate(ENDS)]
    for one in (running, held, *ended):
        await storage.save_job(one)
    before = now_ms()
    cut = await storage.recover_jobs()
    assert [replace(one, ended_at=None) for one in cut] == [
        replace(one, state=JobState.INTERRUPTED, problem=jobs.INTERRUPTED) for one in (held, running)
    ]
    assert all(one.ended_at is not None and before <= one.ended_at <= now_ms() for one in cut)
    assert await storage.list_jobs() == [*ended[::-1], *cut]
    assert await storage.recover_jobs() == []


async def test_a_job_survives_the_process_that_did_it(path: Path) -> None:
    kept = job(state=JobState.FAILED, ended_at=2, problem=Problem(code="X", text="Oh."))
    async with Database(path) as database:
        await StorageManager(database).save_job(kept)
    async with Database(path) as database:
        assert await StorageManager(database).list_jobs() == [kept]


async def test_a_deleted_job_is_gone_and_may_be_deleted_again(storage: StorageManager) -> None:
    first, second = job(1), job(2)
    for one in (first, second):
        await storage.save_job(one)
    for _ in range(2):
        await storage.delete_job(second.id)
    assert await storage.list_jobs() == [first]


async def test_of_each_kind_the_newest_are_kept_and_what_is_under_way_always(storage: StorageManager) -> None:
    old = job(0, state=JobState.INTERRUPTED, ended_at=1)
    running, held = job(0, kind=JobKind.LOAD), job(0, kind=JobKind.LOAD, state=JobState.HELD)
    loads = [job(n, kind=JobKind.LOAD, state=JobState.COMPLETE, ended_at=n) for n in range(1, jobs.KEPT + 6)]
    for one in (old, running, held):
        await storage.save_job(one)
    await asyncio.gather(*(storage.save_job(one) for one in loads))
    kept = await storage.list_jobs(limit=1000)
    assert kept[: jobs.KEPT] == loads[: -jobs.KEPT - 1 : -1]
    assert {one.id for one in kept[jobs.KEPT :]} == {old.id, running.id, held.id}
