"""What clients are told: `ChatEvent`, and the facts a status can carry. No HTML, no sockets."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class ChatEvent(Struct, frozen=True, kw_only=True):
    """The shape of every frame, for pages and programs alike."""

    type: Literal["message", "status", "error"]
    payload: dict[str, Any]


class Phase(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an unfinished answer stands. `since` (ms since 1970): when this phase began.

    queued: `position` (1 = next), `ahead` (people's names in front, nearest turn first), `eta_s`
    loading: `expected_s` · making_room: `leaving` · reading: `tokens`, `expected_s` · thinking ·
    writing: `tokens_per_s`
    stalled: no token for long, still waiting
    Estimates are None until something was measured.
    """

    kind: Literal["queued", "loading", "making_room", "reading", "thinking", "writing", "stalled"]
    since: int
    model: str = ""
    position: int = 0
    total: int = 0
    ahead: tuple[str, ...] = ()
    eta_s: float | None = None
    expected_s: float | None = None
    tokens: int | None = None
    tokens_per_s: float | None = None
    leaving: str = ""


class EngineStatus(Struct, frozen=True, kw_only=True):
    """The engine as last seen. `problem`: a sentence for a person; `hint`: what to do about it.

    status: connecting (not asked yet) | connected | disconnected (nobody answers) | error (answers, refuses)
    """

    status: Literal["connecting", "connected", "disconnected", "error"] = "connecting"
    base_url: str = ""
    version: str = ""
    problem: str = ""
    hint: str = ""
    last_checked: int = 0
    demo: bool = False


class QueueEntry(Struct, frozen=True, kw_only=True):
    """One generation in the queue as others may see it. `position` 0: running."""

    generation_id: str
    session_id: str
    user_id: str
    person: str
    who: str
    model: str
    position: int
    since: int
    eta_s: float | None = None
