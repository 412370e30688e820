"""What one person does on one page: keys, drafts, notices, copies, deletions; on a phone too."""

from __future__ import annotations

import pytest

from tests.doubles.script import Script
from tests.e2e.browser import Tab, until
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ANSWER = "Look:\n\n```python\nprint('🦊')\nprint(2)\n```\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\nDone."
WITHOUT_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', {get: () => undefined})"
WIDER_THAN_THE_SCREEN = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def press(tab: Tab, *keys: str) -> None:
    for key in keys:
        await tab.page.keyboard.press(key)


async def focused(tab: Tab, selector: str) -> None:
    await until(lambda: tab.js(f"document.activeElement.matches({selector!r})"))


async def tab_to(tab: Tab, selector: str, key: str = "Tab") -> None:
    """Moves the focus by keyboard alone until an element that matches has it."""
    for _ in range(60):
        if await tab.js(f"document.activeElement.matches({selector!r})"):
            return
        await press(tab, key)
    raise AssertionError(f"{selector} cannot be reached with {key}")


async def test_the_watch_of_these_tests_sees_violations_and_other_hosts(stage: Stage) -> None:
    tab = await stage.chat()
    await tab.js("document.body.append(Object.assign(document.createElement('img'), {src: 'http://192.0.2.1/x.png'}))")
    await until(lambda: _count(stage, "violation"))
    stage.watch.allowed.clear()
    await tab.page.reload()
    await until(lambda: _count(stage, "asked"))
    await stage.clear()
    stage.watch.problems.clear()


async def _count(stage: Stage, kind: str) -> int:
    return sum(problem.startswith(kind) for problem in stage.watch.problems)


async def test_keys_alone_are_enough_to_send_stop_rename_choose_a_model_and_delete(stage: Stage) -> None:
    keep = await stage.chat()
    await keep.send("Keep this chat.")
    await keep.finished()
    tab = await stage.chat()
    script = stage.fake.answer(Script(count=50, hold_at=10))
    await tab.page.keyboard.type("Count.")
    await press(tab, "Enter")
    await script.held.wait()
    await tab.shows("word9")
    await tab_to(tab, ".send.stop")
    await press(tab, "Enter")
    await tab.has(".outcome", "Stopped.")
    await tab_to(tab, ".rename > summary", "Shift+Tab")
    await press(tab, "Enter")
    await focused(tab, "#header-title")
    await press(tab, "Control+a")
    await tab.page.keyboard.type("By hand")
    await press(tab, "Enter")
    await tab.has("h1", "By hand")
    await tab_to(tab, ".picker-summary")
    await press(tab, "Enter")
    await tab_to(tab, "button.model[value='think:latest']")
    await press(tab, "Enter")
    await tab.has(".picker-name", "think")
    await tab_to(tab, ".session.current .session-menu > summary", "Shift+Tab")
    await press(tab, "Enter")
    await tab_to(tab, ".session.current .confirm > summary")
    await press(tab, "Enter")
    await tab_to(tab, ".session.current button.danger")
    await press(tab, "Enter")
    await tab.page.wait_for_url(f"**{keep.path}")
    assert await tab.page.locator(".session-title", has_text="By hand").count() == 0


async def test_a_refused_send_is_told_in_the_servers_words_and_keeps_the_text(stage: Stage) -> None:
    running = stage.fake.answer(Script(hold_at=2))
    first = await stage.chat()
    await first.send("First.")
    await running.held.wait()
    await first.send("Too early.")
    await first.has("#toasts .toast.error", "answer")
    assert await first.page.locator("#composer-text").input_value() == "Too early."
    for _ in range(3):
        await (await stage.chat()).send("Me too.")
    await until(lambda: first.js("document.querySelectorAll('#panel-queue li').length === 4"))
    fifth = await stage.chat()
    await fifth.send("One more.")
    await fifth.has("#toasts .toast.error", "You have 3 questions waiting already. Send this one when the next answer")
    running.resume.set()
    await until(lambda: first.js("document.querySelectorAll('#panel-queue li').length < 4"))
    await fifth.page.locator("#toasts .toast.error button", has_text="Retry").click()
    await fifth.finished(within_s=12)


