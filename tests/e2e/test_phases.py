"""Where an answer stands is told all the time: in every tab, and to programs on the JSON socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.doubles.script import Script
from tests.e2e.browser import Tab, until
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHASES = (
    "window.phases = []; new MutationObserver(() => { const now = document.querySelector('#log .phase-text'); "
    "if (now) phases.push(now.innerText.replace(/\\\\s+/g, ' ')); })"
    ".observe(document.getElementById('log'), {childList: true, subtree: true, characterData: true})"
)


async def phases_of(tab: Tab) -> list[str]:
    """Every phase line that the tab has shown since `PHASES` ran in it, without repetitions."""
    return list(dict.fromkeys(await tab.js("phases")))


@asynccontextmanager
async def recorded(stage: Stage, session_id: str) -> AsyncIterator[list[dict[str, Any]]]:
    """The payloads of the `status` frames that a program gets about a session."""
    seen: list[dict[str, Any]] = []

    async def record() -> None:
        async for text in socket:
            frame = json.loads(text)
            if frame["type"] == "status":
                seen.append(frame["payload"])

    async with connect(f"ws://127.0.0.1:{stage.server.port}/ws?session={session_id}", max_size=None) as socket:
        task = asyncio.create_task(record())
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_cold_load_is_told_step_by_step_in_both_tabs_and_to_programs(stage: Stage) -> None:
    stage.fake.engine.models["hello:latest"].load_s = 3
    other = await stage.chat(person=await stage.person())
    before = stage.fake.answer(Script(hold_at=1, text="Wait for me."))
    stage.fake.answer(Script(count=150, rate=75, prompt_s=1.2))
    one = await stage.chat()
    two = await stage.tab(one.path)
    async with recorded(stage, one.path.rpartition("/")[2]) as told:
        await one.js(PHASES)
        await two.js(PHASES)
        await other.send("I was here first.")
        await before.held.wait()
        await one.send("And I was not.")
        await one.shows("Queued")
        stage.fake.engine.forget()
        before.resume.set()
        assert await one.finished() == await two.finished()
        await until(lambda: _event(told, "idle"))
    wanted = ["Queued · next", "Loading hello", "Reading", "Writing"]
    for tab in (one, two):
        shown = await phases_of(tab)
        assert _order(shown, wanted) == wanted, shown
        assert {"Loading hello · 1 s", "Loading hello · 2 s"} <= {line[:19] for line in shown}, shown
    events = list(dict.fromkeys(status["event"] for status in told if "message_id" in status))
    assert events == ["queued", "loading", "reading", "writing", "idle"]
    _check(told)


def _check(told: list[dict[str, Any]]) -> None:
    """The facts that http-api.md promises with each."""
    by_event = {status["event"]: status for status in told if "message_id" in status}
    assert by_event["queued"]["position"] == 1
    assert by_event["loading"]["model"] == "hello:latest"
    assert by_event["loading"]["elapsed_s"] >= 0
    assert by_event["reading"]["tokens"] > 0
    assert 30 <= by_event["writing"]["tokens_per_s"] <= 120


def _order(shown: list[str], wanted: list[str]) -> list[str]:
    """`wanted` in the order in which the tab first showed each."""
    first = {start: next((n for n, line in enumerate(shown) if line.startswith(start)), None) for start in wanted}
    return sorted((start for start in wanted if first[start] is not None), key=lambda start: first[start] or 0)


async def _event(told: list[dict[str, Any]], name: str) -> bool:
    return any(status["event"] == name for status in told)


async def test_thinking_is_shown_as_it_comes_and_folds_when_the_answer_begins(stage: Stage) -> None:
    tab = await stage.chat()
    await tab.page.locator(".picker-summary").click()
    await tab.page.locator("button.model", has_text="think").click()
    await tab.page.locator(".picker-name", has_text="think").wait_for()
    await tab.page.locator(".settings > summary").click()
    await tab.page.locator("#set-think").select_option("on")
    await tab.page.get_by_role("button", name="Save").click()
    await until(lambda: tab.js("!document.querySelector('.settings').open"))
    script = stage.fake.answer(Script(thinking=["Hm, ", "let me see."], text="Yes.", hold_at=2))
    await tab.send("Think first.")
    await script.held.wait()
    await tab.page.locator(".phase", has_text="Thinking").wait_for()
    await tab.page.locator(".thinking.running").wait_for()
    assert await tab.js("document.querySelector('.thought').textContent") == "Hm, let me see."
    script.resume.set()
    log = await tab.finished()
    assert await tab.page.locator(".thinking.running").count() == 0
    assert await (await stage.tab(tab.path)).finished() == log
