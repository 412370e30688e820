"""Messages as rows: plain functions for one transaction."""

from __future__ import annotations

from typing import Any

from peewee import fn

from quart_chat.entities import GenerationState, Message
from quart_chat.errors import NotFoundError
from quart_chat.persistence import prepared, sessions
from quart_chat.persistence.prepared import Prepared
from quart_chat.persistence.rows import first, message_columns, message_of
from quart_chat.persistence.tables import GenerationRow, MessageRow, SessionRow

_NEWEST = Prepared(
    lambda session_id, before, limit: (
        MessageRow.select()
        .where(MessageRow.session_id == session_id, MessageRow.number < before)
        .order_by(MessageRow.number.desc())
        .limit(limit)
    )
)
_BY_ID = Prepared(lambda id: MessageRow.select().where(MessageRow.id == id))
_COUNT_BEFORE = Prepared(
    lambda session_id, before: MessageRow.select(fn.COUNT(MessageRow.row)).where(
        MessageRow.session_id == session_id, MessageRow.number < before
    )
)
_CHECKPOINT = Prepared(
    lambda id, content, thinking, running: MessageRow.update(content=content, thinking=thinking).where(
        MessageRow.id.in_(
            GenerationRow.select(GenerationRow.message_id).where(
                GenerationRow.message_id == id, GenerationRow.state == running
            )
        )
    )
)
_NO_LIMIT = 2**62


def owned(message_id: str, user_id: str) -> Message:
    """The message if its session is `user_id`'s, else NotFoundError."""
    mine = SessionRow.select(SessionRow.id).where(SessionRow.user_id == user_id)
    row = first(MessageRow.select().where(MessageRow.id == message_id, MessageRow.session_id.in_(mine)))
    if row is None:
        raise NotFoundError("This message does not exist (any more).")
    return message_of(row)


def find(*conditions: Any) -> Message | None:
    """The last message by number for which all `conditions` hold."""
    row = first(MessageRow.select().where(*conditions).order_by(MessageRow.number.desc()))
    return None if row is None else message_of(row)


def by_id(message_id: str) -> Message | None:
    row = _BY_ID.first(message_id)
    return None if row is None else message_of(row)


def insert(message: Message) -> Message:
    prepared.insert(MessageRow, message_columns(message))
    return message


def page(session_id: str, user_id: str, before: int | None, limit: int) -> list[Message]:
    sessions.owned(session_id, user_id)
    newest_first = _NEWEST.dicts(session_id, _NO_LIMIT if before is None else before, limit)
    return [message_of(row) for row in newest_first][::-1]


def count_before(session_id: str, user_id: str, number: int) -> int:
    sessions.owned(session_id, user_id)
    return _COUNT_BEFORE.number(session_id, number)


def checkpoint(message_id: str, content: str, thinking: str) -> bool:
    return _CHECKPOINT.change(message_id, content, thinking, GenerationState.RUNNING.value) > 0
