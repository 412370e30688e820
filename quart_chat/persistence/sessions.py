"""Sessions as rows: plain functions for one transaction. Somebody else's session is as good as none."""

from __future__ import annotations

from typing import Any

from peewee import SQL, fn

from quart_chat.entities import ChatSession, now_ms
from quart_chat.errors import NotFoundError
from quart_chat.persistence import search, users
from quart_chat.persistence.rows import dicts, first, session_columns, session_of, to_json, tuples
from quart_chat.persistence.tables import GenerationRow, MessageRow, SessionRow

CHANGEABLE = frozenset({"title", "model", "system_prompt", "parameters", "think", "draft"})

_COUNT = MessageRow.select(fn.COUNT(MessageRow.row)).where(MessageRow.session_id == SessionRow.id)


def owned(session_id: str, user_id: str) -> dict[str, Any]:
    """The whole row, or NotFoundError."""
    query = SessionRow.select().where(SessionRow.id == session_id, SessionRow.user_id == user_id)
    row = first(query)
    if row is None:
        raise NotFoundError("This conversation does not exist (any more).")
    return row


def create(session: ChatSession) -> ChatSession:
    users.must_exist(session.user_id)
    SessionRow.insert(session_columns(session)).execute()
    return session


def get(session_id: str, user_id: str) -> ChatSession:
    return session_of(owned(session_id, user_id) | {"message_count": _count(session_id)})


def page(user_id: str, limit: int, offset: int, query: str | None) -> tuple[list[ChatSession], int]:
    wanted = SessionRow.user_id == user_id
    if query is not None:
        match = search.match_of(query)
        if not match:
            return [], 0
        wanted &= _found(match, user_id)
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
    return int(MessageRow.select().where(MessageRow.session_id == session_id).count())


def _has_no_messages() -> Any:
    return ~fn.EXISTS(MessageRow.select(SQL("1")).where(MessageRow.session_id == SessionRow.id))


def _found(match: str, user_id: str) -> Any:
    return SessionRow.row.in_(SQL(search.SESSIONS, (match, match, user_id, search.MOST)))
