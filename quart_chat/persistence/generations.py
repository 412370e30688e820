"""Generations as rows: guarded steps from queued to an end, and what a restart makes of unfinished ones."""

from __future__ import annotations

from functools import cache
from typing import Any

from peewee import fn

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
from quart_chat.persistence import messages, prepared
from quart_chat.persistence.prepared import Prepared
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

_BY_ID = Prepared(lambda id: GenerationRow.select().where(GenerationRow.id == id))
_COUNT_ACTIVE = Prepared(
    lambda session_id: GenerationRow.select(fn.COUNT(GenerationRow.row)).where(
        GenerationRow.session_id == session_id, GenerationRow.state.in_(ACTIVE)
    )
)
_START = Prepared(
    lambda id, running, started_at, digest: GenerationRow.update(
        state=running, started_at=started_at, digest=digest
    ).where(GenerationRow.id == id, GenerationRow.state == GenerationState.QUEUED.value)
)


@cache
def _ending(names: tuple[str, ...]) -> Prepared:
    return Prepared(
        lambda id, *values: GenerationRow.update(dict(zip(names, values, strict=True))).where(
            GenerationRow.id == id, GenerationRow.state.in_(ACTIVE)
        )
    )


def insert(generation: Generation) -> Generation:
    prepared.insert(GenerationRow, generation_columns(generation))
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
    if _COUNT_ACTIVE.number(session_id):
        raise ConflictError("An answer is still being written in this conversation.")


def start(generation_id: str, started_at: int, digest: str) -> bool:
    return _START.change(generation_id, GenerationState.RUNNING.value, started_at, digest) > 0


def finish(
    generation_id: str,
    state: GenerationState,
    *,
    content: str | None,
    thinking: str | None,
    statistics: Statistics | None,
    usage: Usage | None,
    problem: Problem | None,
    digest: str,
    num_ctx: int,
) -> Message | None:
    if state.value in ACTIVE:
        raise ValueError(f"{state} is not an end")
    now = now_ms()
    if not _end(generation_id, state, now, statistics, problem, digest, num_ctx):
        return None
    generation = generation_of(_BY_ID.dicts(generation_id)[0])
    columns: dict[str, Any] = {
        "state": MessageState(state.value).value,
        "statistics": to_json(statistics),
        "usage": to_json(usage),
        "problem": to_json(problem),
    }
    texts = {"content": content, "thinking": thinking}
    columns |= {name: text for name, text in texts.items() if text is not None}
    prepared.update(MessageRow, generation.message_id, columns)
    prepared.update(SessionRow, generation.session_id, {"updated_at": now})
    return messages.by_id(generation.message_id)


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
    digest: str = "",
    num_ctx: int = 0,
) -> bool:
    columns = {"state": state.value, "ended_at": now, "problem": to_json(problem)} | statistics_columns(statistics)
    columns["num_ctx"] = num_ctx
    if digest:
        columns["digest"] = digest
    return _ending(tuple(columns)).change(generation_id, *columns.values()) > 0


def _find(*conditions: Any) -> list[Generation]:
    rows = GenerationRow.select().where(*conditions).order_by(GenerationRow.row)
    return [generation_of(row) for row in dicts(rows)]
