"""The nouns of the product as frozen data: what one layer hands to another.

Times are integer milliseconds since 1970 UTC. Ids are opaque strings of 96 random bits.
"""

from __future__ import annotations

import secrets
import time
from enum import StrEnum

from msgspec import Struct

OWNER_ID = "owner"
"""The one user that everything belongs to while sign-in is off."""


def new_id() -> str:
    return secrets.token_hex(12)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class MessageState(StrEnum):
    COMPLETE = "complete"
    GENERATING = "generating"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class GenerationState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Parameters(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a session asks of the model. None: leave it to the model's own default."""

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    num_ctx: int | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens of one answer. `estimated`: the engine gave no counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool = False


class Statistics(Struct, frozen=True, kw_only=True):
    """What one generation cost, in milliseconds and tokens; 0 where unknown. `wait_ms`: time in our own queue."""

    wait_ms: int = 0
    load_ms: int = 0
    prompt_tokens: int = 0
    prompt_ms: int = 0
    first_token_ms: int = 0
    output_tokens: int = 0
    output_ms: int = 0
    thinking_ms: int = 0
    done_reason: str = ""

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens * 1000 / self.output_ms if self.output_ms else 0.0


class Problem(Struct, frozen=True, kw_only=True):
    """Why a message failed, in words for a person."""

    code: str
    text: str
    retry: bool = True


class User(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: int


class ChatSession(Struct, frozen=True, kw_only=True):
    """One conversation in the sidebar. `think`: None leaves it off unless the model cannot do without."""

    id: str
    user_id: str
    title: str = ""
    model: str = ""
    system_prompt: str = ""
    parameters: Parameters = Parameters()
    think: bool | None = None
    draft: str = ""
    created_at: int
    updated_at: int
    message_count: int = 0


class Message(Struct, frozen=True, kw_only=True):
    """One stored turn, source text only. `number` counts within its session and is never used again.

    `parent_id` of an answer is its question; of several answers to one question the last counts.
    """

    id: str
    session_id: str
    number: int
    role: Role
    content: str
    timestamp: int
    state: MessageState = MessageState.COMPLETE
    model: str = ""
    thinking: str = ""
    usage: Usage | None = None
    statistics: Statistics | None = None
    problem: Problem | None = None
    parent_id: str | None = None
    client_id: str | None = None
    author: str = ""


class Generation(Struct, frozen=True, kw_only=True):
    """One attempt to produce `message_id`. `person`: whose turn it uses up in the queue. `continues`: append to
    the text that is there instead of starting anew."""

    id: str
    session_id: str
    user_id: str
    person: str
    message_id: str
    model: str
    state: GenerationState = GenerationState.QUEUED
    continues: bool = False
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    statistics: Statistics | None = None
    problem: Problem | None = None


class Turn(Struct, frozen=True, kw_only=True):
    """What one `send` left behind: `created` is False when the same client_id was seen before. `session` is as it
    stands after it."""

    session: ChatSession
    question: Message
    answer: Message
    generation: Generation
    created: bool = True


class SearchHit(Struct, frozen=True, kw_only=True):
    """`snippet` is plain text with hits between U+0002 and U+0003."""

    session_id: str
    message_id: str
    title: str
    snippet: str
    timestamp: int
