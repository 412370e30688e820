"""Tabs on one session show the same, whatever happens to them on the way."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.doubles.script import Script
from tests.e2e.browser import until
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PARAGRAPH = "The *quick* brown `fox` jumps over the lazy dog. "
CODE = "```python\n" + "".join(f"answer_{n} = '🦊' * {n}  # number {n}\n" for n in range(12)) + "```\n\n"
TABLE = "| a | b |\n|---|---|\n" + "".join(f"| {n} | **{n * n}** |\n" for n in range(8)) + "\n"
LIST = "1. first\n2. second\n   - inner\n\n"


def long_answer(sections: int) -> str:
    return "".join(f"## Part {n}\n\n{PARAGRAPH * 4}\n\n{CODE}{TABLE}{LIST}" for n in range(sections)) + "The end."


async def test_a_message_sent_in_one_tab_streams_into_both_and_both_end_as_a_fresh_load(stage: Stage) -> None:
    script = stage.fake.answer(Script(count=200, rate=200, hold_at=100))
    one = await stage.chat()
    two = await stage.tab(one.path)
    await one.send("Count, please.")
    await script.held.wait()
    await one.shows("word99")
    await two.shows("word99")
    script.resume.set()
    assert await one.finished() == await two.finished()
    fresh = await stage.tab(one.path)
    assert await fresh.finished() == await one.log()
    assert "word199" in await fresh.log()


async def test_reloaded_cut_off_and_hidden_tabs_end_as_a_fresh_load_with_nothing_lost_or_doubled(
    stage: Stage,
) -> None:
    stage.fake.answer(Script(text=long_answer(8), rate=180))
    steady = await stage.chat()
    reloaded = await stage.tab(steady.path)
    cut_off = await stage.tab(steady.path, through=True)
    async with AsyncExitStack() as window:
        hidden = await (await window.enter_async_context(stage.hideable(steady.path))).live()
        over_it = await (await window.enter_async_context(stage.hideable(steady.path))).live()
        await until(lambda: hidden.js("document.visibilityState === 'hidden'"))
        await steady.send("Write a lot.")
        await steady.shows("Part 1")
        stage.network.cut()
        for part in (2, 3, 4, 5):
            await steady.shows(f"Part {part}")
            await reloaded.page.reload()
            await (hidden if part % 2 else over_it).show()
        assert "Part 5" not in await cut_off.log()
        stage.network.mend()
        logs = [await tab.finished(within_s=20) for tab in (steady, reloaded, cut_off)]
        for tab in (hidden, over_it):
            await tab.show()
            logs.append(await tab.finished())
    fresh = await stage.tab(steady.path)
    assert len({await fresh.finished(), *logs}) == 1
    headings = fresh.page.locator(".msg.assistant :is(h3, h4)", has_text="Part")
    assert await headings.all_text_contents() == [f"Part {n}" for n in range(8)]


async def test_a_tab_on_another_session_sees_its_place_in_the_queue_and_then_its_own_answer(stage: Stage) -> None:
    scripts = [stage.fake.answer(Script(text=f"Answer {n}.", hold_at=1)) for n in (1, 2, 3)]
    tabs = [await stage.chat(person=await stage.person()) for _ in scripts]
    await tabs[0].send("I am first.")
    await scripts[0].held.wait()
    await tabs[1].send("I am second.")
    await tabs[1].shows("Queued")
    await tabs[2].send("I am third.")
    await tabs[2].page.locator(".phase", has_text="Queued · 2nd of 2").wait_for()
    assert "next" in await tabs[1].page.locator("#log .phase").inner_text()
    scripts[0].resume.set()
    await scripts[1].held.wait()
    await tabs[2].page.locator(".phase", has_text="Queued · next").wait_for()
    for script in scripts:
        script.resume.set()
    for number, tab in enumerate(tabs, 1):
        await tab.finished()
        assert await tab.page.locator(".msg.assistant .body").all_inner_texts() == [f"Answer {number}."]


async def test_an_answer_is_complete_when_one_comes_back_after_closing_every_tab(stage: Stage) -> None:
    script = stage.fake.answer(Script(count=100, hold_at=50))
    tab = await stage.chat()
    path = tab.path
    await tab.send("Go on without me.")
    await script.held.wait()
    await tab.page.close()
    script.resume.set()
    nobody = (await stage.somebody()).request

    async def complete() -> bool:
        return 'class="meta complete"' in (await (await nobody.get(stage.server.url + path)).text()).partition("m-2")[2]

    await until(complete)
    back = await stage.tab(path)
    await back.finished()
    await back.shows("word99")


def three_ways(body: dict[str, Any]) -> Script:
    """A slow answer to a question, what is missing to a continued one, and something quick to whoever waits."""
    last = body["messages"][-1]
    if last["role"] == "assistant":
        return Script(text=" and on.")
    return Script(text="Your turn.") if "queued" in last["content"] else Script(count=50, hold_at=30)


async def test_after_kill_9_nothing_older_than_a_second_is_lost_and_everything_can_go_on(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.start(OLLAMA_NUM_PARALLEL="2")
    stage.fake.answer_always(three_ways)
    continued, retried, queued = [await stage.chat(person=await stage.person()) for _ in range(3)]
    await stage.post(retried.path, model="think:latest")
    for tab in (continued, retried):
        await tab.send("Count.")
        await tab.shows("word29")
    await queued.send("I am queued.")
    await queued.shows("Queued")
    await asyncio.sleep(1)  # the promise is about this second
    await stage.stop(signal.SIGKILL)
    stage.fake.answer_always(lambda body: three_ways(body) if "queued" in str(body) else Script(text="All new."))
    await stage.start()
    await queued.shows("Your turn.")
    for tab in (continued, retried):
        await tab.has(".outcome", "The server stopped while this was being written.")
        assert "Count." in await tab.finished()
        assert "word29" in await tab.log()
        assert await (await stage.tab(tab.path)).finished() == await tab.log()
    stage.fake.answer(Script(text="and on."))
    await continued.page.get_by_role("button", name="Continue").click()
    await continued.shows(re.compile("word29 and on."))
    await retried.page.get_by_role("button", name="Retry").click()
    await retried.shows("All new.")
    await retried.finished(answers=2)
