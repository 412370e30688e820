"""Differences of the live documents as plain ChatEvents for programs, each with the revision it brings one to.

Events are ordered by revision. Only the last of them moves the cursor, so a program that comes back with the cursor
of any frame misses nothing; at most it is told again what came after that cursor.
"""

from __future__ import annotations

from typing import Any

from quart_chat.entities import MessageState, Role, now_ms
from quart_chat.live.board import Board
from quart_chat.live.document import Frame
from quart_chat.live.message import LiveMessage
from quart_chat.live.session import SessionDocument
from quart_chat.model_entities import Job, JobKind, JobState
from quart_chat.providers.ollama_models import of_model
from quart_chat.web.frames import body
from quart_chat.web.model_shapes import (
    elapsed_s,
    job_json,
    jobs_json,
    loaded_json,
    measurements_json,
    model_json,
    use_json,
)
from quart_chat.web.shapes import conversation_json, engine_json, message_json, phase_json, queue_json, rounded


def session_frames(document: SessionDocument, since: int | None) -> list[Frame]:
    if since is None:
        return _snapshot(document)
    frames: list[Frame] = []
    for live in list(document.messages.values()):
        if max(live.text.marks.latest, live.thought.marks.latest, live.state_rev, live.phase_rev) > since:
            frames += _message(live, since)
    if document.header_rev > since:
        session = conversation_json(document.session)
        frames.append((_event("status", "session", change="updated", session=session), document.header_rev))
    if document.deleted_rev is not None and document.deleted_rev > since:
        deleted = {"id": document.session.id}
        frames.append((_event("status", "session", change="deleted", session=deleted), document.deleted_rev))
    frames.sort(key=lambda frame: frame[1])
    return frames


def board_frames(board: Board, since: int | None) -> list[Frame]:
    if since is None:
        return [(body("status", _ready(board)), board.rev)]
    frames: list[Frame] = []
    for rev, kind, key, value in board.changes(since):
        if payload := _board_event(board, kind, key, value):
            frames.append((body("status", payload), rev))
        if kind in ("job", "load") and value is not None and value.state is JobState.FAILED:
            frames.append((body("error", _failure(value)), rev))
    return frames


def _snapshot(document: SessionDocument) -> list[Frame]:
    messages = [message_json(live.whole) for live in document.latest]
    running = document.running
    status: dict[str, Any] = {"event": "idle"}
    if running is not None and running.phase is not None:
        status = {**phase_json(running.phase, now_ms()), **_about(running)}
    text = body(
        "message",
        {
            "event": "snapshot",
            "session": conversation_json(document.session),
            "messages": messages,
            "status": status,
        },
    )
    return [(text, document.rev)]


def _message(live: LiveMessage, since: int) -> list[Frame]:
    latest = max(live.text.marks.latest, live.thought.marks.latest, live.state_rev)
    if live.created > since or live.restarted > since:
        name = "created" if live.created > since else "edited"
        frames = [(_event("message", name, message=message_json(live.whole)), latest)]
    else:
        frames = _deltas(live, since)
        if live.state_rev > since and not live.growing:
            frames.append((_event("message", "completed", message=message_json(live.whole)), latest))
    if live.state_rev > since and not live.growing and live.message.role is Role.ASSISTANT:
        frames += _end(live, latest)
    if live.phase is not None and live.phase_rev > since:
        status = {**phase_json(live.phase, now_ms()), **_about(live)}
        frames.append((body("status", status), live.phase_rev))
    return frames


def _deltas(live: LiveMessage, since: int) -> list[Frame]:
    frames: list[Frame] = []
    for source, is_thinking in ((live.thought, True), (live.text, False)):
        if source.marks.latest <= since:
            continue
        offset, text = source.since(since)
        if text:
            payload: dict[str, Any] = {"message_id": live.message.id, "offset": offset, "text": text}
            if is_thinking:
                payload["thinking"] = True
            frames.append((_event("message", "delta", **payload), source.marks.latest))
    return frames


