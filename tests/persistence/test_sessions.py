"""Sessions: order, counts, changes and what goes with them when they go."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID, GenerationState, Parameters, now_ms
from quart_chat.errors import NotFoundError
from quart_chat.persistence.storage import StorageManager
from tests.persistence.conftest import Ask, NewSession


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_a_session_comes_back_as_it_went_in(storage: StorageManager, new_session: NewSession) -> None:
    session = await new_session(
        title="T",
        model="m",
        system_prompt="Be brief.",
        parameters=Parameters(temperature=0.0, stop=("a", "b"), seed=0),
        think=False,
        draft="half a",
        created_at=5,
        updated_at=7,
    )
    assert await storage.get_session(session.id, OWNER_ID) == session


async def test_a_session_of_nobody_is_not_found(new_session: NewSession) -> None:
    with pytest.raises(NotFoundError):
        await new_session(user_id="nobody")


async def test_sessions_are_listed_last_spoken_in_first_and_stably(
    storage: StorageManager, new_session: NewSession
) -> None:
    old, twin_a, twin_b, new = [await new_session(updated_at=at) for at in (10, 20, 20, 30)]
    listed, total = await storage.list_sessions(OWNER_ID)
    assert [session.id for session in listed] == [new.id, twin_b.id, twin_a.id, old.id]
    assert total == 4
    page, total = await storage.list_sessions(OWNER_ID, limit=2, offset=1)
    assert [session.id for session in page] == [twin_b.id, twin_a.id]
    assert total == 4


async def test_a_message_moves_its_session_up_and_is_counted(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    first, second = await new_session(updated_at=10), await new_session(updated_at=20)
    await ask(first)
    listed, _ = await storage.list_sessions(OWNER_ID)
    assert [(session.id, session.message_count) for session in listed] == [(first.id, 2), (second.id, 0)]
    assert (await storage.get_session(first.id, OWNER_ID)).message_count == 2


async def test_changes_are_kept_and_move_nothing(storage: StorageManager, new_session: NewSession) -> None:
    session = await new_session(updated_at=10)
    changed = await storage.update_session(
        session.id, OWNER_ID, title="New", think=True, parameters=Parameters(seed=1), system_prompt="s"
    )
    assert changed == await storage.get_session(session.id, OWNER_ID)
    assert (changed.title, changed.think, changed.parameters.seed) == ("New", True, 1)
    assert changed.updated_at == 10


async def test_an_unknown_change_is_a_type_error(storage: StorageManager, new_session: NewSession) -> None:
    session = await new_session()
    with pytest.raises(TypeError):
        await storage.update_session(session.id, OWNER_ID, user_id="stranger")


async def test_a_deleted_session_takes_every_row_with_it(
    storage: StorageManager, new_session: NewSession, ask: Ask, path: Path
) -> None:
    session = await new_session()
    turn = await ask(session)
    await storage.delete_session(session.id, OWNER_ID)
    assert [count(path, table) for table in ("session", "message", "generation")] == [0, 0, 0]
    assert await storage.finish_generation(turn.generation.id, GenerationState.COMPLETE) is None
    with pytest.raises(NotFoundError):
        await storage.get_session(session.id, OWNER_ID)


async def test_a_cleared_session_never_uses_a_number_again(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session()
    await ask(session)
    assert await storage.clear_session(session.id, OWNER_ID) == 2
    assert await storage.get_messages(session.id, OWNER_ID) == []
    assert await storage.active_generations() == []
    assert (await ask(session)).question.number == 3


async def test_empty_sessions_are_found_and_the_old_ones_without_draft_deleted(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    old = await new_session(updated_at=1)
    with_draft = await new_session(updated_at=2, draft="half a")
    young = await new_session(updated_at=now_ms())
    await ask(await new_session())
    found = await storage.find_empty_sessions(OWNER_ID)
    assert [session.id for session in found] == [young.id, with_draft.id, old.id]
    assert await storage.delete_empty_sessions(3_600_000) == [old.id]
    found = await storage.find_empty_sessions(OWNER_ID)
    assert [session.id for session in found] == [young.id, with_draft.id]


async def test_settings_are_merged_and_none_takes_out(storage: StorageManager) -> None:
    await storage.save_settings(OWNER_ID, {"theme": "dark", "list": [1, {"a": None}]})
    await storage.save_settings(OWNER_ID, {"theme": None, "model": "m", "list": []})
    assert await storage.get_settings(OWNER_ID) == {"list": [], "model": "m"}
