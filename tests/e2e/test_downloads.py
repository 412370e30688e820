"""A download is a job of the server: every tab shows the same of it, and nothing a page does or suffers stops it."""

from __future__ import annotations

import signal
import statistics
from typing import Any

import pytest

from tests.e2e.browser import Tab, until
from tests.e2e.models_page import (
    GB,
    dashboard,
    download_of,
    get_by_name,
    get_from_catalogue,
    gone,
    percent,
    pulls_left,
    row,
    seen,
    stands_at,
    strict,
)
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NAME = "tiny:1b"
KNOWN = "llama3.2:1b"
KNOWN_SIZE = 1_321_098_329
"""As the shipped list says."""
LAYERS = [("weights", 2 * GB), ("licence", 8_000)]
TICK_MS = 200
"""So often the boards are told of a download at most."""
RECORD = """window.shown = {}; new MutationObserver(() => {
  const value = document.querySelector('#main progress[aria-label^="Download of"]')?.getAttribute('value');
  if (value && !(value in shown)) shown[value] = Date.now();
}).observe(document.body, {subtree: true, childList: true, attributes: true})"""


async def test_a_download_is_the_same_bar_in_every_tab_through_reload_cancel_and_resume(stage: Stage) -> None:
    offer = stage.fake.offer(NAME, LAYERS, rate=GB / 2)
    half, more = offer.hold(GB), offer.hold(3 * GB // 2)
    me = await strict(stage)
    one, two = tabs = await dashboard(stage, me), await dashboard(stage, me)
    await get_by_name(one, NAME)
    await half.held.wait()
    for tab in tabs:
        await stands_at(tab, NAME, 50)
        await seen(download_of(tab, NAME).filter(has_text="1.0 GB of 2.0 GB"))
        await tab.page.reload()
        await stands_at(await tab.live(), NAME, 50)
    half.resume.set()
    await more.held.wait()
    for tab in tabs:
        await stands_at(tab, NAME, 75)
    await two.page.get_by_role("button", name=f"Cancel download of {NAME}").click()
    await stage.fake.until(lambda: pulls_left(stage.fake) == 1)
    for tab in tabs:
        await seen(download_of(tab, NAME).filter(has_text="Cancelled at 1.5 GB"))
    for tab in tabs:
        await tab.js(RECORD)
    await one.page.get_by_role("button", name=f"Resume download of {NAME}").click()
    for tab in tabs:
        await stands_at(tab, NAME, 75)
    more.resume.set()
    for tab in tabs:
        await seen(download_of(tab, NAME).filter(has_text="Downloaded, 2.0 GB"))
        await seen(row(tab, NAME))
        assert min(map(float, await tab.js("Object.keys(shown)"))) >= 75
        assert await tab.js("document.querySelector('#announce').textContent") == f"The download of {NAME} finished."
    assert len(stage.fake.seen("/api/pull")) == 2


async def test_a_known_model_comes_from_the_catalogue_with_its_total_and_the_tabs_are_a_tick_apart(
    stage: Stage,
) -> None:
    stage.fake.offer(KNOWN, [("weights", KNOWN_SIZE - 8_000), ("licence", 8_000)], rate=KNOWN_SIZE / 3)
    me = await strict(stage)
    one, two = tabs = await dashboard(stage, me), await dashboard(stage, me)
    for tab in tabs:
        await tab.js(RECORD)
    await get_from_catalogue(one, KNOWN)
    await seen(download_of(two, KNOWN).filter(has_text="of 1.3 GB"))
    await get_from_catalogue(two, KNOWN)
    for tab in tabs:
        await seen(download_of(tab, KNOWN).filter(has_text="Downloaded, 1.3 GB"))
        await seen(row(tab, KNOWN))
        await gone(tab.page.get_by_role("button", name=f"Download {KNOWN}", exact=True))
    assert len(stage.fake.seen("/api/pull")) == 1, "the second request joins the first"
    moments = [await tab.js("shown") for tab in tabs]
    assert _apart_ms(*moments) <= TICK_MS, moments
    for shown in moments:
        assert list(shown) == sorted(shown, key=float), "it never goes back"


def _apart_ms(one: dict[str, Any], two: dict[str, Any]) -> float:
    """How far apart two tabs show the same, usually."""
    both = one.keys() & two.keys()
    assert len(both) >= 5, (one, two)
    return statistics.median(abs(one[value] - two[value]) for value in both)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_download_cut_by_our_restart_is_offered_again_in_the_same_tabs(
    stage: Stage, number: signal.Signals
) -> None:
    offer = stage.fake.offer(NAME, LAYERS, rate=2 * GB)
    hold = offer.hold(GB)
    one, chat = await dashboard(stage), await stage.chat()
    two = await dashboard(stage)
    await get_by_name(one, NAME)
    await hold.held.wait()
    for tab in (one, two, chat):
        await stands_at(tab, NAME, 50)
    await stage.stop(number)
    await stage.fake.until(lambda: pulls_left(stage.fake) == 1)
    await stage.start()
    for tab in (one, two):
        await seen(download_of(tab, NAME).filter(has_text="The server stopped"), 20)
    await seen(download_of(chat, NAME).filter(has_text="interrupted"), 20)
    await two.page.get_by_role("button", name=f"Resume download of {NAME}").click()
    await stands_at(one, NAME, 50)
    hold.resume.set()
    for tab in (one, two):
        await seen(download_of(tab, NAME).filter(has_text="Downloaded, 2.0 GB"))
        await seen(row(tab, NAME))
    await gone(download_of(chat, NAME))


async def test_a_registry_that_dies_is_told_as_stalled_then_as_failed_and_can_be_tried_again(stage: Stage) -> None:
    offer = stage.fake.offer(NAME, LAYERS, rate=GB, trouble="registry_dies", trouble_s=60)
    me = await strict(stage)
    board, chat = await dashboard(stage, me), await stage.chat(person=me)
    await get_by_name(board, NAME)
    await stands_at(board, NAME, 50)
    await seen(download_of(board, NAME).filter(has_text="Downloading"))
    await seen(download_of(board, NAME).filter(has_text="Stalled, retrying"), 14)
    await seen(download_of(chat, NAME).filter(has_text="stalled"))
    assert await percent(board, NAME) == await percent(chat, NAME) == 50
    offer.go_on.set()
    failed = download_of(board, NAME).filter(has_text="The registry stopped answering while tiny:1b was coming.")
    await seen(failed, 30)
    await seen(download_of(chat, NAME).filter(has_text="failed"))
    offer.trouble = ""
    await board.page.get_by_role("button", name=f"Retry download of {NAME}").click()
    await seen(download_of(board, NAME).filter(has_text="Downloaded, 2.0 GB"))


async def test_an_engine_that_restarts_or_a_tab_that_is_cut_off_is_only_a_pause(stage: Stage) -> None:
    offer = stage.fake.offer(NAME, LAYERS, rate=4 * GB)
    half, more = offer.hold(GB), offer.hold(3 * GB // 2)
    steady, cut_off = await dashboard(stage), await stage.tab("/dashboard", through=True)
    await get_by_name(steady, NAME)
    for tab in (steady, cut_off):
        await stands_at(tab, NAME, 50)
    stage.network.cut()
    stage.fake.misbehave("restart")
    await seen(download_of(steady, NAME).filter(has_text="Stalled, retrying"))
    half.resume.set()
    await stands_at(steady, NAME, 75)
    await cut_off.shows("The connection is lost. Downloads go on meanwhile")
    assert await percent(cut_off, NAME) == 50
    stage.network.mend()
    await stands_at(cut_off, NAME, 75, 20)
    more.resume.set()
    for tab in (steady, cut_off):
        await seen(download_of(tab, NAME).filter(has_text="Downloaded, 2.0 GB"))
    assert len(stage.fake.seen("/api/pull")) == 2


FAILURES = {
    "registry_gone": "The registry cannot be reached from Ollama's machine.",
    "too_old": "tiny:1b needs a newer Ollama than the one here.",
    "digest_mismatch": "its checksum is wrong",
    "": "missing:1b is in no registry that Ollama asks.",
}


async def test_every_failure_is_told_in_words_and_the_next_try_replaces_it(stage: Stage) -> None:
    board = await dashboard(stage, await strict(stage))
    for trouble, words in FAILURES.items():
        name = NAME if trouble else "missing:1b"
        stage.fake.offer(NAME, trouble=trouble)
        await get_by_name(board, name)
        await seen(download_of(board, name).filter(has_text=words), 30)
        await _one_entry(board, name)
    stage.fake.offer(NAME)
    await board.page.get_by_role("button", name=f"Retry download of {NAME}").click()
    await seen(row(board, NAME))
    await _one_entry(board, NAME)
    await board.page.get_by_role("button", name="Clear what has ended").click()
    await gone(board.page.get_by_role("heading", name="Downloads"))


async def _one_entry(board: Tab, model: str) -> None:
    async def one() -> bool:
        return await download_of(board, model).count() == 1

    await until(one)


async def test_what_is_no_name_is_refused_in_words_and_stays_in_the_field(stage: Stage) -> None:
    board = await dashboard(stage)
    await get_by_name(board, "no/such/name at all")
    await board.has("[role=status] *", "name")
    assert await board.page.get_by_role("textbox", name="Name of a model").input_value() == "no/such/name at all"
    assert stage.fake.seen("/api/pull") == []
