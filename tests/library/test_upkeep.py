"""Delete, copy, rename, make an assistant: what the engine is told, and in which order."""

from __future__ import annotations

import pytest

from quart_chat.entities import OWNER_ID, Parameters
from quart_chat.errors import ConflictError, EngineUnavailableError, InvalidInputError, ModelNotFoundError
from tests.chat.houses import MODEL
from tests.doubles.script import Script
from tests.library.conftest import Stock


def told(stock: Stock) -> list[str]:
    """What changed something at the engine, in order."""
    paths = {"/api/delete": "delete", "/api/copy": "copy", "/api/create": "create"}
    found = []
    for request in stock.fake.requests:
        if request.path in paths:
            found.append(paths[request.path])
        elif request.path == "/api/chat" and not request.body.get("messages"):
            found.append("unload" if request.body.get("keep_alive") == 0 else "load")
    return found


async def test_a_deleted_model_is_unloaded_first_and_says_what_it_freed(stock: Stock) -> None:
    await stock.library.begin_load("hello", by=OWNER_ID).result()
    assert await stock.library.delete("HELLO", by=OWNER_ID) == 2_000_000_000
    assert told(stock) == ["load", "unload", "delete"]
    assert MODEL not in stock.on_board("model")
    assert stock.on_board("loaded") == {}


async def test_what_is_not_in_memory_is_not_unloaded(stock: Stock) -> None:
    await stock.library.delete("hello", by=OWNER_ID)
    assert told(stock) == ["delete"]


async def test_a_model_that_came_behind_our_back_can_be_deleted_one_that_is_gone_cannot(stock: Stock) -> None:
    stock.fake.add_model("fresh")
    await stock.library.delete("fresh", by=OWNER_ID)
    with pytest.raises(ModelNotFoundError):
        await stock.library.delete("fresh", by=OWNER_ID)


async def test_without_an_engine_it_is_said_that_nobody_answers(stock: Stock) -> None:
    stock.fake.misbehave("refused")
    with pytest.raises(EngineUnavailableError):
        await stock.library.delete("fresh", by=OWNER_ID)
    await stock.fake.listen()


async def test_a_model_in_use_is_not_deleted(stock: Stock) -> None:
    script = stock.fake.answer(Script(hold_at=1))
    turn = await stock.ask(await stock.new_session())
    await script.held.wait()
    with pytest.raises(ConflictError, match="answering"):
        await stock.library.delete("hello", by=OWNER_ID)
    script.resume.set()
    await stock.ended(turn)
    hold = stock.fake.offer("think", [("other", 1_000_000)], rate=20e6, digest="b" * 64).hold(at=500_000)
    work = stock.library.update("think", by=OWNER_ID)
    await hold.held.wait()
    with pytest.raises(ConflictError, match="downloaded"):
        await stock.library.delete("think", by=OWNER_ID)
    with pytest.raises(ConflictError, match="downloaded"):
        await stock.library.rename("think", "thought", by=OWNER_ID)
    await stock.library.cancel(work.job.id, by=OWNER_ID)
    assert told(stock) == []


async def test_a_copy_is_a_second_name_and_a_rename_another_one(stock: Stock) -> None:
    await stock.library.copy("hello", "me/hello:mine", by=OWNER_ID)
    assert {MODEL, "me/hello:mine"} <= set(stock.on_board("model"))
    await stock.library.rename("me/hello:mine", "greeter", by=OWNER_ID)
    assert "greeter:latest" in stock.on_board("model")
    assert "me/hello:mine" not in stock.on_board("model")
    assert told(stock) == ["copy", "copy", "delete"]


async def test_a_name_that_is_taken_or_none_is_refused(stock: Stock) -> None:
    for name, error in (("THINK", ConflictError), ("a b", InvalidInputError), ("demo", InvalidInputError)):
        with pytest.raises(error):
            await stock.library.copy("hello", name, by=OWNER_ID)
        with pytest.raises(error):
            await stock.library.rename("hello", name, by=OWNER_ID)
        with pytest.raises(error):
            await stock.library.create(name, source="hello", system="", parameters=Parameters(), by=OWNER_ID)
    assert told(stock) == []


async def test_an_assistant_is_a_model_with_its_own_words_and_settings(stock: Stock) -> None:
    parameters = Parameters(temperature=0.2, num_ctx=8192)
    await stock.library.create("pirate", source="hello", system="Arr.", parameters=parameters, by=OWNER_ID)
    made = stock.fake.engine.models["pirate:latest"]
    assert made.system == "Arr."
    assert made.parameters["temperature"] == 0.2
    assert "pirate:latest" in stock.on_board("model")
    with pytest.raises(ModelNotFoundError):
        await stock.library.create("parrot", source="gone", system="", parameters=parameters, by=OWNER_ID)


async def test_what_could_be_pulled_leaves_out_what_is_here_and_is_there_without_the_engine(stock: Stock) -> None:
    offers = await stock.library.available()
    assert len(offers) > 20
    stock.fake.add_model(offers[0].name)
    await stock.library.refresh()
    assert offers[0].name not in [offer.name for offer in await stock.library.available()]
    stock.fake.misbehave("refused")
    assert len(await stock.library.available()) >= len(offers) - 2
    await stock.fake.listen()


async def test_models_that_only_embed_are_on_the_board_although_one_cannot_chat_with_them(stock: Stock) -> None:
    stock.fake.add_model("embed", capabilities=("embedding",))
    await stock.library.refresh()
    assert "embed:latest" in stock.on_board("model")
    assert "embed:latest" not in [model.name for model in stock.library.offered]
