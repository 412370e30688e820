"""Without JavaScript every page and form still works, and nothing that was written is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page

from tests.doubles.script import Script
from tests.e2e.browser import until
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def page(stage: Stage) -> AsyncIterator[Page]:
    tab = await stage.loading(person=await stage.person(java_script_enabled=False))
    yield tab.page


async def submit(page: Page, button: Locator) -> None:
    async with page.expect_navigation():
        await button.click()


async def send(page: Page, text: str) -> None:
    await page.locator("#composer-text").fill(text)
    await submit(page, page.get_by_role("button", name="Send"))


async def reloaded_until(page: Page, selector: str) -> None:
    """As a person would: reload until it is there."""

    async def there() -> int:
        await page.reload()
        return await page.locator(selector).count()

    await until(there)


async def test_one_can_ask_read_the_answer_after_a_reload_and_have_another(stage: Stage, page: Page) -> None:
    await submit(page, page.get_by_role("button", name="New chat"))
    await send(page, "Who are you?")
    await reloaded_until(page, ".msg.assistant .meta.complete")
    assert "I say this to everybody" in await page.locator(".msg.assistant .body").inner_text()
    stage.fake.answer("Something else.")
    await submit(page, page.get_by_role("button", name="Answer again").last)
    await reloaded_until(page, "text=Something else.")


async def test_one_can_stop_an_answer(stage: Stage, page: Page) -> None:
    script = stage.fake.answer(Script(count=50, hold_at=10))
    await send(page, "Count.")
    await script.held.wait()
    await reloaded_until(page, "text=word9")
    await submit(page, page.get_by_role("button", name="Stop", exact=True))
    await page.locator(".meta.stopped", has_text="Stopped.").wait_for()
    assert "word9" in await page.locator(".msg.assistant").inner_text()


async def test_one_can_rename_choose_a_model_and_delete(stage: Stage, page: Page) -> None:
    await page.locator(".rename > summary").click()
    await page.locator("#header-title").fill("Heat pumps")
    await submit(page, page.locator(".rename-form").get_by_role("button", name="Rename"))
    assert await page.locator("h1").inner_text() == "Heat pumps"
    await page.locator(".picker-summary").click()
    await submit(page, page.locator("button.model", has_text="think"))
    assert await page.locator(".picker-name").inner_text() == "think"
    current = page.locator(".session.current")
    await current.locator(".session-menu > summary").click()
    await current.locator(".confirm > summary").click()
    await current.get_by_role("button", name="Delete", exact=True).click()
    await page.locator("h1", has_text="New chat").wait_for()
    assert await page.locator(".session-title", has_text="Heat pumps").count() == 0


async def test_what_could_not_be_sent_comes_back_with_the_reason(stage: Stage, page: Page) -> None:
    script = stage.fake.answer(Script(hold_at=2))
    await send(page, "First.")
    await script.held.wait()
    await page.locator("#composer-text").fill("Second, too early.")
    await page.locator("#composer-text").evaluate("text => text.form.submit()")
    await page.locator("#toasts .toast").wait_for()
    assert await page.locator("#composer-text").input_value() == "Second, too early."
    assert len(await page.locator("#toasts .toast p").inner_text()) > 10
    script.resume.set()
