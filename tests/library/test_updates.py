"""Updates, and looking for them without fetching them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.errors import ModelNotFoundError
from quart_chat.model_entities import JobKind
from tests.doubles.fake_ollama import FakeOllama
from tests.library.conftest import Stock, open_stock

NAME = "new:latest"
NEWER = "b" * 64
LAYERS = [("weights", 2_000_000), ("licence", 500)]


async def test_an_update_says_what_it_replaced(stock: Stock) -> None:
    stock.fake.add_model("new")
    await stock.library.refresh()
    before = stock.on_board("model")[NAME].digest  # type: ignore[attr-defined]
    stock.fake.offer("new", [("other weights", 1_000_000)], rate=20e6, digest=NEWER)
    job = await stock.library.update("new", by=OWNER_ID).result()
    assert (job.kind, job.digest, job.new_digest) == (JobKind.UPDATE, before, NEWER)


async def test_an_update_of_what_is_the_newest_changes_nothing_and_says_so(stock: Stock) -> None:
    stock.fake.add_model("new")
    stock.fake.offer("new", LAYERS)
    await stock.library.refresh()
    job = await stock.library.update("new", by=OWNER_ID).result()
    assert job.digest == job.new_digest != ""


async def test_only_what_is_installed_can_be_updated(stock: Stock) -> None:
    with pytest.raises(ModelNotFoundError):
        stock.library.update("nowhere", by=OWNER_ID)


async def test_a_check_finds_an_update_without_fetching_it(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    fake_ollama.add_model("new")
    offer = fake_ollama.offer("new", [("other weights", 1_000_000)], rate=1e6, digest=NEWER)
    async for stock in open_stock(tmp_path, fake_ollama):
        works = stock.library.check_updates(by=OWNER_ID)
        assert {work.job.model for work in works} == {"hello:latest", "think:latest", NAME}
        jobs = {job.model: job for job in await asyncio.gather(*(work.result() for work in works))}
        assert jobs[NAME].total == 1_000_000
        assert (jobs["hello:latest"].total, jobs["hello:latest"].problem is not None) == (0, True), "made here"
        await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert list(stock.on_board("update")) == [NAME]
        await stock.library.dismiss(jobs[NAME].id, by=OWNER_ID)
        assert list(stock.on_board("update")) == [NAME], "what it found stays known"
    async for stock in open_stock(tmp_path, fake_ollama):
        assert list(stock.on_board("update")) == [NAME], "after a restart too"
        offer.rate = 20e6
        await stock.library.update("new", by=OWNER_ID).result()
        assert stock.on_board("update") == {}


async def test_a_check_of_what_is_the_newest_finds_nothing(stock: Stock) -> None:
    for name in ("hello", "think"):
        stock.fake.offer(name, LAYERS)
    jobs = await asyncio.gather(*(work.result() for work in stock.library.check_updates(by=OWNER_ID)))
    assert [(job.total, job.problem) for job in jobs] == [(0, None), (0, None)]
    assert stock.on_board("update") == {}