async def test_a_draft_survives_a_reload_and_is_there_in_another_browser(stage: Stage) -> None:
    tab = await stage.chat()
    await tab.page.locator("#composer-text").fill("Half a thought")
    await tab.page.reload()
    assert await tab.page.locator("#composer-text").input_value() == "Half a thought"
    elsewhere = await stage.tab(tab.path, person=await stage.person())
    assert await elsewhere.page.locator("#composer-text").input_value() == "Half a thought"
    await (await tab.live()).page.keyboard.press("Enter")
    await tab.finished()
    await tab.page.reload()
    assert await tab.page.locator("#composer-text").input_value() == ""


async def test_streamed_code_and_tables_end_as_a_fresh_load_and_code_is_copied_without_a_clipboard(
    stage: Stage,
) -> None:
    person = await stage.person()
    await person.add_init_script(WITHOUT_CLIPBOARD)
    await person.add_init_script(
        "document.addEventListener('copy', () => { window.copied = String(getSelection()) || "
        "document.activeElement.value })"
    )
    tab = await stage.chat(person=person)
    stage.fake.answer(Script(tokens=list(ANSWER), rate=150))
    await tab.send("Show me.")
    log = await tab.finished()
    assert await (await stage.tab(tab.path)).finished() == log
    assert await tab.page.locator(".msg.assistant td strong").inner_text() == "2"
    await tab.page.locator("[data-copy]").click()
    await tab.has("[data-copy]", "Copied")
    assert (await tab.js("copied")).strip() == "print('🦊')\nprint(2)"


async def test_what_one_tab_does_the_other_is_told(stage: Stage) -> None:
    script = stage.fake.answer(Script(count=50, hold_at=10))
    one = await stage.chat()
    two = await stage.tab(one.path)
    await one.send("Count.")
    await script.held.wait()
    await two.shows("word9")
    await two.page.locator(".send.stop").click()
    await one.has(".outcome", "Stopped.")
    await two.page.get_by_role("button", name="Retry").click()
    await one.shows("I say this to everybody")
    assert await one.finished(answers=2) == await two.finished(answers=2)
    await stage.post(one.path + "/delete")
    for tab in (one, two):
        await tab.has("#toasts .toast", "This chat was deleted.")


async def test_every_finished_answer_is_announced_once_and_politely(stage: Stage) -> None:
    tab = await stage.chat()
    await tab.js(
        "window.said = []; new MutationObserver(all => all.forEach(m => m.addedNodes.forEach(n => said.push(n.data))))"
        ".observe(document.getElementById('announce'), {childList: true})"
    )
    for number in (1, 2):
        stage.fake.answer(Script(count=40 * number, rate=200))
        await tab.send("Count.")
        await tab.finished(number)
    assert await tab.js("said") == ["Answer finished, 40 words.", "Answer finished, 80 words."]
    assert await tab.js("document.querySelector('#announce').getAttribute('aria-live')") == "polite"
    assert await tab.page.locator("[aria-live=assertive], [role=alert]").count() == 0


async def test_on_a_phone_nothing_is_wider_than_the_screen(stage: Stage) -> None:
    phone = await stage.person(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    tab = await stage.chat(person=phone)
    assert await tab.js(WIDER_THAN_THE_SCREEN) <= 0
    wide = f"| {'wide ' * 9}| {'column ' * 9}|\n|---|---|\n| 1 | 2 |\n\n```\n{'x' * 300}\n```\n\n{'y' * 300}"
    stage.fake.answer(wide)
    await tab.page.locator("#composer-text").fill("Something wide.")
    await tab.page.locator(".send").tap()
    await tab.finished()
    assert await tab.js(WIDER_THAN_THE_SCREEN) <= 0
    await tab.page.get_by_role("button", name="Chats", exact=True).tap()
    await tab.page.locator("#sidebar .session.current").wait_for()
    assert await tab.js(WIDER_THAN_THE_SCREEN) <= 0
