"""The whole product on a real port inside the test's loop, with an HTTP client and sockets that are not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from quart import Quart

from quart_chat.app import create_app
from quart_chat.claims import open_listener
from quart_chat.server import _serve_until
from tests.chat.houses import House, open_house
from tests.doubles.fake_ollama import FakeOllama

Json = dict[str, Any]
PERSON = "a" * 16


class Socket:
    """A program or a page on `/ws`; frames as decoded JSON."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Json] = []

    async def receive(self) -> Json:
        async with asyncio.timeout(5):
            frame: Json = json.loads(await self.connection.recv())
        self.frames.append(frame)
        return frame

    async def until(self, wanted: Callable[[Json], bool]) -> Json:
        while not wanted(frame := await self.receive()):
            pass
        return frame

    async def event(self, name: str) -> Json:
        """The payload of the next frame with that event."""
        payload: Json = (await self.until(lambda frame: frame["payload"].get("event") == name))["payload"]
        return payload

    async def say(self, type_: str, **payload: Any) -> None:
        await self.connection.send(json.dumps({"type": type_, "payload": payload}))

    async def closed(self) -> int | None:
        """The code with which the server closes; whatever comes before it is read and dropped."""
        with suppress(websockets.ConnectionClosed):
            async with asyncio.timeout(5):
                while True:
                    await self.connection.recv()
        return self.connection.close_code


class Site(House):
    """A house with its door: `http` asks as one person, programs and pages open sockets."""

    def __init__(self, house: House, app: Quart, port: int, http: httpx.AsyncClient) -> None:
        super().__init__(house.services, house.fake)
        self.app = app
        self.port = port
        self.http = http

    @asynccontextmanager
    async def socket(self, query: str = "", **options: Any) -> AsyncIterator[Socket]:
        url = f"ws://127.0.0.1:{self.port}{self.services.settings.base_path}/ws{query}"
        async with websockets.connect(url, compression=None, **options) as connection:
            yield Socket(connection)

    async def rows(self) -> int:
        """How many sessions and messages there are."""

        def count() -> int:
            from quart_chat.persistence.tables import MessageRow, SessionRow

            return int(MessageRow.select().count()) + int(SessionRow.select().count())

        return await self.services._database.read(count)


@asynccontextmanager
async def open_site(data: Path, fake: FakeOllama, **settings: Any) -> AsyncIterator[Site]:
    async with open_house(data, fake, **settings) as house:
        app = create_app(house.services)
        listener = open_listener("127.0.0.1", 0)
        port = listener.getsockname()[1]
        stop = asyncio.Event()
        serving = asyncio.create_task(_serve_until(stop, app, house.services, listener))
        base = f"http://127.0.0.1:{port}{house.services.settings.base_path}"
        try:
            async with httpx.AsyncClient(base_url=base, cookies={"qc_person": PERSON}, verify=False) as http:
                await house.services.library.first_look.wait()
                yield Site(house, app, port, http)
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await serving


@pytest.fixture
async def site(tmp_path: Path, fake_ollama: FakeOllama) -> AsyncIterator[Site]:
    async with open_site(tmp_path, fake_ollama) as site:
        yield site
