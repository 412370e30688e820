"""What is installed and what is in memory: told everywhere, changed from anywhere, with a word before it hurts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.doubles.script import Script
from tests.e2e.browser import Tab, until
from tests.e2e.models_page import (
    GB,
    choose,
    dashboard,
    download_of,
    gone,
    refuse_loads,
    region,
    row,
    seen,
    strict,
)
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LARGER_THAN_ANY = 10**15
"""Bytes of a model that fits beside no other in memory, on whatever machine the tests run."""
PROMISED_S = 5.0
"""What is done to Ollama by others shows within this."""


async def in_memory(stage: Stage, model: str) -> None:
    async def there() -> bool:
        return model in stage.fake.engine.loaded

    await until(there)


async def test_what_others_do_to_ollama_shows_in_every_tab_within_five_seconds(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.start(OLLAMA_POLL="3", OLLAMA_DEFAULT_MODEL="hello:latest")
    me = await strict(stage)
    board, chat = await dashboard(stage, me), await stage.chat(person=me)
    await seen(row(board, "hello"))
    stage.fake.remove_model("hello")
    stage.fake.add_model("fresh")
    await chat.shows("hello is not on this machine any more.", PROMISED_S)
    await gone(row(board, "hello"), PROMISED_S)
    await seen(row(board, "fresh"), PROMISED_S)
    await chat.page.get_by_title("Choose a model").click()
    await seen(chat.page.get_by_role("button", name=re.compile("^fresh")))
    assert await chat.page.get_by_role("button", name=re.compile("^hello")).count() == 0
    stage.fake.remove_model("fresh")
    await gone(chat.page.get_by_role("button", name=re.compile("^fresh")), PROMISED_S)


async def test_without_an_engine_the_dashboard_says_what_to_do_and_fills_when_one_comes(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.start()
    board = await dashboard(stage, await strict(stage))
    await seen(row(board, "hello"))
    stage.fake.misbehave("refused")
    await seen(board.page.get_by_role("heading", name="Ollama"), PROMISED_S)
    await board.shows("ollama serve")
    assert await board.page.get_by_role("button", name="Download", exact=True).count() == 0
    stage.fake.add_model("fresh")
    await stage.fake.listen()
    await seen(row(board, "fresh"), PROMISED_S)
    await seen(board.page.get_by_role("button", name="Download", exact=True))


async def test_what_one_is_in_the_middle_of_is_left_alone_when_the_page_changes(stage: Stage) -> None:
    board = await dashboard(stage, await strict(stage))
    name = board.page.get_by_role("textbox", name="Name of a model")
    await name.fill("half a na")
    stage.fake.add_model("thing")
    await seen(row(board, "thing"))
    assert await name.input_value() == "half a na"
    words = board.page.get_by_role("searchbox")
    await words.fill("thin")
    await gone(row(board, "hello"))
    stage.fake.add_model("thinner")
    await seen(row(board, "thinner"))
    assert await words.input_value() == "thin"
    assert not await row(board, "hello").is_visible()
    await row(board, "think").get_by_title("More").click()
    await row(board, "think").get_by_text("Delete…").click()
    delete = row(board, "think").get_by_role("button", name="Delete", exact=True)
    await delete.focus()
    stage.fake.add_model("thicker and thinnest")
    await seen(row(board, "thicker and thinnest"))
    assert await delete.evaluate("button => button === document.activeElement && button.checkVisibility()")


async def test_a_chat_whose_model_is_gone_can_have_it_back(stage: Stage) -> None:
    chat = await stage.chat(person=await strict(stage))
    await stage.post(chat.path, model="think:latest")
    stage.fake.remove_model("think")
    await chat.shows("think is not on this machine any more.")
    hold = stage.fake.offer("think", [("weights", 2 * GB)], rate=GB * 4, capabilities=("completion",)).hold(GB)
    await chat.page.get_by_role("button", name="Download it").click()
    await hold.held.wait()
    await seen(download_of(chat, "think").filter(has_text="50 %"))
    hold.resume.set()
    await gone(chat.page.get_by_text("is not on this machine any more."))
    await chat.send("Back again?")
    assert "I say this to everybody" in await chat.finished()


async def test_choosing_a_model_loads_it_with_a_clock_that_everybody_sees(stage: Stage) -> None:
    stage.fake.engine.models["think:latest"].load_s = 3
    me = await strict(stage)
    board, chat = await dashboard(stage, me), await stage.chat(person=me)
    await choose(chat, "think")
    for tab in (chat, board):
        await tab.shows(re.compile(r"Loading think · [12] s"))
    await in_memory(stage, "think:latest")
    for tab in (chat, board):
        await gone(tab.page.get_by_text("Loading think"))
    held = region(board, "In memory").get_by_role("row").filter(has_text="think")
    await seen(held.filter(has_text=re.compile(r"2\.0 GB in RAM, on the CPU\s+4,096\s+in [45] min")))
    await held.get_by_role("button", name="Unload think").click()
    await gone(held)
    assert stage.fake.engine.loaded == {}


async def test_a_load_can_be_stopped_and_begun_from_the_dashboard(stage: Stage) -> None:
    stage.fake.engine.models["hello:latest"].load_s = 30
    board = await dashboard(stage, await strict(stage))
    await row(board, "hello").get_by_role("button", name="Load hello").click()
    await board.shows("Loading hello")
    await board.page.get_by_role("button", name="Stop loading hello").click()
    await gone(board.page.get_by_text("Loading hello"))
    await stage.fake.until(lambda: any(request.path == "/api/chat" for request in stage.fake.aborted))
    stage.fake.engine.models["hello:latest"].load_s = 0
    await row(board, "hello").get_by_role("button", name="Load hello").click()
    await seen(row(board, "hello").get_by_role("button", name="Unload hello"))


async def test_what_another_person_has_just_used_is_asked_for_before_it_leaves_memory(stage: Stage) -> None:
    stage.fake.add_model("big", size=LARGER_THAN_ANY)
    chat, board = await another_has_used_hello(stage)
    question = re.compile("Loading big will move hello out of memory, which was used just now")
    await choose(chat, "big")
    for tab in (chat, board):
        await tab.shows(question)
    await chat.page.get_by_role("button", name="Not now").click()
    for tab in (chat, board):
        await gone(tab.page.get_by_text("out of memory"))
    await choose(chat, "think")
    await in_memory(stage, "think:latest")
    await choose(chat, "big")
    await chat.shows(question)
    assert "big:latest" not in stage.fake.engine.loaded
    await chat.page.get_by_role("button", name="Load now").click()
    await in_memory(stage, "big:latest")
    for tab in (chat, board):
        await gone(tab.page.get_by_text("out of memory"))
    await seen(region(board, "In memory").get_by_role("row").filter(has_text="big"))


async def another_has_used_hello(stage: Stage) -> tuple[Tab, Tab]:
    """The chat and the dashboard of somebody else."""
    other = await stage.chat(person=await strict(stage))
    await choose(other, "hello")
    await other.send("Mine.")
    await other.finished()
    me = await strict(stage)
    return await stage.chat(person=me), await dashboard(stage, me)


async def test_a_load_that_fails_says_why_and_can_be_tried_again_from_either_page(stage: Stage) -> None:
    me = await strict(stage)
    board, chat = await dashboard(stage, me), await stage.chat(person=me)
    heal = refuse_loads(stage.fake)
    await choose(chat, "think")
    words = "think could not be loaded. There is not enough memory for think:latest."
    for tab in (chat, board):
        await tab.shows(words)
    await board.page.get_by_role("button", name=re.compile("^Retry")).click()
    await stage.fake.until(lambda: sum(_is_load(request.body) for request in stage.fake.seen("/api/chat")) > 1)
    await chat.shows(words)
    heal()
    await chat.page.get_by_role("button", name=re.compile("^Retry")).click()
    await in_memory(stage, "think:latest")
    for tab in (chat, board):
        await gone(tab.page.get_by_text("could not be loaded"))


def _is_load(body: dict[str, Any]) -> bool:
    return not body["messages"] and body.get("keep_alive") != 0


async def test_deleting_asks_first_says_what_is_freed_and_unloads_first(stage: Stage) -> None:
    me = await strict(stage)
    one, two = await dashboard(stage, me), await dashboard(stage, me)
    await row(one, "hello").get_by_role("button", name="Load hello").click()
    await in_memory(stage, "hello:latest")
    await row(one, "hello").get_by_title("More").click()
    await row(one, "hello").get_by_text("Delete…").click()
    await one.shows("Delete hello? This frees 2.0 GB.")
    assert stage.fake.seen("/api/delete") == []
    await row(one, "hello").get_by_role("button", name="Delete", exact=True).click()
    await one.shows("Deleted hello. 2.0 GB are free again.")
    for tab in (one, two):
        await gone(row(tab, "hello"))
        await gone(region(tab, "In memory").get_by_role("row").filter(has_text="hello"))
    wrote = [request for request in stage.fake.requests if request.path in ("/api/chat", "/api/delete")]
    assert [(r.path, r.body.get("keep_alive")) for r in wrote[-2:]] == [("/api/chat", 0), ("/api/delete", None)]
    assert stage.fake.engine.loaded == {}


async def test_a_model_that_answers_is_not_deleted_and_the_page_says_why(stage: Stage) -> None:
    script = stage.fake.answer(Script(hold_at=2))
    chat, board = await stage.chat(), await dashboard(stage)
    await stage.post(chat.path, model="hello:latest")
    await chat.send("Think about it.")
    await script.held.wait()
    await row(board, "hello").get_by_title("More").click()
    await row(board, "hello").get_by_text("Delete…").click()
    await row(board, "hello").get_by_role("button", name="Delete", exact=True).click()
    await board.shows("hello:latest is answering right now.")
    assert "hello:latest" in stage.fake.engine.models
    script.resume.set()
