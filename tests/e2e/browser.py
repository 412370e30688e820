"""A real Chromium, and tabs in it that note whatever a page should never do."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Page, Request, async_playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout
from websockets.asyncio.client import ClientConnection, connect

T = TypeVar("T")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
POLL_S = 0.03
WAIT_S = 8.0
LOG = "document.getElementById('log').innerHTML"
FINISHED = """document.querySelectorAll('.msg.assistant').length === %d
  && !document.querySelector('#log .running, .send.stop, .tail:not(:empty), time:not([data-local])')
  && document.getElementById('log').innerHTML"""
SHOWN = "document.body.innerText"
OPEN = "document.getElementById('live')?._htmx?.ws?.connection?.socket?.readyState === WebSocket.OPEN"


async def until(read: Callable[[], Awaitable[T]], within_s: float = WAIT_S) -> T:
    """The first true value of `read`. Fails with the last value when there was none in time."""
    last: T | None = None
    try:
        async with asyncio.timeout(within_s):
            last = await read()
            while not last:
                await asyncio.sleep(POLL_S)
                last = await read()
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s; the last value was {last!r}") from None
    return last


@dataclass
class Chromium:
    browser: Browser
    port: int
    """Where it can be spoken to past playwright, which keeps every page of its own visible."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """One for many tests. Skips loudly where there is none, fails there with QUART_CHAT_REQUIRE_BROWSER=1."""
    named = os.environ.get("QUART_CHAT_CHROMIUM") or shutil.which("chromium", path="/usr/bin")
    port = free_port()
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(
                executable_path=named or None, args=[*ARGS, f"--remote-debugging-port={port}"]
            )
        except Error as error:
            reason = f"no Chromium starts ({error.message.splitlines()[0]}): what a person sees is NOT tested"
            if os.environ.get("QUART_CHAT_REQUIRE_BROWSER") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        yield Chromium(browser, port)
        await browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Watch:
    """What pages did that they never should: other hosts, violations of the policy, uncaught errors."""

    allowed: set[str] = field(default_factory=set)
    """host:port pairs that may be asked."""
    problems: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.on("request", self._request)
        context.on("console", lambda message: self._console(message.text))
        context.on("weberror", lambda error: self.problems.append(f"uncaught: {error.error}"))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._address(socket.url)))

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        if urlsplit(url).netloc not in self.allowed:
            self.problems.append(f"asked {url}")

    def _console(self, text: str) -> None:
        if "Content Security Policy" in text or "Trusted" in text:
            self.problems.append(f"violation: {text}")


class Tab:
    """One tab, with the words a test uses about it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    async def js(self, expression: str) -> Any:
        return await self.page.evaluate(expression)

    async def live(self, within_s: float = WAIT_S) -> Self:
        """Returns when the socket is open."""
        await until(lambda: self.js(OPEN), within_s)
        return self

    async def log(self) -> str:
        """The conversation exactly as the DOM has it."""
        return str(await self.js(LOG))

    async def send(self, text: str) -> None:
        await self.page.locator("#composer-text").fill(text)
        await self.page.keyboard.press("Enter")

    async def shows(self, text: str | re.Pattern[str], within_s: float = WAIT_S) -> None:
        """Returns when `text` can be seen."""
        await self.has("body", text, within_s)

    async def has(self, selector: str, text: str | re.Pattern[str], within_s: float = WAIT_S) -> None:
        """Returns when an element with this text can be seen."""
        found = self.page.locator(selector, has_text=text).filter(visible=True)
        try:
            await found.first.wait_for(timeout=within_s * 1000)
        except PlaywrightTimeout:
            raise AssertionError(
                f"not {text!r} in {selector} within {within_s} s, but: {await self.js(SHOWN)}"
            ) from None

    async def finished(self, answers: int = 1, within_s: float = WAIT_S) -> str:
        """The log, as soon as it has so many answers and none of them is under way."""
        try:
            return await until(lambda: self._log_if_finished(answers), within_s)
        except AssertionError:
            raise AssertionError(f"not {answers} finished within {within_s} s, but: {await self.js(SHOWN)}") from None

    async def _log_if_finished(self, answers: int) -> str:
        return str(await self.js(FINISHED % answers) or "")


class HideableTab(Tab):
    """A tab in a window that has others, so that it can really be hidden; spoken to past playwright."""

    def __init__(self, chromium: Chromium, about: dict[str, Any], socket: ClientConnection) -> None:
        self._chromium = chromium
        self._about = about
        self._socket = socket
        self._calls = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def on(cls, chromium: Chromium, url: str) -> AsyncIterator[Self]:
        about = json.loads(await asyncio.to_thread(_devtools, chromium, f"new?{url}", "PUT"))
        async with connect(about["webSocketDebuggerUrl"], max_size=None) as socket:
            tab = cls(chromium, about, socket)
            try:
                yield tab
            finally:
                await asyncio.to_thread(_devtools, chromium, f"close/{about['id']}")

    async def show(self) -> None:
        """In front, which hides the others of its window."""
        await asyncio.to_thread(_devtools, self._chromium, f"activate/{self._about['id']}")

    async def js(self, expression: str) -> Any:
        number = next(self._calls)
        call = {"expression": expression, "returnByValue": True}
        await self._socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": call}))
        while (answer := json.loads(await self._socket.recv())).get("id") != number:
            pass
        if "error" in answer:
            return None  # the page is just being replaced by another
        assert "exceptionDetails" not in answer["result"], answer
        return answer["result"]["result"].get("value")


def _devtools(chromium: Chromium, path: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{chromium.port}/json/{path}", method=method)
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
