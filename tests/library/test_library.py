"""The library: what the boards are told of the engine, and loads that go on without the one who asked."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.errors import ModelNotFoundError
from quart_chat.library.library import Library
from quart_chat.model_entities import JobState
from tests.chat.houses import MODEL, House, open_house
from tests.doubles.fake_ollama import FakeOllama

LONG_POLL: dict[str, Any] = {"ollama_poll_s": 3600.0}


@pytest.fixture
async def house(tmp_path: Path, fake_ollama: FakeOllama) -> AsyncIterator[House]:
    """Looks at the engine only when it is told to."""
    async with open_house(tmp_path, fake_ollama, **LONG_POLL) as house:
        await house.services.library.first_look.wait()
        yield house


def library_of(house: House) -> Library:
    return house.services.library


def board(house: House, kind: str) -> dict[str, Any]:
    return house.services.hub.board(OWNER_ID).get(kind)


async def test_the_board_knows_engine_models_and_memory(house: House) -> None:
    await library_of(house).begin_load(MODEL, by=OWNER_ID).result()
    await house.until_board(lambda board: MODEL in board.get("loaded"))
    engine = board(house, "engine")[""]
    assert (engine.status, engine.version, engine.base_url) == ("connected", "0.33.0", house.fake.url)
    assert list(board(house, "model")) == [MODEL, "think:latest"]
    assert board(house, "model")["think:latest"].thinks


async def test_an_engine_that_goes_away_is_told_with_a_hint_and_its_return_too(house: House) -> None:
    library = library_of(house)
    await library.begin_load(MODEL, by=OWNER_ID).result()
    await house.until_board(lambda board: MODEL in board.get("loaded"))
    house.fake.misbehave("refused")
    await library.refresh()
    engine = board(house, "engine")[""]
    assert engine.status == "disconnected"
    assert engine.problem
    assert engine.hint
    assert board(house, "loaded") == {}
    assert list(board(house, "model")) == [MODEL, "think:latest", "demo"], "what is installed stays installed"
    await house.fake.listen()
    await library.refresh()
    assert board(house, "engine")[""].status == "connected"
    assert list(board(house, "model")) == [MODEL, "think:latest"], "the demo is offered meanwhile only"


async def test_an_engine_that_refuses_is_an_error_without_the_hint_to_start_it(house: House) -> None:
    house.fake.misbehave("500", path="/api/tags", times=5)
    await library_of(house).refresh()
    engine = board(house, "engine")[""]
    assert (engine.status, engine.hint) == ("error", "")


async def test_looking_again_at_what_has_not_changed_tells_nobody(house: House) -> None:
    before = house.services.hub.board(OWNER_ID).rev
    await library_of(house).refresh()
    assert house.services.hub.board(OWNER_ID).rev == before


async def test_headers_of_open_sessions_are_touched_when_models_change(house: House) -> None:
    session = await house.new_session()
    async with house.services.hub.session(session.id, OWNER_ID) as document:
        before = document.header_rev
        house.fake.add_model("fresh")
        await library_of(house).refresh()
        assert document.header_rev > before


async def test_a_wish_to_look_during_a_look_is_not_lost(house: House) -> None:
    library = library_of(house)
    looked = len(house.fake.seen("/api/ps"))
    library.look_now()
    await house.fake.until(lambda: len(house.fake.seen("/api/ps")) > looked)
    house.fake.add_model("fresh")
    library.look_now()
    await house.until_board(lambda board: "fresh:latest" in board.get("model"), within_s=3)


async def test_the_default_model_is_the_wished_one_else_one_in_memory_else_any(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama, ollama_default_model="", **LONG_POLL) as house:
        library = library_of(house)
        await library.first_look.wait()
        assert library.default_model() == MODEL
        await library.begin_load("think", by=OWNER_ID).result()
        await library.refresh()
        assert library.default_model() == "think:latest"
    async with open_house(tmp_path, fake_ollama, ollama_default_model="gone", **LONG_POLL) as house:
        await library_of(house).first_look.wait()
        assert library_of(house).default_model() in (MODEL, "think:latest")


@pytest.mark.parametrize(("demo", "models", "offered"), [
    ("auto", True, False), ("auto", False, True), ("on", True, True), ("on", False, True), ("off", False, False),
])  # fmt: skip
async def test_the_demo_is_offered_as_configured(tmp_path: Path, demo: str, models: bool, offered: bool) -> None:
    async with FakeOllama(models=models) as fake, open_house(tmp_path, fake, demo=demo, **LONG_POLL) as house:
        await library_of(house).first_look.wait()
        names = [model.name for model in library_of(house).offered]
        assert ("demo" in names) is offered
        assert board(house, "engine")[""].demo is offered


async def test_models_that_only_embed_are_not_offered(house: House) -> None:
    house.fake.add_model("embed", capabilities=("embedding",))
    await library_of(house).refresh()
    assert "embed:latest" not in [model.name for model in library_of(house).offered]


async def test_a_model_is_known_by_any_of_its_names_and_unknown_only_for_certain(house: House) -> None:
    library = library_of(house)
    assert [library.knows(name) for name in ("hello", "HELLO:latest", "demo", "gone")] == [True, True, True, False]
    house.fake.misbehave("refused")
    await library.refresh()
    assert library.knows("gone")


async def test_two_who_load_the_same_model_share_one_load(house: House) -> None:
    house.fake.engine.models[MODEL].load_s = 0.05
    first = library_of(house).begin_load("hello", by=OWNER_ID)
    second = library_of(house).begin_load("HELLO:latest", by=OWNER_ID)
    assert first is second
    assert (await first.result()).state is JobState.COMPLETE
    assert house.fake.engine.loads == 1
    assert library_of(house).begin_load("hello", by=OWNER_ID) is not first


async def test_who_waits_for_a_load_may_leave_without_ending_it(house: House) -> None:
    house.fake.engine.models[MODEL].load_s = 0.1
    load = library_of(house).begin_load(MODEL, by=OWNER_ID)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await load.result()
    await load.result()
    assert MODEL in house.fake.engine.loaded


async def test_a_failed_load_is_told_to_who_waits_and_logged_where_nobody_does(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelNotFoundError):
        await library_of(house).begin_load("gone", by=OWNER_ID).result()
    assert "load of gone failed" in caplog.text


async def test_closing_right_after_a_load_began_leaves_nothing_behind(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_house(tmp_path, fake_ollama, **LONG_POLL) as house:
        load = library_of(house).begin_load(MODEL, by=OWNER_ID)
        await library_of(house).close()
        assert load.job.state is JobState.INTERRUPTED
        del load
        gc.collect()
