"""Loads as jobs: what the boards say of them, loads ahead of a question, and who used what."""

from __future__ import annotations

from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID, now_ms
from quart_chat.errors import ConflictError
from quart_chat.model_entities import JobState, ModelUse
from tests.chat.houses import MODEL
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script
from tests.library.conftest import Stock, open_stock

THINK = "think:latest"


async def load(stock: Stock, name: str) -> None:
    await stock.library.begin_load(name, by=OWNER_ID).result()


def used_by_another(stock: Stock, model: str) -> None:
    stock.library.note_use(ModelUse(model=model, session_id="s", user_id=OWNER_ID, person="you", at=now_ms()))


async def test_a_load_is_on_the_board_while_it_runs_and_then_the_model_is(stock: Stock) -> None:
    stock.fake.engine.models[MODEL].load_s = 0.05
    work = stock.library.begin_load("hello", by=OWNER_ID, num_ctx=8192)
    shown = stock.on_board("load")[work.job.id]
    assert (shown.state, shown.phase, shown.model) == (JobState.RUNNING, "loading", MODEL)
    job = await work.result()
    assert job.state is JobState.COMPLETE
    assert (job.num_ctx, stock.fake.engine.loaded[MODEL].context) == (8192, 8192)
    assert stock.on_board("load") == {}
    assert list(stock.on_board("loaded")) == [MODEL]
    assert stock.library.job(job.id) == job


async def test_a_load_that_failed_says_why_and_can_be_tried_again(stock: Stock) -> None:
    stock.fake.misbehave("500", path="/api/chat")
    stock.fake.remove_model("hello")
    work = stock.library.begin_load("hello", by=OWNER_ID)
    with pytest.raises(Exception, match="not on this machine"):
        await work.result()
    shown = stock.on_board("load")[work.job.id]
    assert shown.state is JobState.FAILED
    assert shown.problem is not None
    stock.fake.add_model("hello")
    assert (await stock.library.resume(shown.id, by=OWNER_ID).result()).state is JobState.COMPLETE
    assert stock.on_board("load") == {}


async def test_a_load_that_is_cancelled_is_stopped_and_leaves_the_board(stock: Stock) -> None:
    stock.fake.engine.models[MODEL].load_s = 30
    work = stock.library.begin_load(MODEL, by=OWNER_ID)
    await stock.fake.until(lambda: len(stock.fake.seen("/api/chat")) == 1)
    await stock.library.cancel(work.job.id, by=OWNER_ID)
    with pytest.raises(ConflictError):
        await work.result()
    await stock.fake.until(lambda: len(stock.fake.aborted) == 1)
    assert stock.on_board("load") == {}


async def test_a_model_that_leaves_memory_meanwhile_makes_room(stock: Stock) -> None:
    await load(stock, THINK)
    stock.fake.engine.models[MODEL].load_s = 30
    work = stock.library.begin_load(MODEL, by=OWNER_ID)
    looked = len(stock.fake.seen("/api/ps"))
    await stock.fake.until(lambda: len(stock.fake.seen("/api/ps")) > looked + 2)
    del stock.fake.engine.loaded[THINK]
    shown = await stock.until_job(work.job, lambda job: job.phase == "making_room", "load")
    assert shown.leaving == THINK
    await stock.library.cancel(work.job.id, by=OWNER_ID)


