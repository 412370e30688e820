"""The pages of the models in a test's words: by roles and names, as somebody meets them who does not see the page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, Literal

from playwright.async_api import BrowserContext, Locator, WebSocket
from playwright.async_api import TimeoutError as PlaywrightTimeout

from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.wire import Reply, Request
from tests.e2e.browser import WAIT_S, Tab, until
from tests.e2e.stage import Stage

GB = 1_000_000_000
NO_MEMORY = "model requires more system memory (9.0 GiB) than is available (4.2 GiB)"
"""What Ollama says then, with status 500."""


async def strict(stage: Stage, **options: Any) -> BrowserContext:
    """Somebody whose pages may not log an error either, nor say hello a second time on one socket: a page does that
    when it has lost its place or is not what it thought."""
    person = await stage.person(**options)
    problems = stage.watch.problems
    person.on("console", lambda said: said.type == "error" and problems.append(f"console: {said.text}"))
    person.on("page", lambda page: page.on("websocket", lambda socket: _count_hellos(socket, problems)))
    return person


def _count_hellos(socket: WebSocket, problems: list[str]) -> None:
    hellos = itertools.count(1)

    def sent(payload: str | bytes) -> None:
        if '"hello"' in str(payload) and next(hellos) > 1:
            problems.append(f"said hello again: {payload!r}")

    socket.on("framesent", sent)


async def dashboard(stage: Stage, person: BrowserContext | None = None) -> Tab:
    return await stage.tab("/dashboard", person=person)


def region(tab: Tab, name: str) -> Locator:
    """A panel whose name begins so."""
    return tab.page.get_by_role("region", name=re.compile(f"^{name}"))


def row(tab: Tab, model: str) -> Locator:
    """Of the table of installed models."""
    link = tab.page.get_by_role("link", name=model, exact=True)
    return region(tab, "Installed").get_by_role("row").filter(has=link)


def download_of(tab: Tab, model: str) -> Locator:
    return region(tab, "Downloads").get_by_role("listitem").filter(has_text=model)


async def get_by_name(tab: Tab, model: str) -> None:
    await tab.page.get_by_role("textbox", name="Name of a model").fill(model)
    await tab.page.get_by_role("button", name="Download", exact=True).click()


async def get_from_catalogue(tab: Tab, model: str) -> None:
    """Unfolds its group where that is folded: which are open depends on the machine."""
    group = tab.page.get_by_role("group").filter(has_text=f"{model} ")
    button = tab.page.get_by_role("button", name=f"Download {model}", exact=True)
    if not await button.is_visible():
        await group.locator("summary").click()
    await button.click()


async def percent(tab: Tab, model: str) -> float | None:
    """What its bar shows; None where there is none, or one without a value."""
    bars = tab.page.get_by_role("progressbar", name=re.compile(f"of {re.escape(model)}$"))
    for bar in await bars.all():
        value: str | None = await bar.get_attribute("value")
        return None if value is None else float(value)
    return None


async def stands_at(tab: Tab, model: str, wanted: float, within_s: float = WAIT_S) -> None:
    async def there() -> bool:
        shown = await percent(tab, model)
        return shown is not None and abs(shown - wanted) < 0.2

    await until(there, within_s)


async def seen(found: Locator, within_s: float = WAIT_S) -> None:
    await _wait_for(found, "visible", within_s)


async def gone(found: Locator, within_s: float = WAIT_S) -> None:
    await _wait_for(found, "hidden", within_s)


async def _wait_for(found: Locator, state: Literal["visible", "hidden"], within_s: float) -> None:
    try:
        await found.first.wait_for(state=state, timeout=within_s * 1000)
    except PlaywrightTimeout:
        shown = await found.page.locator("body").inner_text()
        raise AssertionError(f"not {state} within {within_s} s: {found}, but: {shown}") from None


async def choose(chat: Tab, model: str) -> None:
    """In the menu of models of a chat."""
    await chat.page.get_by_title("Choose a model").click()
    await chat.page.get_by_role("button", name=re.compile(f"^{re.escape(model)}\\b")).click()
    await seen(chat.page.get_by_title("Choose a model").filter(has_text=model))


def pulls_left(fake: FakeOllama) -> int:
    """Downloads whose connection was closed before they were complete."""
    return sum(request.path == "/api/pull" for request in fake.aborted)


def refuse_loads(fake: FakeOllama, text: str = NO_MEMORY) -> Callable[[], None]:
    """No model can be loaded any more until what is returned is called."""
    handler = fake.handler

    async def refuse(request: Request, reply: Reply) -> None:
        body = request.body
        if request.path == "/api/chat" and not body.get("messages") and body.get("keep_alive") != 0:
            reply.json({"error": text}, 500)
        else:
            await handler(request, reply)

    def heal() -> None:
        fake.handler = handler

    fake.handler = refuse
    return heal
