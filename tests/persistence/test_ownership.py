"""Somebody else's is as good as none: every method that takes a user, tried by a stranger."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from quart_chat.entities import OWNER_ID, GenerationState, Turn
from quart_chat.errors import NotFoundError
from quart_chat.persistence.storage import StorageManager
from tests.persistence.conftest import Ask, NewSession

Try = Callable[[StorageManager, Turn, str], Awaitable[Any]]

BY_ID: dict[str, Try] = {
    "get_session": lambda s, t, user: s.get_session(t.question.session_id, user),
    "update_session": lambda s, t, user: s.update_session(t.question.session_id, user, title="Mine"),
    "delete_session": lambda s, t, user: s.delete_session(t.question.session_id, user),
    "clear_session": lambda s, t, user: s.clear_session(t.question.session_id, user),
    "begin_turn": lambda s, t, user: s.begin_turn(
        t.question.session_id, user, content="a", client_id="c1", model="m", person="p"
    ),
    "find_turn": lambda s, t, user: s.find_turn(t.question.session_id, user, "c1"),
    "save_draft": lambda s, t, user: s.save_draft(t.question.session_id, user, "mine"),
    "begin_retry": lambda s, t, user: s.begin_retry(t.answer.id, user, model="m", person="p"),
    "begin_continue": lambda s, t, user: s.begin_continue(t.answer.id, user, model="m", person="p"),
    "get_message": lambda s, t, user: s.get_message(t.answer.id, user),
    "get_messages": lambda s, t, user: s.get_messages(t.question.session_id, user),
    "count_messages_before": lambda s, t, user: s.count_messages_before(t.question.session_id, user, 9),
    "get_generation": lambda s, t, user: s.get_generation(t.generation.id, user),
}
ABOUT_ONESELF: dict[str, tuple[Try, object]] = {
    "list_sessions": (lambda s, t, user: s.list_sessions(user), ([], 0)),
    "find_empty_sessions": (lambda s, t, user: s.find_empty_sessions(user), []),
    "find_session": (lambda s, t, user: s.find_session(user, "c1"), None),
    "search": (lambda s, t, user: s.search(user, "secret"), ([], 0)),
    "get_settings": (lambda s, t, user: s.get_settings(user), {}),
    "save_settings": (lambda s, t, user: s.save_settings(user, {"theme": "light"}), None),
}


@pytest.fixture
async def turn(storage: StorageManager, new_session: NewSession, ask: Ask) -> Turn:
    """The owner's: one complete turn, one empty session, one setting."""
    await new_session()
    await storage.save_settings(OWNER_ID, {"theme": "dark"})
    turn = await ask(await new_session(title="secret"), "secret", "c1")
    await storage.finish_generation(turn.generation.id, GenerationState.COMPLETE, content="secret")
    return turn


def test_no_method_that_takes_a_user_is_left_out() -> None:
    methods = inspect.getmembers(StorageManager, inspect.iscoroutinefunction)
    taking = {name for name, method in methods if "user_id" in inspect.signature(method).parameters}
    assert taking == BY_ID.keys() | ABOUT_ONESELF.keys()


@pytest.mark.parametrize("name", BY_ID)
async def test_by_id_a_stranger_finds_nothing_and_changes_nothing(
    storage: StorageManager, turn: Turn, stranger: str, name: str
) -> None:
    before = await everything(storage, turn)
    with pytest.raises(NotFoundError):
        await BY_ID[name](storage, turn, stranger)
    assert await everything(storage, turn) == before
    await BY_ID[name](storage, turn, OWNER_ID)


@pytest.mark.parametrize("name", ABOUT_ONESELF)
async def test_a_stranger_sees_only_what_is_theirs(
    storage: StorageManager, turn: Turn, stranger: str, name: str
) -> None:
    attempt, nothing = ABOUT_ONESELF[name]
    before = await everything(storage, turn)
    assert await attempt(storage, turn, stranger) == nothing
    assert await everything(storage, turn) == before
    assert await attempt(storage, turn, OWNER_ID) != nothing or name == "save_settings"


async def test_a_strangers_title_and_message_are_not_found_in_the_list(
    storage: StorageManager, turn: Turn, stranger: str
) -> None:
    assert await storage.list_sessions(stranger, query="secret") == ([], 0)
    assert (await storage.list_sessions(OWNER_ID, query="secret"))[1] == 1


async def everything(storage: StorageManager, turn: Turn) -> list[Any]:
    session_id = turn.question.session_id
    return [
        await storage.list_sessions(OWNER_ID),
        await storage.get_messages(session_id, OWNER_ID),
        await storage.get_generation(turn.generation.id, OWNER_ID),
        await storage.active_generations(),
        await storage.get_settings(OWNER_ID),
    ]
