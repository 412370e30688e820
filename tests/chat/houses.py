"""The whole house without its door: services on a real database file in front of the fake Ollama."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from quart_chat.config import Settings
from quart_chat.entities import OWNER_ID, ChatSession, Message, Turn, new_id, now_ms
from quart_chat.live.board import Board
from quart_chat.live.document import Document
from quart_chat.live.session import SessionDocument
from quart_chat.live.viewer import Viewer
from quart_chat.providers.demo import DemoProvider
from quart_chat.services import Services, build_services
from tests.doubles.fake_ollama import FakeOllama

MODEL = "hello:latest"
WAIT_S = 5.0


class House:
    """Services that run, and short words for what most tests begin with."""

    def __init__(self, services: Services, fake: FakeOllama) -> None:
        self.services = services
        self.fake = fake
        self.chat = services.chat
        self.storage = services.storage
        self.queue = services.queue

    async def new_session(self, model: str = MODEL) -> ChatSession:
        """One of its own, although another may be empty."""
        now = now_ms()
        session = ChatSession(id=new_id(), user_id=OWNER_ID, model=model, created_at=now, updated_at=now)
        return await self.storage.create_session(session)

    async def ask(self, session: ChatSession, content: str = "Why?", person: str = "p", **more: Any) -> Turn:
        return await self.chat.send_message(session.id, OWNER_ID, content, person=person, **more)

    async def ended(self, turn: Turn, within_s: float = WAIT_S) -> Message:
        """The stored answer after its generation has ended."""
        await self.until(turn, lambda document: document.running is None, within_s)
        return await self.storage.get_message(turn.answer.id, OWNER_ID)

    async def until(self, turn: Turn, condition: Callable[[SessionDocument], bool], within_s: float = WAIT_S) -> None:
        """Until the live document of the turn's session fulfils `condition`."""
        async with self.services.hub.session(turn.question.session_id, OWNER_ID) as document:
            await wait_for(document, lambda: condition(document), within_s)

    async def until_board(self, condition: Callable[[Board], bool], within_s: float = WAIT_S) -> None:
        board = self.services.hub.board(OWNER_ID)
        await wait_for(board, lambda: condition(board), within_s)

    async def idle(self, within_s: float = WAIT_S) -> None:
        """Nothing waits and nothing runs."""
        await self.until_board(lambda _: not self.queue.running and not self.queue.waiting, within_s)

    def text(self, turn: Turn) -> str:
        """What the live document has of the answer."""
        document = self.services.hub.loaded(turn.question.session_id)
        assert document is not None
        return document.messages[turn.answer.id].text.text


async def wait_for(document: Document, condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Looks again at every change of `document`."""
    viewer = Viewer("a test", paced=False)
    viewer.follow(document, None)
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                viewer.wake.clear()
                await viewer.wake.wait()
    finally:
        viewer.leave()


async def eventually(condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """For what tells nobody when it changes: files, logs, the queues of threads."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def settings_for(data: Path, fake: FakeOllama, **more: Any) -> Settings:
    defaults: dict[str, Any] = {
        "data_dir": data,
        "ollama_base_url": fake.url,
        "ollama_default_model": MODEL,
        "ollama_retries": 0,
        "ollama_timeout_s": 5.0,
    }
    return Settings(**(defaults | more))


@asynccontextmanager
async def open_house(data: Path, fake: FakeOllama, **settings: Any) -> AsyncIterator[House]:
    services = build_services(settings_for(data, fake, **settings), demo=DemoProvider(words_per_s=0))
    try:
        await services.start()
        yield House(services, fake)
    finally:
        async with asyncio.timeout(10):
            await services.close()
