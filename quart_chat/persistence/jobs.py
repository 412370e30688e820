"""Jobs as rows: plain functions for one transaction. They are the server's, whoever asked for them."""

from __future__ import annotations

from quart_chat.entities import Problem, now_ms
from quart_chat.model_entities import Job, JobState
from quart_chat.persistence.prepared import Prepared
from quart_chat.persistence.rows import dicts, job_columns, job_of, to_json
from quart_chat.persistence.tables import JobRow

KEPT = 200
"""Of each kind, so that loads, which are many, do not push out a download that can still be resumed."""
INTERRUPTED = Problem(code="INTERRUPTED", text="The server stopped while this was going on.")

_UNDER_WAY = (JobState.HELD.value, JobState.RUNNING.value)
_NEWEST = (JobRow.created_at.desc(), JobRow.row.desc())
_PRUNE = Prepared(
    lambda kind: JobRow.delete().where(
        JobRow.row.in_(JobRow.select(JobRow.row).where(JobRow.kind == kind).order_by(*_NEWEST).limit(-1).offset(KEPT)),
        JobRow.state.not_in(_UNDER_WAY),
    )
)


def save(job: Job) -> None:
    """A job that is known keeps its place; one that is under way is never the one that has to go."""
    columns = job_columns(job)
    changed = {getattr(JobRow, name): value for name, value in columns.items() if name != "id"}
    JobRow.insert(columns).on_conflict(conflict_target=[JobRow.id], update=changed).execute()
    _PRUNE.change(job.kind.value)


def newest(limit: int) -> list[Job]:
    return [job_of(row) for row in dicts(JobRow.select().order_by(*_NEWEST).limit(limit))]


def recover() -> list[Job]:
    cut = [row["id"] for row in dicts(JobRow.select(JobRow.id).where(JobRow.state.in_(_UNDER_WAY)))]
    JobRow.update(state=JobState.INTERRUPTED.value, ended_at=now_ms(), problem=to_json(INTERRUPTED)).where(
        JobRow.id.in_(cut)
    ).execute()
    return [job_of(row) for row in dicts(JobRow.select().where(JobRow.id.in_(cut)).order_by(*_NEWEST))]


def delete(job_id: str) -> None:
    JobRow.delete().where(JobRow.id == job_id).execute()
