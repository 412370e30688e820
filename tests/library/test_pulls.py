"""What can happen to a download: failures in words, tries again, stand-stills, recorded ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.errors import DownloadError, InvalidInputError, ModelNotFoundError
from quart_chat.library.downloads import Pace
from quart_chat.model_entities import JobState
from tests.chat.houses import open_house
from tests.doubles.recordings import Replay
from tests.library.conftest import LONG_POLL_S, QUICK, Stock

LAYERS = [("weights", 2_000_000), ("licence", 500)]


@pytest.mark.parametrize(("trouble", "word"), [
    ("registry_gone", "registry"), ("too_old", "newer Ollama"), ("disk_full", "disk"), ("digest_mismatch", "checksum"),
    ("registry_dies", "registry"),
])  # fmt: skip
async def test_a_failed_pull_says_why_in_words_and_can_be_tried_again(stock: Stock, trouble: str, word: str) -> None:
    offer = stock.fake.offer("new", LAYERS, rate=20e6, trouble=trouble, trouble_s=0.02)
    work = stock.library.pull("new", by=OWNER_ID)
    with pytest.raises(Exception, match=word) as caught:
        await work.result()
    job = stock.on_board("job")[work.job.id]
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem.text == caught.value.message  # type: ignore[attr-defined]
    offer.trouble = ""
    assert (await stock.library.resume(job.id, by=OWNER_ID).result()).state is JobState.COMPLETE
    assert list(stock.on_board("job")) == [job.id]


async def test_a_model_that_no_registry_has_is_not_tried_again(stock: Stock) -> None:
    with pytest.raises(ModelNotFoundError):
        await stock.library.pull("nowhere", by=OWNER_ID).result()
    assert len(stock.fake.seen("/api/pull")) == 1


async def test_a_name_that_is_none_is_refused_before_anything_is_sent(stock: Stock) -> None:
    for name in ("no name", "http://evil/x/y", ""):
        with pytest.raises(InvalidInputError):
            stock.library.pull(name, by=OWNER_ID)
    assert stock.fake.seen("/api/pull") == []
    assert stock.library.jobs() == []


async def test_a_registry_that_dies_is_asked_again_and_the_bar_goes_on(stock: Stock) -> None:
    offer = stock.fake.offer("new", LAYERS, rate=20e6, trouble="registry_dies", trouble_s=0.02)
    work = stock.library.pull("new", by=OWNER_ID)
    stalled = await stock.until_job(work.job, lambda job: job.phase == "stalled")
    assert stalled.state is JobState.RUNNING
    offer.trouble = ""
    job = await work.result()
    assert job.state is JobState.COMPLETE
    assert len(stock.fake.seen("/api/pull")) > 1


async def test_a_full_disk_is_told_at_once(stock: Stock) -> None:
    stock.fake.offer("new", LAYERS, rate=20e6, trouble="disk_full")
    with pytest.raises(DownloadError, match="disk"):
        await stock.library.pull("new", by=OWNER_ID).result()
    assert len(stock.fake.seen("/api/pull")) == 1


async def test_three_tries_without_a_byte_end_it(stock: Stock) -> None:
    stock.fake.offer("new", LAYERS, rate=20e6, trouble="registry_dies", trouble_s=0.02)
    with pytest.raises(DownloadError):
        await stock.library.pull("new", by=OWNER_ID).result()
    assert len(stock.fake.seen("/api/pull")) == 1 + len(QUICK.retry_after_s)


async def test_an_engine_that_restarts_in_the_middle_is_asked_again(stock: Stock) -> None:
    hold = stock.fake.offer("new", LAYERS, rate=20e6).hold(at=1_000_000)
    work = stock.library.pull("new", by=OWNER_ID)
    await hold.held.wait()
    await stock.until_job(work.job, lambda job: job.completed > 0)
    stock.fake.misbehave("restart")
    hold.resume.set()
    assert (await work.result()).state is JobState.COMPLETE


@pytest.mark.parametrize("trouble", ["stall", "silent"])
async def test_a_download_that_stands_still_says_so_and_since_when(stock: Stock, trouble: str) -> None:
    offer = stock.fake.offer("new", LAYERS, rate=20e6, trouble=trouble, trouble_s=30)
    work = stock.library.pull("new", by=OWNER_ID)
    job = await stock.until_job(work.job, lambda job: job.phase == "stalled")
    assert work.job.created_at <= job.since
    assert job.bytes_per_s == 0
    offer.go_on.set()
    if trouble == "stall":
        assert (await work.result()).state is JobState.COMPLETE
    else:
        await stock.library.cancel(job.id, by=OWNER_ID)


async def test_bytes_never_fall_on_the_board_although_they_do_at_the_engine(stock: Stock) -> None:
    stock.fake.offer("new", LAYERS, rate=10e6, trouble="falling")
    work, seen = stock.library.pull("new", by=OWNER_ID), []
    await stock.until_board(lambda board: bool(seen.append(board.get("job")[work.job.id])) or seen[-1].ended)
    completed = [job.completed for job in seen]
    assert completed == sorted(completed)


@pytest.mark.parametrize(("name", "phase"), [("pull-registry-back", "stalled"), ("pull-success", "downloading")])
async def test_recorded_downloads_are_shown_as_they_went(tmp_path: Path, name: str, phase: str) -> None:
    async with (
        Replay("version", "tags-empty", "ps-empty", name, scale=0.1) as replay,
        open_house(tmp_path, replay, ollama_poll_s=LONG_POLL_S) as house,  # type: ignore[arg-type]
    ):
        library = house.services.library
        library.pulls.pace = Pace(stalled_after_s=0.15, tick_s=0.02)
        work = library.pull("127.0.0.1:38441/test/tiny", by=OWNER_ID)
        phases = set[str]()
        await house.until_board(lambda board: bool(phases.add(work.job.phase)) or work.job.ended)
        assert phase in phases
        assert (await work.result()).completed == work.job.total > 2_500_000
