"""Sessions as rows: plain functions for one transaction. Somebody else's session is as good as none."""

from __future__ import annotations

from typing import Any

from peewee import SQL, fn

from quart_chat.entities import ChatSession, now_ms
from quart_chat.errors import NotFoundError
from quart_chat.persistence import prepared, search, users
from quart_chat.persistence.prepared import Prepared
from quart_chat.persistence.rows import dicts, session_columns, session_of, to_json, tuples
from quart_chat.persistence.tables import GenerationRow, MessageRow, SessionRow

CHANGEABLE = frozenset({"title", "model", "system_prompt", "parameters", "think"})

_COUNT = MessageRow.select(fn.COUNT(MessageRow.row)).where(MessageRow.session_id == SessionRow.id)
_OWNED = Prepared(lambda id, user_id: SessionRow.select().where(SessionRow.id == id, SessionRow.user_id == user_id))
_MESSAGES = Prepared(
    lambda session_id: MessageRow.select(fn.COUNT(MessageRow.row)).where(MessageRow.session_id == session_id)
)
_NEWEST = Prepared(
    lambda user_id, limit, offset: (
        SessionRow.select(SessionRow, _COUNT.alias("message_count"))
        .where(SessionRow.user_id == user_id)
        .order_by(SessionRow.updated_at.desc(), SessionRow.row.desc())
        .limit(limit)
        .offset(offset)
    )
)
_ALL = Prepared(lambda user_id: SessionRow.select(fn.COUNT(SessionRow.row)).where(SessionRow.user_id == user_id))


def owned(session_id: str, user_id: str) -> dict[str, Any]:
    """The whole row, or NotFoundError."""
    row = _OWNED.first(session_id, user_id)
    if row is None:
        raise NotFoundError("This conversation does not exist (any more).")
    return row


def create(session: ChatSession) -> ChatSession:
    users.must_exist(session.user_id)
    prepared.insert(SessionRow, session_columns(session))
    return session


def get(session_id: str, user_id: str) -> ChatSession:
    return session_of(owned(session_id, user_id) | {"message_count": _count(session_id)})


def page(user_id: str, limit: int, offset: int, query: str | None) -> tuple[list[ChatSession], int]:
    if query is None:
        return [session_of(row) for row in _NEWEST.dicts(user_id, limit, offset)], _ALL.number(user_id)
    match = search.match_of(query)
    if not match:
        return [], 0
    wanted = (SessionRow.user_id == user_id) & _found(match, user_id)
    total = SessionRow.select().where(wanted).count()
    rows = (
        SessionRow.select(SessionRow, _COUNT.alias("message_count"))
        .where(wanted)
        .order_by(SessionRow.updated_at.desc(), SessionRow.row.desc())
        .limit(limit)
        .offset(offset)
    )
    return [session_of(row) for row in dicts(rows)], total


def update(session_id: str, user_id: str, changes: dict[str, Any]) -> ChatSession:
    if unknown := changes.keys() - CHANGEABLE:
        raise TypeError(f"a session has no {', '.join(sorted(unknown))} to change")
    owned(session_id, user_id)
    columns = dict(changes)
    if "parameters" in columns:
        columns["parameters"] = to_json(columns["parameters"])
    if columns:
        SessionRow.update(columns).where(SessionRow.id == session_id).execute()
    return get(session_id, user_id)


def delete(session_id: str, user_id: str) -> None:
    owned(session_id, user_id)
    SessionRow.delete().where(SessionRow.id == session_id).execute()


def clear(session_id: str, user_id: str) -> int:
    owned(session_id, user_id)
    GenerationRow.delete().where(GenerationRow.session_id == session_id).execute()
    deleted: int = MessageRow.delete().where(MessageRow.session_id == session_id).execute()
    return deleted


def empty(user_id: str) -> list[ChatSession]:
    rows = (
        SessionRow.select()
        .where(SessionRow.user_id == user_id, _has_no_messages())
        .order_by(SessionRow.updated_at.desc(), SessionRow.row.desc())
    )
    return [session_of(row) for row in dicts(rows)]


def delete_empty(older_than_ms: int) -> list[str]:
    wanted = (SessionRow.updated_at < now_ms() - older_than_ms) & (SessionRow.draft == "") & _has_no_messages()
    ids = [id for (id,) in tuples(SessionRow.select(SessionRow.id).where(wanted).order_by(SessionRow.row))]
    SessionRow.delete().where(wanted).execute()
    return ids


def _count(session_id: str) -> int:
    return _MESSAGES.number(session_id)


def _has_no_messages() -> Any:
    return ~fn.EXISTS(MessageRow.select(SQL("1")).where(MessageRow.session_id == SessionRow.id))


def _found(match: str, user_id: str) -> Any:
    return SessionRow.row.in_(SQL(search.SESSIONS, (match, match, user_id, search.MOST)))
