"""However the engine fails: the page says so in words, offers what to do, and the next question is answered."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.doubles.script import Script
from tests.e2e.browser import Tab
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SECONDS = {"hang_before_headers": 8.0}
"""How long each may take to be told with OLLAMA_TIMEOUT=1 and one retry; 5 where nothing is said."""
TIMES = {"503": 2, "hang_before_headers": 2}
"""How often it has to happen to be more than a hiccup."""
TOLD = {
    "404": "hello:latest is not on this machine",
    "500": "hello:latest crashed",
    "503": "Ollama has too much to do right now",
    "hang_before_headers": "gives no answer, not even after it was loaded anew",
    "hang_mid_stream": "stopped in the middle: nothing came for 1 s",
    "cut_mid_line": "The answer was cut off",
    "cut_without_done": "the engine stopped in the middle",
    "in_band_error": "crashed while it answered",
    "garbage": "sent something that is no answer",
    "wrong_types": "sent something that is no answer",
    "empty": "the engine stopped in the middle",
    "huge_line": "sent more at once than an answer can be",
}
NOTHING_CAME = {"404", "500", "503", "hang_before_headers", "empty"}


@pytest.mark.parametrize("mode", TOLD)
async def test_a_failure_is_told_can_be_retried_and_does_not_stop_the_queue(failing_stage: Stage, mode: str) -> None:
    stage = failing_stage
    first = talking(stage)
    unlucky, next_one = await two_waiting(stage)
    stage.fake.misbehave(mode, times=TIMES.get(mode, 1))
    first.told_to_stop = True
    await unlucky.has(".outcome.failed", TOLD[mode], SECONDS.get(mode, 5.0))
    await next_one.finished()
    await next_one.shows("I say this to everybody")
    buttons = unlucky.page.locator("#log .again button")
    assert await buttons.all_inner_texts() == (["Retry"] if mode in NOTHING_CAME else ["Continue", "Retry"])
    await buttons.last.click()
    await unlucky.has(
        ".msg.assistant .body", re.compile(r"^\s*Hello! I am a fake model and I say this to everybody\.\s*$")
    )
    await unlucky.finished(answers=1 if mode in NOTHING_CAME else 2)


class Talk(Sequence[str]):
    """Words without an end, until it is told to stop: an engine that is busy without ever being silent."""

    told_to_stop = False

    def __iter__(self) -> Iterator[str]:
        return itertools.takewhile(lambda _: not self.told_to_stop, (f"word{n} " for n in itertools.count()))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: Any) -> Any:
        return f"word{index} "


def talking(stage: Stage) -> Talk:
    """The next answer."""
    talk = Talk()
    stage.fake.answer(Script(tokens=talk, rate=25))
    return talk


async def two_waiting(stage: Stage) -> tuple[Tab, Tab]:
    """Two tabs whose questions wait behind somebody else's, in this order."""
    await stage.ask("Me first.")
    tabs = [await stage.chat() for _ in range(2)]
    for tab in tabs:
        await tab.send("Are you there?")
        await tab.shows("Queued")
    return tabs[0], tabs[1]


async def test_bytes_that_drip_are_an_answer_like_any_other(failing_stage: Stage) -> None:
    stage = failing_stage
    stage.fake.misbehave("slow_drip")
    tab = await stage.chat()
    await tab.send("Slowly, please.")
    await tab.finished()
    assert await tab.page.locator(".msg.assistant .body").inner_text() == "Hello…"


async def test_an_engine_that_restarts_cuts_one_answer_and_gives_the_next(failing_stage: Stage) -> None:
    stage = failing_stage
    talking(stage)
    one, two = await stage.chat(), await stage.chat()
    await one.send("Count.")
    await one.shows("word9")
    await two.send("And me?")
    await two.shows("Queued")
    stage.fake.misbehave("restart")
    await one.has(".outcome.failed", "The answer was cut off")
    await two.shows("I say this to everybody")
    assert "word9" in await one.finished()
    stage.fake.answer(" and on.")
    await one.page.get_by_role("button", name="Continue").click()
    await one.shows(re.compile(r"word9 .* and on\."))


async def test_an_engine_that_listens_no_more_is_told_for_every_question_and_used_again_when_back(
    failing_stage: Stage,
) -> None:
    stage = failing_stage
    talking(stage)
    one, two = await stage.chat(), await stage.chat()
    await one.send("Count.")
    await one.shows("word9")
    await two.send("And me?")
    await two.shows("Queued")
    stage.fake.misbehave("refused")
    await one.has(".outcome.failed", "cut off")
    await two.has(".outcome.failed", "Ollama is not answering")
    await stage.fake.listen()
    await two.page.get_by_role("button", name="Retry").click()
    await two.shows("I say this to everybody")


async def test_tabs_know_within_five_seconds_that_the_engine_went_or_came(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.start(OLLAMA_POLL="3")
    tab, other = await stage.chat(), await stage.chat()
    stage.fake.misbehave("refused")
    for one in (tab, other):
        await one.page.locator("#panel-engine.down", has_text="ollama serve").wait_for(timeout=5000)
    await stage.fake.listen()
    for one in (tab, other):
        await one.page.locator("#panel-engine.ok").wait_for(state="attached", timeout=5000)


async def test_without_an_engine_the_demo_is_offered_and_answers_until_one_appears(empty_stage: Stage) -> None:
    stage = empty_stage
    await stage.start()
    tab = await stage.chat()
    await stage.stop()
    stage.fake.misbehave("refused")
    await stage.start()
    await tab.page.get_by_role("button", name="Try the demo meanwhile").click(timeout=12_000)
    await tab.has(".picker-name", "demo")
    await tab.send("Hello!")
    await tab.has(".msg.assistant .phase", "Writing")
    await stage.fake.listen()
    await tab.page.locator("#panel-engine.ok").wait_for(state="attached", timeout=5000)
    await tab.page.locator(".picker-summary").click()
    await tab.has("button.model", "hello")