def _end(live: LiveMessage, rev: int) -> list[Frame]:
    message = live.message
    frames: list[Frame] = []
    if message.problem is not None and message.state is MessageState.FAILED:
        problem = message.problem
        text = body(
            "error",
            {"error": problem.text, "code": problem.code, "message_id": message.id, "retry": problem.retry},
        )
        frames.append((text, rev))
    name = "stopped" if message.state is MessageState.STOPPED else "idle"
    frames.append((_event("status", name, message_id=message.id), rev))
    return frames


def _about(live: LiveMessage) -> dict[str, Any]:
    return {"message_id": live.message.id, "generation_id": live.generation_id}


def _ready(board: Board) -> dict[str, Any]:
    loaded, uses = board.get("loaded"), board.get("use")
    return {
        "event": "ready",
        "engine": engine_json(board.get("engine")[""]),
        "models": [
            model_json(model, loaded.get(name), of_model(uses, name) if name in loaded else None)
            for name, model in board.get("model").items()
        ],
        "loaded": [loaded_json(model, of_model(uses, name)) for name, model in loaded.items()],
        "queue": queue_json(board.get("queue").get("", ())),
        "jobs": jobs_json([*board.get("job").values(), *board.get("load").values()]),
        "updates": jobs_json(board.get("update").values()),
        "speed": {name: measurements_json(found) for name, found in board.get("speed").items()},
    }


def _board_event(board: Board, kind: str, key: str, value: Any) -> dict[str, Any] | None:
    """None for what is told as an error alone."""
    if value is None:
        return _removed(kind, key)
    match kind:
        case "engine":
            return {"event": "engine", **engine_json(value)}
        case "loaded":
            return {"event": "model_loaded", "model": key, **loaded_json(value, of_model(board.get("use"), key))}
        case "model":
            return {"event": "model_added", "model": key, **model_json(value, None)}
        case "queue":
            return {"event": "queue", **queue_json(value)}
        case "session":
            return {"event": "session", "change": "updated", "session": conversation_json(value)}
        case "job":
            return _pull(value)
        case "load":
            return _load(value)
        case "use":
            return {"event": "use", "model": key, "used": use_json(value)}
        case "speed":
            return {"event": "speed", "model": key, **measurements_json(value)}
        case "update":
            return {"event": "update", "model": key, "available": True, "job": job_json(value)}
    return None


def _removed(kind: str, key: str) -> dict[str, Any] | None:
    match kind:
        case "loaded":
            return {"event": "model_unloaded", "model": key}
        case "model":
            return {"event": "model_removed", "model": key}
        case "queue":
            return {"event": "queue", **queue_json(())}
        case "session":
            return {"event": "session", "change": "deleted", "session": {"id": key}}
        case "job" | "load":
            return {"event": "job", "change": "removed", "job": {"id": key}}
        case "use":
            return {"event": "use", "model": key, "used": None}
        case "speed":
            return {"event": "speed", "model": key, "count": 0, "median": None}
        case "update":
            return {"event": "update", "model": key, "available": False}
    return None


def _pull(job: Job) -> dict[str, Any]:
    """`status`: the phase while it runs, then the state it ended in."""
    shape = job_json(job)
    told = {name: shape[name] for name in ("model", "completed", "total", "percent", "bytes_per_s", "eta_s")}
    event = "check" if job.kind is JobKind.CHECK else "pull"
    return {"event": event, "status": shape["phase"] or shape["state"], **told, "job": shape}


def _load(job: Job) -> dict[str, Any] | None:
    shape = job_json(job)
    about = {"model": job.model, "elapsed_s": elapsed_s(job), "expected_s": rounded(job.expected_s), "job": shape}
    match job.state:
        case JobState.RUNNING:
            event = "making_room" if job.phase == "making_room" else "loading"
            return {"event": event, "status": job.phase, **about}
        case JobState.HELD:
            return {"event": "load_held", "leaving": job.leaving, **about}
        case JobState.FAILED:
            return None
    return {"event": "job", "change": job.state.value, "job": shape}


def _failure(job: Job) -> dict[str, Any]:
    problem = job.problem
    told = (problem.text, problem.code, problem.retry) if problem is not None else ("It failed.", "MODEL_FAILED", True)
    error, code, retry = told
    return {"error": error, "code": code, "retry": retry, "model": job.model, "job": job_json(job)}


def _event(type_: str, event: str, **payload: Any) -> str:
    return body(type_, {"event": event, **payload})
