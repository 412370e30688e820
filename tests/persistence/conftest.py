"""A real database file for each test, and short words for what most tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quart_chat.entities import OWNER_ID, ChatSession, Turn, new_id
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager
from quart_chat.persistence.tables import UserRow

NewSession = Callable[..., Awaitable[ChatSession]]
Ask = Callable[..., Awaitable[Turn]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with Database(path) as database:
        yield database


@pytest.fixture
def storage(database: Database) -> StorageManager:
    return StorageManager(database)


@pytest.fixture
async def stranger(database: Database) -> str:
    """The id of a second user."""
    await database.write(lambda: UserRow.insert(id="stranger", name="S", created_at=1).execute())
    return "stranger"


@pytest.fixture
def new_session(storage: StorageManager) -> NewSession:
    async def new_session(**fields: Any) -> ChatSession:
        defaults = {"id": new_id(), "user_id": OWNER_ID, "created_at": 1, "updated_at": 1}
        return await storage.create_session(ChatSession(**(defaults | fields)))

    return new_session


@pytest.fixture
def ask(storage: StorageManager) -> Ask:
    async def ask(session: ChatSession, content: str = "Why?", client_id: str | None = None, **more: Any) -> Turn:
        return await storage.begin_turn(
            session.id, session.user_id, content=content, client_id=client_id, model="m", person="p", **more
        )

    return ask
