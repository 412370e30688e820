"""Turns: one send is one turn, one answer at a time, retry and continue of the last one."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID, GenerationState, Message, MessageState, Problem, Role, Turn
from quart_chat.errors import ConflictError, NotFoundError
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager
from tests.persistence.conftest import Ask, NewSession


async def finish(storage: StorageManager, turn: Turn, state: GenerationState, content: str | None = None) -> Message:
    problem = Problem(code="X", text="Oh.") if state is GenerationState.FAILED else None
    message = await storage.finish_generation(turn.generation.id, state, content=content, problem=problem)
    assert message is not None
    return message


async def test_a_turn_is_question_answer_and_queued_generation(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session(draft="Why")
    turn = await ask(session, "Why?", "c1", author="Ann", title="On why")
    question, answer = await storage.get_messages(session.id, OWNER_ID)
    assert (question, answer) == (turn.question, turn.answer)
    assert await storage.get_generation(turn.generation.id, OWNER_ID) == turn.generation
    assert (question.role, question.state, question.author) == (Role.USER, MessageState.COMPLETE, "Ann")
    assert (answer.role, answer.state, answer.content) == (Role.ASSISTANT, MessageState.GENERATING, "")
    assert (answer.parent_id, answer.model, answer.number) == (question.id, "m", question.number + 1)
    assert turn.generation.state is GenerationState.QUEUED
    assert turn.generation.message_id == answer.id
    after = await storage.get_session(session.id, OWNER_ID)
    assert (after.title, after.draft, after.model) == ("On why", "", "m")
    assert after.updated_at == question.timestamp


async def test_a_title_that_is_there_stays(storage: StorageManager, new_session: NewSession, ask: Ask) -> None:
    session = await new_session(title="Mine")
    await ask(session, title="Yours")
    assert (await storage.get_session(session.id, OWNER_ID)).title == "Mine"


async def test_the_same_send_again_is_the_same_turn(storage: StorageManager, new_session: NewSession, ask: Ask) -> None:
    session = await new_session()
    first = await ask(session, "Why?", "c1")
    await finish(storage, first, GenerationState.COMPLETE, "Because.")
    again = await ask(session, "Why?", "c1")
    assert not again.created
    assert again.question == first.question
    assert (again.answer.id, again.answer.content) == (first.answer.id, "Because.")
    assert again.generation.id == first.generation.id
    assert len(await storage.get_messages(session.id, OWNER_ID)) == 2


async def test_the_same_client_id_elsewhere_is_another_turn(new_session: NewSession, ask: Ask) -> None:
    turns = [await ask(await new_session(), "Why?", "c1") for _ in range(2)]
    assert all(turn.created for turn in turns)


async def test_fifty_sends_of_one_client_id_from_two_managers_make_one_turn(
    database: Database, path: Path, new_session: NewSession
) -> None:
    session = await new_session()
    async with Database(path) as second:
        managers = [StorageManager(database), StorageManager(second)]
        turns = await asyncio.gather(
            *(
                managers[number % 2].begin_turn(
                    session.id, OWNER_ID, content="Why?", client_id="c1", model="m", person="p"
                )
                for number in range(50)
            )
        )
    assert sum(turn.created for turn in turns) == 1
    assert len({turn.generation.id for turn in turns}) == 1


async def test_only_one_answer_at_a_time_is_written_in_a_session(
    storage: StorageManager, new_session: NewSession, ask: Ask, path: Path
) -> None:
    session = await new_session()
    turns = await asyncio.gather(*(ask(session, "Why?", f"c{n}") for n in range(20)), return_exceptions=True)
    assert sum(isinstance(turn, Turn) for turn in turns) == 1
    assert sum(isinstance(turn, ConflictError) for turn in turns) == 19
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM message").fetchone() == (2,)
    (active,) = await storage.active_generations()
    await storage.start_generation(active.id, 1)
    with pytest.raises(ConflictError):
        await ask(session)


async def test_retry_of_an_answer_without_text_uses_its_row(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session()
    turn = await ask(session)
    await finish(storage, turn, GenerationState.FAILED)
    again = await storage.begin_retry(turn.answer.id, OWNER_ID, model="other", person="p")
    assert again.answer.id == turn.answer.id
    assert (again.answer.state, again.answer.problem) == (MessageState.GENERATING, None)
    assert again.generation.id != turn.generation.id
    assert not again.generation.continues
    assert await storage.get_messages(session.id, OWNER_ID) == [again.question, again.answer]
    assert again.answer.model == again.generation.model == "other"


async def test_retry_of_an_answer_with_text_adds_one_to_the_same_question(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session()
    turn = await ask(session)
    old = await finish(storage, turn, GenerationState.COMPLETE, "Because.")
    again = await storage.begin_retry(old.id, OWNER_ID, model="m", person="p")
    assert await storage.get_messages(session.id, OWNER_ID) == [turn.question, old, again.answer]
    assert again.answer.parent_id == turn.question.id
    await finish(storage, again, GenerationState.STOPPED)
    assert (await ask(session)).question.number == 4


async def test_continue_keeps_the_row_and_its_text(storage: StorageManager, new_session: NewSession, ask: Ask) -> None:
    session = await new_session()
    turn = await ask(session)
    await finish(storage, turn, GenerationState.STOPPED, "Because")
    more = await storage.begin_continue(turn.answer.id, OWNER_ID, model="m", person="p")
    assert (more.answer.id, more.answer.content) == (turn.answer.id, "Because")
    assert more.answer.state is MessageState.GENERATING
    assert more.generation.continues
    assert (await storage.get_generation(more.generation.id, OWNER_ID)).continues
    assert await storage.get_message(turn.answer.id, OWNER_ID) == more.answer


@pytest.mark.parametrize("again", ["begin_retry", "begin_continue"])
async def test_only_the_last_answer_can_be_written_again_and_not_while_one_is(
    storage: StorageManager, new_session: NewSession, ask: Ask, again: str
) -> None:
    session = await new_session()
    begin = getattr(storage, again)
    first = await ask(session)
    with pytest.raises(ConflictError):
        await begin(first.answer.id, OWNER_ID, model="m", person="p")
    await finish(storage, first, GenerationState.COMPLETE, "a")
    with pytest.raises(ConflictError):
        await begin(first.question.id, OWNER_ID, model="m", person="p")
    second = await ask(session)
    await finish(storage, second, GenerationState.COMPLETE, "b")
    with pytest.raises(ConflictError):
        await begin(first.answer.id, OWNER_ID, model="m", person="p")
    assert len(await storage.get_messages(session.id, OWNER_ID)) == 4
    assert await storage.active_generations() == []


async def test_messages_are_paged_from_the_end_oldest_first(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    session = await new_session()
    for number in range(5):
        await finish(storage, await ask(session, str(number)), GenerationState.COMPLETE, "a")
    last = await storage.get_messages(session.id, OWNER_ID, limit=4)
    assert [message.number for message in last] == [7, 8, 9, 10]
    assert await storage.count_messages_before(session.id, OWNER_ID, 7) == 6
    earlier = await storage.get_messages(session.id, OWNER_ID, before=7, limit=4)
    assert [message.number for message in earlier] == [3, 4, 5, 6]
    assert await storage.get_messages(session.id, OWNER_ID, before=1) == []
    assert await storage.count_messages_before(session.id, OWNER_ID, 1) == 0


async def test_a_turn_in_no_session_is_not_found_and_stores_nothing(storage: StorageManager, path: Path) -> None:
    with pytest.raises(NotFoundError):
        await storage.begin_turn("none", OWNER_ID, content="a", client_id="c", model="m", person="p")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM message").fetchone() == (0,)
