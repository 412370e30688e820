"""The page of one model, and what one can make of it: a copy, another name, an assistant, a newer version."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.e2e.browser import Tab, until
from tests.e2e.models_page import GB, dashboard, download_of, gone, region, row, seen, strict
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NEWER = "b" * 64
TIMES = re.compile(r"in \d+ min( \d+ s)?|just now|\d+ (s|min) ago|\d+ s\b|\d\d:\d\d [AP]M|[\d.]+ GB free of")
VIEWS = ("/dashboard", "/dashboard?sort=size&dir=asc&q=e", "/models/hello:latest", "/models/tiny:1b")


async def opened(tab: Tab, fold: str) -> None:
    await region(tab, "Change").get_by_text(fold, exact=True).click()


async def test_a_copy_another_name_and_an_assistant_are_made_on_the_page_of_a_model(stage: Stage) -> None:
    me = await strict(stage)
    board = await dashboard(stage, me)
    await board.page.get_by_role("link", name="hello", exact=True).click()
    page = await Tab(board.page).live()
    board = await dashboard(stage, me)
    await opened(page, "Copy or rename")
    await page.page.get_by_label("Name of the copy").fill("hello-copy")
    await page.page.get_by_role("button", name="Copy", exact=True).click()
    await page.shows("Copied to hello-copy.")
    await seen(row(board, "hello-copy"))
    await page.page.get_by_label("New name").fill("greeter")
    await page.page.get_by_role("button", name="Rename", exact=True).click()
    await seen(page.page.get_by_role("heading", name="greeter", level=1))
    await gone(row(board, "hello"))
    await seen(row(board, "greeter"))
    await opened(await page.live(), "Make an assistant from it")
    await page.page.get_by_label("Name", exact=True).fill("translator")
    await page.page.get_by_label("System prompt").fill("You translate everything into French.")
    await page.page.get_by_label("Temperature").fill("0.2")
    await page.page.get_by_role("button", name="Create").click()
    await seen(page.page.get_by_role("heading", name="translator", level=1))
    await seen(row(board, "translator"))
    made = stage.fake.engine.models["translator:latest"]
    assert (made.system, made.parameters["temperature"]) == ("You translate everything into French.", 0.2)


async def test_a_name_that_is_taken_is_refused_in_words(stage: Stage) -> None:
    page = await stage.tab("/models/hello:latest")
    await opened(page, "Copy or rename")
    await page.page.get_by_label("Name of the copy").fill("think")
    await page.page.get_by_role("button", name="Copy", exact=True).click()
    await page.shows("There is a model called think")
    assert await page.page.get_by_label("Name of the copy").input_value() == "think"
    assert stage.fake.seen("/api/copy") == []


async def test_an_update_is_found_by_looking_and_says_what_has_changed(stage: Stage) -> None:
    board = await dashboard(stage, await strict(stage))
    stage.fake.offer("hello", [("old weights", 2 * GB)])
    stage.fake.offer("think", [("new weights", 2 * GB)], rate=4 * GB, digest=NEWER)
    await board.page.get_by_role("button", name="Look for updates").click()
    await board.shows("Looked for updates: 1 update found.")
    await seen(row(board, "think").filter(has_text="update available"))
    assert await row(board, "hello").filter(has_text="update available").count() == 0
    await row(board, "think").get_by_title("More").click()
    await row(board, "think").get_by_role("button", name="Update", exact=True).click()
    before = stage.fake.engine.models["think:latest"].digest
    await seen(download_of(board, "think").filter(has_text=f"Updated: {before[:12]} is now {NEWER[:12]}"))
    await gone(row(board, "think").filter(has_text="update available"))


async def test_updating_all_says_of_each_how_it_ended(stage: Stage) -> None:
    board = await dashboard(stage, await strict(stage))
    stage.fake.offer("hello", [("old weights", 2 * GB)])
    stage.fake.offer("think", [("new weights", 2 * GB)], rate=4 * GB, digest=NEWER)
    await board.page.get_by_role("button", name="Update all").click()
    await board.shows("Updating 2 models.")
    await seen(download_of(board, "hello").filter(has_text="It was up to date already"))
    await seen(download_of(board, "think").filter(has_text=f"is now {NEWER[:12]}"))


async def test_a_page_of_a_model_follows_what_happens_to_it(stage: Stage) -> None:
    page = await stage.tab("/models/think:latest", person=await strict(stage))
    await page.page.get_by_role("button", name="Load now").click()
    await page.shows("in RAM, on the CPU")
    await page.page.get_by_role("button", name="Unload").click()
    await seen(page.page.get_by_role("button", name="Load now"))
    stage.fake.remove_model("think")
    await page.shows("think is not on this machine. It can be downloaded.")
    stage.fake.offer("think", [("weights", 2 * GB)], rate=4 * GB)
    await page.page.get_by_role("button", name="Download", exact=True).click()
    await page.shows("Downloaded, 2.0 GB")
    await seen(page.page.get_by_role("button", name="Load now"))


async def test_how_long_a_model_stays_is_set_on_the_dashboard_and_told_to_ollama_at_once(stage: Stage) -> None:
    me = await strict(stage)
    one, two = await dashboard(stage, me), await dashboard(stage, me)
    await row(one, "hello").get_by_role("button", name="Load hello").click()
    keep = one.page.get_by_role("combobox", name="Keep hello in memory")
    await keep.select_option("until unloaded")
    await stage.fake.until(lambda: stage.fake.engine.loaded["hello:latest"].keep_alive == -1)
    held = region(two, "In memory").get_by_role("row").filter(has_text="hello")
    await seen(held.get_by_role("cell", name="stays", exact=True))


async def said(tab: Tab) -> str:
    """All that a screen reader would read of what a page keeps true, without what passes by itself."""
    live = region(tab, "State") if tab.path.startswith("/models/") else tab.page.locator("main")
    return TIMES.sub("a time", await live.aria_snapshot())


async def test_after_many_changes_every_tab_says_what_a_fresh_load_says(stage: Stage) -> None:
    me = await strict(stage)
    for name in ("tiny:1b", "even-smaller:1b", "missing:1b"):
        stage.fake.offer(name, [(name, 2 * GB)], rate=4 * GB)
    stage.fake.registry.offers["missing:1b"].trouble = "registry_gone"
    await stage.post("/models/pull", model="tiny:1b")
    board = await dashboard(stage, me)
    await seen(row(board, "tiny:1b"))
    tabs = {path: await stage.tab(path, person=me) for path in VIEWS}
    chat = await stage.chat(person=me)
    tabs[chat.path] = chat
    hold = stage.fake.offer("large:7b", [("much", 8 * GB)], rate=8 * GB).hold(4 * GB)
    for name in ("large:7b", "even-smaller:1b", "missing:1b"):
        await stage.post("/models/pull", model=name)
    await stage.post("/models/load", model="hello:latest")
    await stage.post("/models/update", model="tiny:1b")
    await stage.post("/models/copy", model="think:latest", name="thinker")
    await chat.send("How fast are you?")
    await chat.finished()
    await stage.post("/models/unload", model="hello:latest")
    await stage.post("/models/load", model="think:latest")
    await stage.post("/model/delete/thinker:latest")
    stage.fake.remove_model("even-smaller:1b")
    await hold.held.wait()
    await board.page.get_by_role("button", name="Cancel download of large:7b").click()
    await seen(download_of(board, "large:7b").filter(has_text="Cancelled at 4.0 GB"))
    await gone(row(board, "even-smaller:1b"))
    for path, tab in tabs.items():
        fresh = await stage.tab(path, person=me)
        await until(partial(_same, tab, fresh))


async def _same(tab: Tab, fresh: Tab) -> bool:
    return await said(tab) == await said(fresh)
