"""Generations as rows: guarded steps from queued to an end, and what a restart makes of unfinished ones."""

from __future__ import annotations

from typing import Any

from quart_chat.entities import (
    Generation,
    GenerationState,
    Message,
    MessageState,
    Problem,
    Statistics,
    Usage,
    now_ms,
)
from quart_chat.errors import ConflictError, NotFoundError
from quart_chat.persistence import messages
from quart_chat.persistence.rows import (
    ACTIVE,
    dicts,
    generation_columns,
    generation_of,
    statistics_columns,
    to_json,
)
from quart_chat.persistence.tables import GenerationRow, MessageRow, SessionRow

INTERRUPTED = Problem(code="INTERRUPTED", text="The server stopped while this was being written.")


def insert(generation: Generation) -> Generation:
    GenerationRow.insert(generation_columns(generation)).execute()
    return generation


def owned(generation_id: str, user_id: str) -> Generation:
    found = _find(GenerationRow.id == generation_id, GenerationRow.user_id == user_id)
    if not found:
        raise NotFoundError("This answer does not exist (any more).")
    return found[0]


def latest_of(message_id: str) -> Generation | None:
    found = _find(GenerationRow.message_id == message_id)
    return found[-1] if found else None


def active() -> list[Generation]:
    """Queued and running ones, oldest first."""
    return _find(GenerationRow.state.in_(ACTIVE))


def refuse_active(session_id: str) -> None:
    if _find(GenerationRow.session_id == session_id, GenerationRow.state.in_(ACTIVE)):
        raise ConflictError("An answer is still being written in this conversation.")


def start(generation_id: str, started_at: int, digest: str) -> bool:
    columns = {"state": GenerationState.RUNNING.value, "started_at": started_at, "digest": digest}
    queued = GenerationRow.state == GenerationState.QUEUED.value
    changed: int = GenerationRow.update(columns).where(GenerationRow.id == generation_id, queued).execute()
    return changed > 0


def finish(
    generation_id: str,
    state: GenerationState,
    *,
    content: str | None,
    thinking: str | None,
    statistics: Statistics | None,
    usage: Usage | None,
    problem: Problem | None,
) -> Message | None:
    if state.value in ACTIVE:
        raise ValueError(f"{state} is not an end")
    now = now_ms()
    if not _end(generation_id, state, now, statistics, problem):
        return None
    generation = _find(GenerationRow.id == generation_id)[0]
    columns: dict[str, Any] = {
        "state": MessageState(state.value).value,
        "statistics": to_json(statistics),
        "usage": to_json(usage),
        "problem": to_json(problem),
    }
    texts = {"content": content, "thinking": thinking}
    columns |= {name: text for name, text in texts.items() if text is not None}
    MessageRow.update(columns).where(MessageRow.id == generation.message_id).execute()
    SessionRow.update(updated_at=now).where(SessionRow.id == generation.session_id).execute()
    return messages.find(MessageRow.id == generation.message_id)


def recover() -> tuple[list[Generation], list[Generation]]:
    state = GenerationState.INTERRUPTED
    running = _find(GenerationRow.state == GenerationState.RUNNING.value)
    for generation in running:
        _end(generation.id, state, now_ms(), None, INTERRUPTED)
        # The session keeps its place in the sidebar: nobody did anything there.
        MessageRow.update(state=MessageState.INTERRUPTED.value, problem=to_json(INTERRUPTED)).where(
            MessageRow.id == generation.message_id
        ).execute()
    interrupted = _find(GenerationRow.id.in_([generation.id for generation in running]))
    return interrupted, _find(GenerationRow.state == GenerationState.QUEUED.value)


def _end(
    generation_id: str,
    state: GenerationState,
    now: int,
    statistics: Statistics | None,
    problem: Problem | None,
) -> bool:
    columns = {"state": state.value, "ended_at": now, "problem": to_json(problem)} | statistics_columns(statistics)
    active = GenerationRow.state.in_(ACTIVE)
    changed: int = GenerationRow.update(columns).where(GenerationRow.id == generation_id, active).execute()
    return changed > 0


def _find(*conditions: Any) -> list[Generation]:
    rows = GenerationRow.select().where(*conditions).order_by(GenerationRow.row)
    return [generation_of(row) for row in dicts(rows)]