async def test_a_load_cut_by_our_end_is_not_on_the_boards_afterwards_a_failed_one_is(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async for stock in open_stock(tmp_path, fake_ollama):
        with pytest.raises(Exception, match="not on this machine"):
            await load(stock, "gone")
        fake_ollama.engine.models[MODEL].load_s = 30
        stock.library.begin_load(MODEL, by=OWNER_ID)
    async for stock in open_stock(tmp_path, fake_ollama):
        assert [job.model for job in stock.on_board("load").values()] == ["gone"]


async def test_what_a_load_took_is_expected_of_the_next_one(stock: Stock) -> None:
    stock.fake.engine.models[MODEL].load_s = 0.15
    await load(stock, "hello")
    await stock.library.unload(MODEL, by=OWNER_ID)
    work = stock.library.begin_load("hello", by=OWNER_ID)
    assert work.job.expected_s is not None
    assert 0.15 <= work.job.expected_s < 5
    await work.result()


async def test_a_chosen_model_is_loaded_ahead_where_memory_is_free(stock: Stock) -> None:
    work = stock.library.offer_load("hello", by=OWNER_ID, person="me")
    assert work is not None
    await work.result()
    assert stock.library.offer_load("hello", by=OWNER_ID, person="me") is None, "it is there"
    assert stock.library.offer_load("gone", by=OWNER_ID, person="me") is None
    assert stock.library.offer_load("demo", by=OWNER_ID, person="me") is None
    assert stock.library.offer_load("think", by="guest", person="me") is None


async def test_what_another_person_just_used_is_asked_for_first(stock: Stock) -> None:
    big = stock.fake.add_model("big", size=10**15)
    await stock.library.refresh()
    await load(stock, "hello")
    used_by_another(stock, "hello")
    assert stock.library.offer_load("big", by=OWNER_ID, person="me") is None
    (held,) = stock.on_board("load").values()
    assert (held.state, held.leaving, held.model) == (JobState.HELD, MODEL, "big:latest")
    assert big.name not in stock.fake.engine.loaded
    assert await stock.storage.list_jobs() != [held]
    work = stock.library.resume(held.id, by=OWNER_ID)
    assert work.job.id == held.id
    await work.result()
    assert big.name in stock.fake.engine.loaded


async def test_choosing_again_takes_back_the_question(stock: Stock) -> None:
    stock.fake.add_model("big", size=10**15)
    await stock.library.refresh()
    await load(stock, "hello")
    used_by_another(stock, "hello")
    stock.library.offer_load("big", by=OWNER_ID, person="me")
    stock.library.offer_load("big", by=OWNER_ID, person="them")
    assert len(stock.on_board("load")) == 1, "one question a model is enough"
    stock.library.offer_load("hello", by=OWNER_ID, person="them")
    assert stock.on_board("load") == {}


async def test_a_held_load_can_be_declined(stock: Stock) -> None:
    stock.fake.add_model("big", size=10**15)
    await stock.library.refresh()
    await load(stock, "hello")
    used_by_another(stock, "hello")
    for decline in (stock.library.dismiss, stock.library.cancel):
        stock.library.offer_load("big", by=OWNER_ID, person="me")
        (held,) = stock.on_board("load")
        await decline(held, by=OWNER_ID)
        assert stock.on_board("load") == {}


async def test_nothing_is_loaded_ahead_while_another_model_answers(stock: Stock) -> None:
    stock.fake.add_model("big", size=10**15)
    await stock.library.refresh()
    script = stock.fake.answer(Script(hold_at=1))
    turn = await stock.ask(await stock.new_session())
    await script.held.wait()
    assert stock.library.offer_load("big", by=OWNER_ID, person="me") is None
    assert stock.on_board("load") == {}
    script.resume.set()
    await stock.ended(turn)


async def test_who_used_a_model_last_is_on_the_board_also_after_a_restart(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async for stock in open_stock(tmp_path, fake_ollama):
        session = await stock.new_session()
        before = now_ms()
        await stock.ended(await stock.ask(session, person="me", who="Anna"))
        await stock.idle()
        use: ModelUse = stock.services.hub.board(OWNER_ID).get("use")[MODEL]
        assert (use.session_id, use.person, use.who) == (session.id, "me", "Anna")
        assert use.at >= before
    async for stock in open_stock(tmp_path, fake_ollama):
        use = stock.services.hub.board(OWNER_ID).get("use")[MODEL]
        assert (use.session_id, use.person) == (session.id, "me")


async def test_a_question_that_memory_has_answered_leaves_the_board(stock: Stock) -> None:
    stock.fake.add_model("big", size=10**15)
    await stock.library.refresh()
    await load(stock, "hello")
    used_by_another(stock, "hello")
    stock.library.offer_load("big", by=OWNER_ID, person="me")
    del stock.fake.engine.loaded[MODEL]
    await stock.library.refresh()
    assert stock.on_board("load") == {}
