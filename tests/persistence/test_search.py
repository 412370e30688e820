"""Full-text search: in step with every change, and deaf to operators."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quart_chat.entities import OWNER_ID, GenerationState
from quart_chat.persistence.connection import current
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager
from quart_chat.persistence.tables import MessageRow
from tests.persistence.conftest import Ask, NewSession


async def found(storage: StorageManager, query: str) -> list[str]:
    hits, total = await storage.search(OWNER_ID, query)
    assert total == len(hits)
    return [hit.message_id for hit in hits]


async def listed(storage: StorageManager, query: str) -> list[str]:
    sessions, total = await storage.list_sessions(OWNER_ID, query=query)
    assert total == len(sessions)
    return [session.id for session in sessions]


async def test_search_follows_insert_checkpoint_end_edit_and_delete(
    database: Database, storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session()
    turn = await ask(session, "Where grow lemons?")
    assert await found(storage, "lemons") == [turn.question.id]
    await storage.start_generation(turn.generation.id, 1)
    await storage.checkpoint(turn.answer.id, "In Sicily", "")
    assert await found(storage, "sicily") == [turn.answer.id]
    await storage.finish_generation(turn.generation.id, GenerationState.COMPLETE, content="In Spain")
    assert await found(storage, "sicily") == []
    assert await found(storage, "spain") == [turn.answer.id]
    edit = MessageRow.update(content="Where grow figs?").where(MessageRow.id == turn.question.id)
    await database.write(edit.execute)
    assert await found(storage, "lemons") == []
    assert await found(storage, "figs") == [turn.question.id]
    await storage.delete_session(session.id, OWNER_ID)
    assert await found(storage, "figs") == await found(storage, "spain") == []
    await database.write(check_index)


def check_index() -> None:
    """An index that differs from the rows makes SQLite raise."""
    for name in ("message_search", "session_search"):
        current.execute_sql(f"INSERT INTO {name} ({name}, rank) VALUES ('integrity-check', 1)")


async def test_clearing_forgets_the_messages_and_keeps_the_title(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session(title="Orchard")
    await ask(session, "lemons")
    await storage.clear_session(session.id, OWNER_ID)
    assert await found(storage, "lemons") == []
    assert await listed(storage, "orchard") == [session.id]


async def test_the_list_is_searched_by_title_and_by_message(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    by_title = await new_session(title="Lemon trees", updated_at=10)
    by_message = await new_session()
    await ask(by_message, "About lemon trees")
    await new_session(title="Figs")
    assert await listed(storage, "lemon") == [by_message.id, by_title.id]
    await storage.update_session(by_title.id, OWNER_ID, title="Olives")
    assert await listed(storage, "lemon") == [by_message.id]
    assert await listed(storage, "olives") == [by_title.id]


async def test_hits_are_newest_first_marked_and_paged(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    turns = [await ask(await new_session(title=f"T{n}"), f"a lemon {n} here") for n in range(5)]
    hits, total = await storage.search(OWNER_ID, "lemon", limit=2, offset=1)
    assert total == 5
    assert [hit.message_id for hit in hits] == [turns[3].question.id, turns[2].question.id]
    assert hits[0].snippet == "a \x02lemon\x03 3 here"
    assert (hits[0].title, hits[0].session_id) == ("T3", turns[3].question.session_id)
    assert hits[0].timestamp == turns[3].question.timestamp


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("Crème", True),
        ("creme brul", True),
        ('"brulee"', True),
        ("brulee NOT creme", False),
        ("creme OR nothing", False),
        ("content: brulee", False),
        ("brulee)", True),
        ("^creme", True),
        ("brulee -", True),
        ("rulee", False),
        ("plea", True),
        ("pl", False),
        ("creme please", True),
    ],
)
async def test_words_are_words_whatever_their_signs(
    storage: StorageManager, new_session: NewSession, ask: Ask, query: str, finds: bool
) -> None:
    turn = await ask(await new_session(), "crème brûlée, please")
    assert await found(storage, query) == ([turn.question.id] if finds else [])


@pytest.mark.parametrize("query", ["東", "東京", "東京タ"])
async def test_the_beginning_of_a_word_without_letters_of_ours_may_be_short(
    storage: StorageManager, new_session: NewSession, ask: Ask, query: str
) -> None:
    turn = await ask(await new_session(), "東京タワー")
    assert await found(storage, query) == [turn.question.id]


@pytest.mark.parametrize("query", ["", "  ", '"', "*", "()", "- + ^ :", "\0", "🙂", "\ud800"])
async def test_a_query_without_a_word_finds_nothing(
    storage: StorageManager, new_session: NewSession, ask: Ask, query: str
) -> None:
    await ask(await new_session(title="t"), 'a " * 🙂')
    assert await storage.search(OWNER_ID, query) == ([], 0)
    assert await storage.list_sessions(OWNER_ID, query=query) == ([], 0)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=60) | st.text(alphabet='"*^()-+:{}AND ORNEAR\0é', max_size=30))
async def test_no_query_is_an_error(storage: StorageManager, query: str) -> None:
    hits, total = await storage.search(OWNER_ID, query)
    assert (hits, total) == ([], 0)
