"""Downloads as jobs: shared, cancelled, resumed, cut by our end, dismissed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.errors import ConflictError, DownloadError, ForbiddenError
from quart_chat.library.downloads import Pace
from quart_chat.model_entities import JobState
from tests.doubles.fake_ollama import FakeOllama
from tests.library.conftest import Stock, open_stock

NAME = "new:latest"
LAYERS = [("weights", 2_000_000), ("licence", 500)]


async def test_a_pull_ends_with_the_model_on_the_board_and_a_stored_job(stock: Stock) -> None:
    offer = stock.fake.offer("new", LAYERS, rate=20e6)
    work = stock.library.pull("new", by=OWNER_ID)
    job = await work.result()
    assert job.state is JobState.COMPLETE
    assert job.completed == job.total >= 2_000_000, "the licence may come too quickly for a line"
    assert job.new_digest == offer.digest
    assert job.digest == ""
    assert NAME in stock.on_board("model")
    assert stock.on_board("job") == {job.id: job}
    assert (await stock.storage.list_jobs())[0].state is JobState.COMPLETE
    assert (work.log[0].status, work.log[-1].status) == ("pulling manifest", "success")
    assert len(work.log) <= 6, "one line per status and layer"


async def test_who_asks_again_for_the_same_model_joins(stock: Stock) -> None:
    hold = stock.fake.offer("new", LAYERS, rate=20e6).hold(at=1_000_000)
    first = stock.library.pull("new", by=OWNER_ID)
    await hold.held.wait()
    assert stock.library.pull("NEW:latest", by=OWNER_ID) is first
    assert stock.library.work_on("New") is first
    hold.resume.set()
    await first.result()
    assert len(stock.fake.seen("/api/pull")) == 1
    assert stock.library.work_on("new") is None


async def test_who_waits_for_a_pull_may_leave_without_ending_it(stock: Stock) -> None:
    hold = stock.fake.offer("new", LAYERS, rate=20e6).hold(at=1_000_000)
    work = stock.library.pull("new", by=OWNER_ID)
    waiting = asyncio.ensure_future(work.result())
    await hold.held.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    hold.resume.set()
    assert (await work.result()).state is JobState.COMPLETE


async def test_cancelling_stops_the_engine_and_resuming_goes_on_where_it_stopped(stock: Stock) -> None:
    hold = stock.fake.offer("new", LAYERS, rate=20e6).hold(at=1_200_000)
    work = stock.library.pull("new", by=OWNER_ID)
    await hold.held.wait()
    await stock.until_job(work.job, lambda job: job.completed == 1_200_000)
    job = await stock.library.cancel(work.job.id, by=OWNER_ID)
    assert (job.state, job.completed) == (JobState.CANCELLED, 1_200_000)
    with pytest.raises(ConflictError):
        await work.result()
    await stock.fake.until(lambda: len(stock.fake.aborted) == 1)
    assert await stock.library.cancel(job.id, by=OWNER_ID) == job, "again is no difference"
    again = stock.library.resume(job.id, by=OWNER_ID)
    assert again.job.id == job.id
    shown = await stock.until_job(job, lambda job: job.phase == "downloading")
    assert shown.completed >= 1_200_000
    hold.resume.set()
    assert (await again.result()).state is JobState.COMPLETE
    with pytest.raises(ConflictError):
        stock.library.resume(job.id, by=OWNER_ID)


async def test_cancelling_right_after_it_began_is_a_cancel_too(stock: Stock) -> None:
    stock.fake.offer("new", LAYERS, rate=20e6)
    job = await stock.library.cancel(stock.pull("new").id, by=OWNER_ID)
    assert job.state is JobState.CANCELLED


async def test_two_come_down_at_a_time_and_the_third_waits(stock: Stock) -> None:
    holds = [stock.fake.offer(name, [(name, 1_000_000)], rate=20e6).hold(at=500_000) for name in "abc"]
    works = [stock.library.pull(name, by=OWNER_ID) for name in "abc"]
    await holds[0].held.wait()
    await holds[1].held.wait()
    assert stock.on_board("job")[works[2].job.id].phase == "waiting"
    await stock.library.cancel(works[0].job.id, by=OWNER_ID)
    await holds[2].held.wait()
    for hold in holds:
        hold.resume.set()
    await asyncio.gather(works[1].result(), works[2].result())


async def test_a_pull_that_our_end_cuts_is_offered_for_resumption_and_goes_on(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    hold = fake_ollama.offer("new", LAYERS, rate=20e6).hold(at=1_200_000)
    async for stock in open_stock(tmp_path, fake_ollama):
        work = stock.library.pull("new", by=OWNER_ID)
        await hold.held.wait()
        await stock.until_job(work.job, lambda job: job.completed == 1_200_000)
        async with asyncio.timeout(1):
            await stock.library.close()
        assert work.job.state is JobState.INTERRUPTED
        with pytest.raises(ConflictError):
            stock.pull("other")
    await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
    async for stock in open_stock(tmp_path, fake_ollama):
        job = stock.on_board("job")[work.job.id]
        assert (job.state, job.completed, job.total) == (JobState.INTERRUPTED, 1_200_000, 2_000_000)
        assert job.problem is not None
        assert job.problem.retry
        hold.resume.set()
        assert (await stock.library.resume(job.id, by=OWNER_ID).result()).state is JobState.COMPLETE
    async for stock in open_stock(tmp_path, fake_ollama):
        assert [job.state for job in stock.library.jobs()] == [JobState.COMPLETE]


async def test_a_pull_that_a_crash_cut_is_interrupted_with_the_bytes_of_its_last_save(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    hold = fake_ollama.offer("new", LAYERS, rate=20e6).hold(at=1_000_000)
    async for stock in open_stock(tmp_path, fake_ollama):
        work = stock.library.pull("new", by=OWNER_ID)
        await hold.held.wait()
        async with asyncio.timeout(2):
            while (await stock.storage.list_jobs())[0].completed != 1_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        crashed = (await stock.storage.list_jobs())[0]
        assert crashed.state is JobState.RUNNING
        await stock.library.cancel(work.job.id, by=OWNER_ID)
        await stock.storage.save_job(crashed)
    async for stock in open_stock(tmp_path, fake_ollama):
        job = stock.library.job(work.job.id)
        assert (job.state, job.completed) == (JobState.INTERRUPTED, 1_000_000)


async def test_beginning_anew_takes_the_place_of_what_failed(stock: Stock) -> None:
    offer = stock.fake.offer("new", LAYERS, rate=20e6, trouble="registry_gone")
    with pytest.raises(DownloadError):
        await stock.library.pull("new", by=OWNER_ID).result()
    offer.trouble = ""
    job = await stock.library.pull("new", by=OWNER_ID).result()
    assert list(stock.on_board("job")) == [job.id]
    assert [stored.id for stored in await stock.storage.list_jobs()] == [job.id]


async def test_an_ended_job_leaves_boards_and_storage_when_it_is_dismissed(stock: Stock) -> None:
    hold = stock.fake.offer("new", LAYERS, rate=20e6).hold(at=1_000_000)
    job = stock.pull("new")
    with pytest.raises(ConflictError):
        await stock.library.dismiss(job.id, by=OWNER_ID)
    await hold.held.wait()
    await stock.library.cancel(job.id, by=OWNER_ID)
    await stock.library.dismiss(job.id, by=OWNER_ID)
    assert stock.on_board("job") == {}
    assert await stock.storage.list_jobs() == []


async def test_only_the_owner_may_change_anything(stock: Stock) -> None:
    job = stock.pull("new")
    for change in (stock.library.pull, stock.library.update, stock.library.begin_load):
        with pytest.raises(ForbiddenError):
            change("new", by="guest")
    for later in (stock.library.cancel(job.id, by="guest"), stock.library.delete("hello", by="guest")):
        with pytest.raises(ForbiddenError):
            await later


async def test_boards_hear_of_a_busy_download_six_times_a_second_at_most(stock: Stock) -> None:
    stock.fake.registry.line_s = 0.06
    stock.library.pulls.pace = Pace(tick_s=0.05)
    stock.fake.offer("new", [("weights", 1_200_000)], rate=1e6)
    work = stock.library.pull("new", by=OWNER_ID)
    await stock.until_job(work.job, lambda job: job.completed > 0)
    began, board, heard = time.monotonic(), stock.services.hub.board(OWNER_ID), set[int]()
    await stock.until_board(lambda board: bool(heard.add(board.rev)) or work.job.phase != "downloading")
    assert 3 <= len(heard) <= 6 * (time.monotonic() - began) + 2
    assert board.rev in heard
