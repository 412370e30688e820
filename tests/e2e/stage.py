"""What a browser test plays on: a fake engine, the product in front of it, people with tabs, a network that fails."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext

from tests.doubles.fake_ollama import FakeOllama
from tests.e2e.browser import Chromium, HideableTab, Tab, Watch
from tests.e2e.processes import PRODUCT, Server, started


class Network:
    """A TCP proxy on loopback that can be cut and mended."""

    def __init__(self) -> None:
        self.port = 0
        self.upstream = 0
        self.down = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, upstream: int) -> None:
        self.upstream = upstream
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Every connection breaks, and none can be made until `mend`."""
        self.down = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self.down = False

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.down:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._pipe(reader, back), self._pipe(there, writer))
        self._writers -= {writer, back}

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()


class Stage:
    """`async with`; leaving it fails if any page did what no page should do, or if the server complained."""

    def __init__(self, chromium: Chromium, directory: Path) -> None:
        self.fake = FakeOllama()
        self.network = Network()
        self.watch = Watch()
        self.server: Server
        self._chromium = chromium
        self._directory = directory
        self._stack = AsyncExitStack()
        self._run = AsyncExitStack()
        self._people = AsyncExitStack()
        self._settings = {"OLLAMA_POLL": "0.5", "LOG_LEVEL": "WARNING"}
        self._somebody: BrowserContext | None = None

    async def start(self, **variables: str) -> None:
        """The product; a second time on the same data, with the same port and settings."""
        self._settings |= {"OLLAMA_BASE_URL": self.fake.url, **variables}
        product = started(self._directory, PRODUCT, None, **self._settings)
        self.server = await self._run.enter_async_context(product)
        await self.server.line_with("Ollama")
        self.watch.allowed.add(f"127.0.0.1:{self.server.port}")
        self._settings["API_PORT"] = str(self.server.port)
        if not self.network.port:
            await self.network.start(self.server.port)
            self.watch.allowed.add(f"127.0.0.1:{self.network.port}")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Ends the product; what it wrote to stderr."""
        _, _, errors = await self.server.stop(number)
        await self._run.aclose()
        return errors

    async def person(self, **options: Any) -> BrowserContext:
        """A browser of their own: cookies, storage, and a name in the queue."""
        context = await self._chromium.browser.new_context(**options)
        self._people.push_async_callback(context.close)
        self.watch.over(context)
        return context

    async def tab(self, path: str = "/", *, person: BrowserContext | None = None, through: bool = False) -> Tab:
        """A tab that is live. `through`: over the network that can be cut."""
        tab = await self.loading(path, person=person, through=through)
        return await tab.live()

    async def loading(self, path: str = "/", *, person: BrowserContext | None = None, through: bool = False) -> Tab:
        """The same, as soon as the page is loaded."""
        page = await (person or await self.somebody()).new_page()
        port = self.network.port if through else self.server.port
        await page.goto(f"http://127.0.0.1:{port}{path}")
        return Tab(page)

    async def chat(self, *, person: BrowserContext | None = None, through: bool = False) -> Tab:
        """A live tab on a chat that nobody has used or looks at."""
        person = person or await self.somebody()
        answer = await person.request.post(f"{self.server.url}/chat")
        return await self.tab(urlsplit(answer.url).path, person=person, through=through)

    async def post(self, path: str, **form: Any) -> str:
        """A form that somebody sends without a page; the address where it leads."""
        answer = await (await self.somebody()).request.post(self.server.url + path, form=form)
        assert answer.ok, await answer.text()
        return urlsplit(answer.url).path

    async def ask(self, content: str) -> None:
        """A question in a chat of its own that nobody looks at."""
        await self.post(await self.post("/chat") + "/message", content=content)

    async def somebody(self) -> BrowserContext:
        """The person whose tabs a test opens without saying whose."""
        self._somebody = self._somebody or await self.person()
        return self._somebody

    @asynccontextmanager
    async def hideable(self, path: str) -> AsyncIterator[HideableTab]:
        async with HideableTab.on(self._chromium, self.server.url + path) as tab:
            yield tab

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.fake)
        self._stack.push_async_callback(self.network.stop)
        self._stack.push_async_callback(self._run.aclose)
        return self

    async def clear(self) -> None:
        """Everybody leaves; the product and the engine stay."""
        await self._people.aclose()
        self._somebody = None

    async def __aexit__(self, *failure: Any) -> None:
        if self.server.process.returncode is not None:
            self.watch.problems.append(f"the server ended with {self.server.process.returncode}")
        await self._people.aclose()
        await self._stack.__aexit__(*failure)
        if failure[0] is None:
            assert self.watch.problems == []
