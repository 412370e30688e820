"""Turns: a question, its answer and the generation that writes it, begun in one transaction."""

from __future__ import annotations

from typing import Any

import msgspec

from quart_chat.entities import (
    ChatSession,
    Generation,
    GenerationState,
    Message,
    MessageState,
    Role,
    Turn,
    new_id,
    now_ms,
)
from quart_chat.errors import ConflictError
from quart_chat.persistence import generations, messages, prepared, sessions
from quart_chat.persistence.prepared import Prepared
from quart_chat.persistence.rows import message_columns, message_of
from quart_chat.persistence.tables import MessageRow, SessionRow

_SENT = Prepared(
    lambda session_id, client_id: MessageRow.select().where(
        MessageRow.session_id == session_id, MessageRow.client_id == client_id
    )
)
_SENT_BY = Prepared(
    lambda user_id, client_id: (
        MessageRow.select(MessageRow.session_id)
        .join(SessionRow, on=(SessionRow.id == MessageRow.session_id))
        .where(MessageRow.client_id == client_id, SessionRow.user_id == user_id)
        .order_by(MessageRow.row.desc())
        .limit(1)
    )
)


def begin(
    session_id: str,
    user_id: str,
    *,
    content: str,
    client_id: str | None,
    model: str,
    person: str,
    author: str,
    title: str,
    starts: bool,
) -> Turn:
    session = sessions.owned(session_id, user_id)
    if client_id and (seen := _seen(session_id, client_id)):
        return seen
    generations.refuse_active(session_id)
    now = now_ms()
    question = messages.insert(
        Message(
            id=new_id(),
            session_id=session_id,
            number=session["next_number"],
            role=Role.USER,
            content=content,
            timestamp=now,
            client_id=client_id or None,
            author=author,
        )
    )
    answer = messages.insert(_empty_answer(question, question.number + 1, model, now))
    _touch(session_id, now, model=model, draft="", title=session["title"] or title, next_number=answer.number + 1)
    return _turn(question, answer, _queue(answer, user_id, person, now, starts=starts))


def seen(session_id: str, user_id: str, client_id: str) -> Turn | None:
    sessions.owned(session_id, user_id)
    return _seen(session_id, client_id)


def save_draft(session_id: str, user_id: str, draft: str, client_id: str | None) -> ChatSession:
    sessions.owned(session_id, user_id)
    if not (client_id and _SENT.first(session_id, client_id)):
        prepared.update(SessionRow, session_id, {"draft": draft})
    return sessions.get(session_id, user_id)


def session_of(user_id: str, client_id: str) -> str | None:
    found = _SENT_BY.first(user_id, client_id)
    return None if found is None else str(found["session_id"])


def retry(message_id: str, user_id: str, *, model: str, person: str, starts: bool) -> Turn:
    old, question = _last_answer(message_id, user_id)
    now = now_ms()
    if old.content or old.thinking:
        number = sessions.owned(old.session_id, user_id)["next_number"]
        answer = messages.insert(_empty_answer(question, number, model, now))
        _touch(old.session_id, now, next_number=number + 1)
    else:
        answer = _reopen(old, model)
        _touch(old.session_id, now)
    return _turn(question, answer, _queue(answer, user_id, person, now, starts=starts))


def resume(message_id: str, user_id: str, *, model: str, person: str, starts: bool) -> Turn:
    old, question = _last_answer(message_id, user_id)
    now = now_ms()
    answer = _reopen(old, model)
    _touch(old.session_id, now)
    return _turn(question, answer, _queue(answer, user_id, person, now, starts=starts, continues=True))


def _seen(session_id: str, client_id: str) -> Turn | None:
    row = _SENT.first(session_id, client_id)
    if row is None:
        return None
    question = message_of(row)
    answer = messages.find(MessageRow.parent_id == question.id)
    generation = generations.latest_of(answer.id) if answer else None
    if answer is None or generation is None:
        raise ConflictError("This message was sent before, and its answer is no longer there.")
    return _turn(question, answer, generation, created=False)


def _turn(question: Message, answer: Message, generation: Generation, *, created: bool = True) -> Turn:
    session = sessions.get(generation.session_id, generation.user_id)
    return Turn(session=session, question=question, answer=answer, generation=generation, created=created)


def _last_answer(message_id: str, user_id: str) -> tuple[Message, Message]:
    """The answer and its question, if nothing comes after it and nothing is being written."""
    answer = messages.owned(message_id, user_id)
    generations.refuse_active(answer.session_id)
    last = messages.find(MessageRow.session_id == answer.session_id)
    question = messages.find(MessageRow.id == answer.parent_id) if answer.parent_id else None
    if answer.role is not Role.ASSISTANT or last is None or last.id != answer.id or question is None:
        raise ConflictError("Only the last answer of a conversation can be written again.")
    return answer, question


def _empty_answer(question: Message, number: int, model: str, now: int) -> Message:
    return Message(
        id=new_id(),
        session_id=question.session_id,
        number=number,
        role=Role.ASSISTANT,
        content="",
        timestamp=now,
        state=MessageState.GENERATING,
        model=model,
        parent_id=question.id,
    )


def _reopen(old: Message, model: str) -> Message:
    answer = msgspec.structs.replace(
        old, state=MessageState.GENERATING, model=model, usage=None, statistics=None, problem=None
    )
    MessageRow.update(message_columns(answer)).where(MessageRow.id == answer.id).execute()
    return answer


def _queue(
    answer: Message, user_id: str, person: str, now: int, *, starts: bool, continues: bool = False
) -> Generation:
    return generations.insert(
        Generation(
            id=new_id(),
            session_id=answer.session_id,
            user_id=user_id,
            person=person,
            message_id=answer.id,
            model=answer.model,
            state=GenerationState.RUNNING if starts else GenerationState.QUEUED,
            continues=continues,
            created_at=now,
            started_at=now if starts else None,
        )
    )


def _touch(session_id: str, now: int, **columns: Any) -> None:
    prepared.update(SessionRow, session_id, {"updated_at": now, **columns})
