"""What pages say of models beside their own facts: who used one last, what is being loaded, where it lies in memory."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2s
from typing import Any

from msgspec import Struct

from quart_chat.live.board import Board
from quart_chat.model_entities import Job, JobKind, JobState, LoadedModel, ModelUse
from quart_chat.providers.ollama_models import normalise

MAX_KEYS = 4096
ENDS = {
    JobState.COMPLETE: "finished",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
    JobState.INTERRUPTED: "was interrupted",
}
NOUNS = {JobKind.PULL: "The download of", JobKind.UPDATE: "The update of"}


class LastUse(Struct, frozen=True):
    """Who used a model last, as one reader may know it: `session_id` and `title` only of one's own chat."""

    at: int
    session_id: str = ""
    title: str = ""
    who: str = ""


class LoadView(Struct, frozen=True):
    """`use`: the last use of the model that would have to leave."""

    job: Job
    use: LastUse | None


class Held(Struct, frozen=True):
    model: LoadedModel
    use: LastUse | None
    keep: int | str | None
    dom_id: str


class Checks(Struct, frozen=True):
    """The looks for updates, counted."""

    open: int
    found: int
    failed: int


def loads(board: Board, model: str | None = None) -> list[LoadView]:
    """The loads on a board, or those of one model."""
    uses = board.get("use")
    return [
        LoadView(job, last_use(uses.get(job.leaving), board))
        for job in board.get("load").values()
        if job.state is not JobState.COMPLETE and (model is None or normalise(job.model) == normalise(model))
    ]


def downloads(board: Board) -> list[Job]:
    """Pulls and updates that run, or that stopped and wait for a person."""
    done = (JobState.COMPLETE, JobState.CANCELLED)
    return [job for job in board.get("job").values() if job.kind is not JobKind.CHECK and job.state not in done]


def last_use(use: ModelUse | None, board: Board) -> LastUse | None:
    if use is None:
        return None
    session = board.get("session").get(use.session_id) if use.user_id == board.user_id else None
    if session is None:
        return LastUse(use.at, who=use.who)
    return LastUse(use.at, session.id, session.title, use.who)


def count_checks(board: Board) -> Checks | None:
    checks = [job for job in board.get("job").values() if job.kind is JobKind.CHECK]
    if not checks:
        return None
    ended = [job for job in checks if job.ended]
    return Checks(
        open=len(checks) - len(ended),
        found=len(board.get("update")),
        failed=sum(job.state is not JobState.COMPLETE for job in ended),
    )


def said_of_ends(board: Board, since: int | None) -> dict[str, Any]:
    """What a page says aloud: how each download ended that has ended since then."""
    if since is None or "job" not in board.changed_kinds(since):
        return {}
    jobs = (value for _, kind, _, value in board.changes(since) if kind == "job" and value is not None)
    said = [f"{NOUNS[job.kind]} {job.model} {ENDS[job.state]}." for job in jobs if job.ended and job.kind in NOUNS]
    return {"said": said} if said else {}


def placement(loaded: LoadedModel) -> str:
    if not loaded.size_vram:
        return "CPU"
    if loaded.size_vram >= loaded.size:
        return "GPU"
    return f"{round(100 * loaded.size_vram / loaded.size)} % GPU"


def row_id(name: str) -> str:
    return f"row-{key(name)}"


@lru_cache(MAX_KEYS)
def key(name: str) -> str:
    """A model's name as part of a DOM id; names hold characters that a selector would stumble over."""
    return blake2s(name.encode(), digest_size=6).hexdigest()
