"""The dashboard for everybody: by keyboard alone, on a phone, with a screen reader, without JavaScript."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page

from tests.doubles.script import Script
from tests.e2e.browser import Tab, until
from tests.e2e.models_page import (
    GB,
    choose,
    dashboard,
    download_of,
    get_by_name,
    gone,
    pulls_left,
    refuse_loads,
    region,
    row,
    seen,
    strict,
)
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PAGES = ("/dashboard", "/models/hello:latest")
LONG_NAME = "hf.co/somebody-with-a-long-name/a-model-with-an-even-longer-name-gguf:q4_k_m"
CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']"
REACHABLE = f"""[...document.querySelectorAll("{CONTROLS}")].filter(element => element.checkVisibility(
  {{visibilityProperty: true}}) && !element.disabled && element.type !== 'hidden' && element.tabIndex >= 0)"""
MARK = f"(window.controls = {REACHABLE}).length"
FOCUSED = """(() => {
  const element = document.activeElement, box = element.getBoundingClientRect(), style = getComputedStyle(element);
  const ringed = parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== 'none' || style.boxShadow !== 'none';
  const inside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0;
  return {number: controls.indexOf(element), what: element.outerHTML.slice(0, 120), visible: ringed && inside};
})()"""
TOO_WIDE = """[...document.querySelectorAll('html, main, main :is(p, li, dd, td, th, form)')]
  .filter(element => element.clientWidth && element.scrollWidth > element.clientWidth + 1
    && getComputedStyle(element).overflowX !== 'hidden' && !element.closest('.wide-table'))
  .map(element => `${element.scrollWidth} of ${element.clientWidth}: ${element.outerHTML.slice(0, 200)}`)"""
NAMED_ROLES = {"button", "link", "textbox", "searchbox", "combobox", "spinbutton", "progressbar", "region"}


async def full(stage: Stage, person: BrowserContext | None = None) -> Tab:
    """A dashboard with something in every panel: downloads that stand, failed and are done, loads, memory, speeds."""
    stage.fake.add_model(LONG_NAME)
    stage.fake.add_model("big", size=10**15)
    chat = await stage.chat(person=await stage.person())
    await choose(chat, "hello")
    stage.fake.answer(Script(count=100, rate=200))
    await chat.send("How fast are you?")
    await chat.finished()
    hold = stage.fake.offer("tiny:1b", [("weights", 2 * GB)], rate=GB * 4).hold(GB)
    stage.fake.offer("done:1b")
    board = await dashboard(stage, person or await strict(stage))
    for name in ("done:1b", "missing:1b", "tiny:1b"):
        await get_by_name(board, name)
        await seen(download_of(board, name))
    await hold.held.wait()
    await seen(download_of(board, "Downloaded"))
    await seen(download_of(board, "is in no registry"))
    heal = refuse_loads(stage.fake)
    for name in ("think", LONG_NAME):
        await row(board, name).get_by_role("button", name=f"Load {name}").click()
        await board.shows(f"{name} could not be loaded.")
    heal()
    await choose(await stage.chat(person=await stage.person()), "big")
    await board.shows("Loading big will move hello out of memory")
    await seen(region(board, "How does this machine do"))
    return board


async def test_every_control_can_be_reached_by_keyboard_and_shows_where_the_focus_is(stage: Stage) -> None:
    board = await full(stage)
    for path in PAGES:
        await board.page.goto(stage.server.url + path)
        await board.live()
        await seen(board.page.get_by_role("button", name="Look for updates" if path == "/dashboard" else "Unload"))
        count = await board.js(MARK)
        reached: dict[int, dict[str, Any]] = {}
        for _ in range(count + 10):
            await board.page.keyboard.press("Tab")
            focused = await board.js(FOCUSED)
            reached[focused["number"]] = focused
        missed = set(range(count)) - reached.keys()
        assert not missed, [await board.js(f"controls[{number}].outerHTML") for number in missed]
        assert [
            focused["what"] for focused in reached.values() if focused["number"] >= 0 and not focused["visible"]
        ] == []


async def test_keys_alone_download_load_and_delete_and_escape_closes_what_is_open(stage: Stage) -> None:
    board = await dashboard(stage, await strict(stage))
    keys = board.page.keyboard
    stage.fake.offer("tiny:1b")
    await board.page.get_by_role("textbox", name="Name of a model").focus()
    await keys.type("tiny:1b")
    await keys.press("Enter")
    await seen(row(board, "tiny:1b"))
    assert await board.page.get_by_role("textbox", name="Name of a model").input_value() == ""
    more = row(board, "hello").get_by_title("More")
    await row(board, "hello").get_by_role("button", name="Load hello").focus()
    await keys.press("Tab")
    await _ask_to_delete(board)
    await keys.press("Escape")
    await gone(board.page.get_by_text("Delete hello?"))
    assert await more.evaluate("more => more === document.activeElement"), "the focus is where it was"
    assert stage.fake.seen("/api/delete") == []
    await _ask_to_delete(board)
    await keys.press("Enter")
    await gone(row(board, "hello"))
    await keys.press("Tab")
    assert await board.js("document.activeElement.closest('main') !== null"), "one goes on from where the row was"


async def _ask_to_delete(tab: Tab) -> None:
    """From the button that opens the menu of a row to the one that deletes."""
    await tab.page.keyboard.press("Enter")
    await _tab_to(tab, "Delete…")
    if not await tab.page.get_by_text("This frees 2.0 GB.").filter(visible=True).count():
        await tab.page.keyboard.press("Enter")
    await tab.shows("Delete hello? This frees 2.0 GB.")
    await _tab_to(tab, "Delete")


async def _tab_to(tab: Tab, text: str) -> None:
    for _ in range(10):
        if (await tab.js("document.activeElement.innerText")).strip() == text:
            return
        await tab.page.keyboard.press("Tab")
    raise AssertionError(f"{text} cannot be reached by Tab")


async def test_everything_has_a_name_and_no_two_buttons_have_the_same(stage: Stage) -> None:
    board = await full(stage)
    for path in PAGES:
        await board.page.goto(stage.server.url + path)
        await board.live()
        await board.js("document.querySelectorAll('main details').forEach(fold => { fold.open = true })")
        names = await _names(board)
        assert [role for role, name in names if role in NAMED_ROLES and not name] == []
        assert [name for role, name in names if role == "heading"].count("Models") == (path == PAGES[0])
        buttons = Counter(name for role, name in names if role == "button")
        del buttons["Unload hello"]  # in its row and where it says what is in memory
        assert [name for name, times in buttons.items() if times > 1] == []
        ids = await board.js("[...document.querySelectorAll('[id]')].map(element => element.id)")
        assert len(ids) == len(set(ids))
        assert await board.page.get_by_role("heading", level=1).count() == 1


async def _names(tab: Tab) -> list[tuple[str, str]]:
    """Role and name of everything, as the browser tells a screen reader."""
    session = await tab.page.context.new_cdp_session(tab.page)
    tree = await session.send("Accessibility.getFullAXTree")
    told = [node for node in tree["nodes"] if not node["ignored"]]
    return [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in told]


@pytest.mark.parametrize("width", [390, 320])
async def test_on_a_phone_nothing_is_wider_than_the_screen(stage: Stage, width: int) -> None:
    phone = await strict(stage, viewport={"width": width, "height": 700}, has_touch=True, is_mobile=True)
    board = await full(stage, phone)
    for path in (*PAGES, f"/models/{LONG_NAME}"):
        await board.page.goto(stage.server.url + path)
        await board.live()
        await board.js("document.querySelectorAll('main details').forEach(fold => { fold.open = true })")
        assert await board.js("innerWidth") == width, path
        assert await board.js(TOO_WIDE) == [], path


async def test_the_watch_of_strict_tabs_sees_a_second_hello_and_an_error(stage: Stage) -> None:
    board = await dashboard(stage, await strict(stage))
    await board.js("document.getElementById('panel-jobs').remove(), console.error('Oh.')")
    stage.fake.offer("tiny:1b")
    await get_by_name(board, "tiny:1b")

    async def noted() -> bool:
        return len(stage.watch.problems) > 1

    await until(noted)
    assert {problem.partition(":")[0] for problem in stage.watch.problems} >= {"console", "said hello again"}
    await stage.clear()
    stage.watch.problems.clear()


async def submit(page: Page, name: str) -> None:
    async with page.expect_navigation():
        await page.get_by_role("button", name=name, exact=True).click()


async def reloaded_until(page: Page, text: str) -> None:
    async def there() -> int:
        await page.reload()
        return await page.get_by_text(text).count()

    await until(there)


async def test_without_javascript_one_can_download_look_cancel_resume_and_delete(stage: Stage) -> None:
    board = await stage.loading("/dashboard", person=await stage.person(java_script_enabled=False))
    page = board.page
    hold = stage.fake.offer("tiny:1b", [("weights", 2 * GB)], rate=GB * 4).hold(GB)
    await page.get_by_role("textbox", name="Name of a model").fill("tiny:1b")
    await submit(page, "Download")
    await hold.held.wait()
    await reloaded_until(page, "1.0 GB of 2.0 GB")
    await submit(page, "Cancel download of tiny:1b")
    assert pulls_left(stage.fake) == 1
    await page.get_by_text("Cancelled at 1.0 GB").wait_for()
    hold.resume.set()
    await submit(page, "Resume download of tiny:1b")
    await reloaded_until(page, "Downloaded, 2.0 GB")
    await submit(page, "Load tiny:1b")
    await reloaded_until(page, "in RAM, on the CPU")
    await row(board, "tiny:1b").locator("summary").first.click()
    await row(board, "tiny:1b").locator("summary", has_text="Delete").click()
    await page.get_by_text("Delete tiny:1b? This frees 2.0 GB.").wait_for()
    await submit(page, "Delete")
    assert await row(board, "tiny:1b").count() == 0
    assert page.url == f"{stage.server.url}/dashboard"
    assert re.search("tiny", str(stage.fake.engine.models)) is None
