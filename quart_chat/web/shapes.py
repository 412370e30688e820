"""Entities as the JSON of the contract, one function a noun; the REST routes and the socket share them. What is about
models: `model_shapes`."""

from __future__ import annotations

from typing import Any

import msgspec

from quart_chat.entities import ChatSession, Generation, Message, Parameters
from quart_chat.events import EngineStatus, Phase, QueueEntry
from quart_chat.web.times import rfc3339

Json = dict[str, Any]


def message_json(message: Message) -> Json:
    shape: Json = {
        "id": message.id,
        "session_id": message.session_id,
        "number": message.number,
        "role": message.role.value,
        "content": message.content,
        "timestamp": rfc3339(message.timestamp),
        "state": message.state.value,
    }
    optional = {
        "model": message.model,
        "thinking": message.thinking,
        "usage": _builtins(message.usage),
        "statistics": _builtins(message.statistics),
        "problem": _builtins(message.problem),
        "parent_id": message.parent_id,
        "client_id": message.client_id,
        "author": message.author,
    }
    shape.update((key, value) for key, value in optional.items() if value)
    return shape


def conversation_json(session: ChatSession) -> Json:
    return {
        "id": session.id,
        "title": session.title,
        "created_at": rfc3339(session.created_at),
        "updated_at": rfc3339(session.updated_at),
        "message_count": session.message_count,
        "model": session.model,
    }


def whole_conversation_json(session: ChatSession, messages: list[Message]) -> Json:
    return {
        **conversation_json(session),
        "system_prompt": session.system_prompt,
        "parameters": parameters_json(session.parameters),
        "think": session.think,
        "messages": [message_json(message) for message in messages],
    }


def parameters_json(parameters: Parameters) -> Json:
    shape: Json = msgspec.to_builtins(parameters)
    return shape


def generation_json(generation: Generation, entry: QueueEntry | None) -> Json:
    return {
        "id": generation.id,
        "message_id": generation.message_id,
        "state": generation.state.value,
        "position": entry.position if entry is not None else 0,
        "eta_s": rounded(entry.eta_s if entry is not None else None),
    }


def queue_json(entries: tuple[QueueEntry, ...], person: str | None = None) -> Json:
    """`mine` only where the asker is known."""
    shapes = [(entry.position, _queue_entry(entry, person)) for entry in entries]
    return {
        "running": [shape for position, shape in shapes if not position],
        "waiting": [shape for position, shape in shapes if position],
    }


def _queue_entry(entry: QueueEntry, person: str | None) -> Json:
    shape: Json = {
        "generation_id": entry.generation_id,
        "session_id": entry.session_id,
        "model": entry.model,
        "position": entry.position,
        "eta_s": rounded(entry.eta_s),
        "since": rfc3339(entry.since),
    }
    if person is not None:
        shape["mine"] = entry.person == person
    if entry.who:
        shape["who"] = entry.who
    return shape


def engine_json(engine: EngineStatus) -> Json:
    return {
        "status": engine.status,
        "base_url": engine.base_url,
        "version": engine.version,
        "problem": engine.problem,
        "hint": engine.hint,
        "demo": engine.demo,
    }


def phase_json(phase: Phase, now: int) -> Json:
    """The payload of a `status` event: what is known of the phase, with the seconds it has lasted."""
    shape: Json = msgspec.to_builtins(phase)
    shape["event"] = shape.pop("kind")
    shape["since"] = rfc3339(phase.since)
    shape["elapsed_s"] = round(max(0, now - phase.since) / 1000, 1)
    for estimate in ("eta_s", "expected_s"):
        if estimate in shape:
            shape[estimate] = rounded(shape[estimate])
    return shape


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _builtins(value: msgspec.Struct | None) -> Any:
    return None if value is None else msgspec.to_builtins(value)
