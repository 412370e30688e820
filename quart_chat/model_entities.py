"""The nouns of the models on this machine as frozen data; times and ids as in `entities`."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from quart_chat.entities import Problem


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A language model. Sizes in bytes; `context_length` is what it was trained for. Empty or 0: unknown."""

    name: str
    size: int = 0
    digest: str = ""
    modified_at: str = ""
    format: str = ""
    family: str = ""
    families: tuple[str, ...] = ()
    parameter_size: str = ""
    quantization: str = ""
    capabilities: tuple[str, ...] = ()
    context_length: int = 0
    license: str = ""
    template: str = ""
    parameters: str = ""
    remote: bool = False
    provider: str = "ollama"

    @property
    def chats(self) -> bool:
        """False for a model that can only embed."""
        return not self.capabilities or "completion" in self.capabilities

    @property
    def thinks(self) -> bool:
        return "thinking" in self.capabilities


class LoadedModel(Struct, frozen=True, kw_only=True):
    """A model in memory. `expires_at`: RFC 3339 as the engine said; `forever` when it stays."""

    name: str
    size: int = 0
    size_vram: int = 0
    digest: str = ""
    context_length: int = 0
    expires_at: str = ""
    forever: bool = False


class JobKind(StrEnum):
    PULL = "pull"
    UPDATE = "update"
    CHECK = "check"
    LOAD = "load"


class JobState(StrEnum):
    HELD = "held"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Job(Struct, frozen=True, kw_only=True):
    """Work on a model that goes on without the one who asked for it.

    `phase` while it runs, begun at `since`. Of a pull: waiting | manifest | downloading | stalled | verifying |
    writing; of a load: waiting | making_room | loading. A held load waits for a person to say yes, because `leaving`
    would have to leave the memory. `completed` of `total` bytes, 0 unknown; `share` from 0 to 1, `most_share` what it
    once was: it never falls, whatever turns up.
    `digest` before and `new_digest` after an update; a check that found one says how large it is in `total`, or leaves
    it 0. Unknown: None, 0 or empty.
    """

    id: str
    kind: JobKind
    model: str
    user_id: str
    state: JobState = JobState.RUNNING
    phase: str = ""
    since: int = 0
    created_at: int
    ended_at: int | None = None
    layer: str = ""
    completed: int = 0
    total: int = 0
    most_share: float = 0
    bytes_per_s: float = 0
    eta_s: float | None = None
    expected_s: float | None = None
    leaving: str = ""
    num_ctx: int = 0
    digest: str = ""
    new_digest: str = ""
    problem: Problem | None = None

    @property
    def share(self) -> float:
        return max(self.most_share, self.completed / self.total) if self.total else 0.0

    @property
    def ended(self) -> bool:
        return self.state not in (JobState.HELD, JobState.RUNNING)


class ModelUse(Struct, frozen=True, kw_only=True):
    """Who used a model last: the session's title is for its own user only."""

    model: str
    session_id: str
    user_id: str
    person: str
    who: str = ""
    at: int


class Measurements(Struct, frozen=True, kw_only=True):
    """Medians over a model's latest generations; 0 where nothing was measured yet. `slow` and `fast`: the first and
    the last decile of its tokens per second."""

    count: int = 0
    load_ms: float = 0
    prompt_tokens_per_s: float = 0
    output_tokens: float = 0
    tokens_per_s: float = 0
    first_token_ms: float = 0
    wait_ms: float = 0
    slow: float = 0
    fast: float = 0
    last_at: int = 0


class Sample(Struct, frozen=True, kw_only=True):
    """What one generation measured, as `Statistics` with its moment. `num_ctx` 0: the engine's own."""

    at: int
    digest: str = ""
    num_ctx: int = 0
    wait_ms: int = 0
    load_ms: int = 0
    prompt_tokens: int = 0
    prompt_tokens_per_s: float = 0
    first_token_ms: int = 0
    output_tokens: int = 0
    tokens_per_s: float = 0
