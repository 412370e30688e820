"""What an engine must be able to do for the rest of the house: the `Provider` protocol and its plain data."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from msgspec import Struct

from quart_chat.entities import LoadedModel, ModelInfo, Parameters, Role, Statistics


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


Chunk = ThinkingChunk | ContentChunk | ToolCallChunk | NoticeChunk | FinalChunk


class Provider(Protocol):
    """Every method raises `ModelError` or what refines it, and nothing else (besides cancellation)."""

    name: str
    slots: int
    """How many generations may run at the same time."""

    async def version(self) -> str: ...

    async def list_models(self) -> list[ModelInfo]: ...

    async def get_model_info(self, name: str) -> ModelInfo: ...

    async def running_models(self) -> list[LoadedModel]: ...

    async def load_model(self, name: str, *, num_ctx: int | None = None, keep_alive: int | str | None = None) -> int:
        """Returns when the model is in memory: the milliseconds it took. Cancelling aborts the load."""
        ...

    async def unload_model(self, name: str) -> None: ...

    def generate_response(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Yields chunks, a `FinalChunk` last. Ending it early (aclose, cancel) stops the engine's work.

        A stream that ends without its final object raises `AnswerCutError` after what had come was yielded.
        """
        ...

    async def close(self) -> None: ...
