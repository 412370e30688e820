"""Rows to entities and back: the only place that knows how a column is written."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from quart_chat.entities import (
    ChatSession,
    Generation,
    GenerationState,
    Message,
    MessageState,
    Parameters,
    Problem,
    Role,
    Statistics,
    Usage,
)
from quart_chat.model_entities import Job, JobKind, JobState

S = TypeVar("S", bound=Struct)

ACTIVE = (GenerationState.QUEUED.value, GenerationState.RUNNING.value)
MEASURED = Statistics.__struct_fields__
_PASSING = ("since", "layer", "most_share", "bytes_per_s", "eta_s", "expected_s")
"""What a job says of the moment: not stored."""
_NOTHING = Statistics()


def dicts(query: Any) -> list[dict[str, Any]]:
    """What a Peewee query finds, a dict of columns for each row: a third of the cost of model objects."""
    return list(query.dicts())


def first(query: Any) -> dict[str, Any] | None:
    found = dicts(query.limit(1))
    return found[0] if found else None


def tuples(query: Any) -> list[tuple[Any, ...]]:
    return list(query.tuples())


def to_json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def from_json(text: str | None, kind: type[S]) -> S | None:
    return None if text is None else msgspec.json.decode(text, type=kind)


def session_of(row: dict[str, Any]) -> ChatSession:
    """From a whole session row, with `message_count` beside it if it was counted."""
    values = {name: row[name] for name in ChatSession.__struct_fields__ if name in row}
    values["parameters"] = from_json(row["parameters"], Parameters)
    values["think"] = None if row["think"] is None else bool(row["think"])
    return ChatSession(**values)


def session_columns(session: ChatSession) -> dict[str, Any]:
    columns = msgspec.structs.asdict(session)
    del columns["message_count"]
    columns["parameters"] = to_json(session.parameters)
    return columns


def message_of(row: dict[str, Any]) -> Message:
    values = {name: row[name] for name in Message.__struct_fields__}
    values["role"] = Role(row["role"])
    values["state"] = MessageState(row["state"])
    values["usage"] = from_json(row["usage"], Usage)
    values["statistics"] = from_json(row["statistics"], Statistics)
    values["problem"] = from_json(row["problem"], Problem)
    return Message(**values)


def message_columns(message: Message) -> dict[str, Any]:
    columns = msgspec.structs.asdict(message)
    columns["role"] = message.role.value
    columns["state"] = message.state.value
    for name in ("usage", "statistics", "problem"):
        columns[name] = to_json(columns[name])
    return columns


def generation_of(row: dict[str, Any]) -> Generation:
    values = {name: row[name] for name in Generation.__struct_fields__ if name in row}
    statistics = Statistics(**{name: row[name] for name in MEASURED})
    values["state"] = GenerationState(row["state"])
    values["statistics"] = None if statistics == _NOTHING else statistics
    values["continues"] = bool(row["continues"])
    values["problem"] = from_json(row["problem"], Problem)
    return Generation(**values)


def generation_columns(generation: Generation) -> dict[str, Any]:
    columns = msgspec.structs.asdict(generation)
    del columns["statistics"]
    columns["state"] = generation.state.value
    columns["problem"] = to_json(generation.problem)
    return columns | statistics_columns(generation.statistics)


def statistics_columns(statistics: Statistics | None) -> dict[str, Any]:
    return {} if statistics is None else msgspec.structs.asdict(statistics)


def job_of(row: dict[str, Any]) -> Job:
    values = {name: row[name] for name in Job.__struct_fields__ if name in row}
    values["kind"] = JobKind(row["kind"])
    values["state"] = JobState(row["state"])
    values["problem"] = from_json(row["problem"], Problem)
    return Job(**values)


def job_columns(job: Job) -> dict[str, Any]:
    columns = {name: value for name, value in msgspec.structs.asdict(job).items() if name not in _PASSING}
    return columns | {"kind": job.kind.value, "state": job.state.value, "problem": to_json(job.problem)}
