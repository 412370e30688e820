"""What an engine must be able to do for the rest of the house: the `Provider` protocol and its plain data."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from msgspec import Struct

from quart_chat.entities import Parameters, Role, Statistics
from quart_chat.model_entities import LoadedModel, ModelInfo


class PromptTurn(Struct, frozen=True, kw_only=True):
    role: Role
    content: str
    thinking: str = ""


class ChatRequest(Struct, frozen=True, kw_only=True):
    """`think` None: the provider decides from the model's capabilities (off where it can be off)."""

    model: str
    turns: tuple[PromptTurn, ...]
    parameters: Parameters = Parameters()
    think: bool | None = None
    keep_alive: int | str | None = None


class ThinkingChunk(Struct, frozen=True):
    text: str


class ContentChunk(Struct, frozen=True):
    text: str


class ToolCallChunk(Struct, frozen=True):
    name: str
    arguments: dict[str, Any]
    id: str = ""


class FinalChunk(Struct, frozen=True):
    """The last chunk of a whole answer: the engine's counts. `wait_ms`, `first_token_ms` and `thinking_ms`
    stay 0: whoever reads measures them. `done_reason`: stop | length | the engine's own word."""

    statistics: Statistics


class NoticeChunk(Struct, frozen=True):
    """Something the reader of the answer should know and that is no error. `code` truncated: earlier messages
    were left out; restarted: the engine held a dead slot, the model was unloaded and asked again."""

    code: str
    text: str


class PullLine(Struct, frozen=True, kw_only=True):
    """One line of a download as the engine gave it. `total` and `completed`: bytes of the layer `digest`."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


class Recommendation(Struct, frozen=True, kw_only=True):
    """A model that the engine itself names as worth having. `vram_bytes` 0: unknown; `remote`: it runs elsewhere."""

    name: str
    description: str = ""
    context_length: int = 0
    vram_bytes: int = 0
    remote: bool = False


Chunk = ThinkingChunk | ContentChunk | ToolCallChunk | NoticeChunk | FinalChunk


Early = Callable[[list[ModelInfo]], None]


class Provider(Protocol):
    """Every method raises `ModelError` or what refines it, and nothing else (besides cancellation)."""

    name: str
    slots: int
    """How many generations may run at the same time."""

    async def version(self) -> str: ...

    async def list_models(self, *, early: Early | None = None) -> list[ModelInfo]:
        """`early` is given the list as far as it is known when describing the models takes longer than a moment."""
        ...

    async def get_model_info(self, name: str) -> ModelInfo: ...

    async def running_models(self) -> list[LoadedModel]: ...

    async def load_model(self, name: str, *, num_ctx: int | None = None, keep_alive: int | str | None = None) -> int:
        """Returns when the model is in memory: the milliseconds it took. Cancelling aborts the load."""
        ...

    async def unload_model(self, name: str) -> None: ...

    def pull_model(self, name: str) -> AsyncGenerator[PullLine, None]:
        """Downloads `name` (again, for an update), `hf.co/…` included; ends only when it is there whole.

        Ending it early stops the download; what has come is kept by the engine and the next one goes on there.
        Raises also `DownloadError` and `ModelNotFoundError` (no registry has it).
        """
        ...

    async def delete_model(self, name: str) -> None:
        """Unload it first, or it stays in memory under a name that nothing can unload."""
        ...

    async def copy_model(self, source: str, destination: str) -> None:
        """A second name for the same files; takes milliseconds. Replaces `destination`."""
        ...

    async def create_model(self, name: str, *, source: str, system: str, parameters: Parameters) -> None:
        """`name` becomes `source` with its own system prompt and settings; shares its files. Replaces `name`."""
        ...

    async def recommendations(self) -> list[Recommendation]:
        """What the engine suggests to have; empty where it has no opinion (older ones do not)."""
        ...

    def generate_response(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Yields chunks, a `FinalChunk` last. Ending it early (aclose, cancel) stops the engine's work.

        A stream that ends without its final object raises `AnswerCutError` after what had come was yielded.
        """
        ...

    async def close(self) -> None: ...
