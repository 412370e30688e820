"""Messages as rows: plain functions for one transaction."""

from __future__ import annotations

from typing import Any

from quart_chat.entities import GenerationState, Message
from quart_chat.errors import NotFoundError
from quart_chat.persistence import sessions
from quart_chat.persistence.rows import dicts, first, message_columns, message_of
from quart_chat.persistence.tables import GenerationRow, MessageRow, SessionRow


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


def insert(message: Message) -> Message:
    MessageRow.insert(message_columns(message)).execute()
    return message


def page(session_id: str, user_id: str, before: int | None, limit: int) -> list[Message]:
    sessions.owned(session_id, user_id)
    query = MessageRow.select().where(MessageRow.session_id == session_id)
    if before is not None:
        query = query.where(MessageRow.number < before)
    newest_first = dicts(query.order_by(MessageRow.number.desc()).limit(limit))
    return [message_of(row) for row in newest_first][::-1]


def count_before(session_id: str, user_id: str, number: int) -> int:
    sessions.owned(session_id, user_id)
    earlier = MessageRow.select().where(MessageRow.session_id == session_id, MessageRow.number < number)
    return int(earlier.count())


def checkpoint(message_id: str, content: str, thinking: str) -> bool:
    running = GenerationRow.select(GenerationRow.message_id).where(
        GenerationRow.message_id == message_id, GenerationRow.state == GenerationState.RUNNING.value
    )
    changed: int = MessageRow.update(content=content, thinking=thinking).where(MessageRow.id.in_(running)).execute()
    return changed > 0
