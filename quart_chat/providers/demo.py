"""`DemoProvider`: a talker that needs no engine, so that everything can be tried before Ollama is there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator

from quart_chat.entities import Parameters, Statistics
from quart_chat.errors import ModelNotFoundError, ModelRefusedError
from quart_chat.model_entities import LoadedModel, ModelInfo
from quart_chat.providers.base import ChatRequest, Chunk, ContentChunk, Early, FinalChunk, PullLine, Recommendation

DEMO_MODEL = "demo"
WORDS_PER_S = 20.0
NO_FILES = "The demo needs no files."


class DemoProvider:
    """Implements `Provider` with one model, `demo`. The same conversation gets the same answer, word by word.

    `words_per_s` 0: without pauses. It uses no memory worth naming, but counts as loaded.
    """

    name = "demo"

    def __init__(self, *, words_per_s: float = WORDS_PER_S, slots: int = 4) -> None:
        self.slots = slots
        self._pause_s = 1 / words_per_s if words_per_s else 0.0

    async def version(self) -> str:
        return "demo"

    async def list_models(self, *, early: Early | None = None) -> list[ModelInfo]:
        return [
            ModelInfo(name=DEMO_MODEL, family="demo", capabilities=("completion",), provider=self.name),
        ]

    async def get_model_info(self, name: str) -> ModelInfo:
        _check(name)
        return (await self.list_models())[0]

    async def running_models(self) -> list[LoadedModel]:
        """The demo, with size 0: it never has to be loaded and cannot be unloaded."""
        return [LoadedModel(name=DEMO_MODEL, forever=True)]

    async def load_model(self, name: str, *, num_ctx: int | None = None, keep_alive: int | str | None = None) -> int:
        _check(name)
        return 0

    async def unload_model(self, name: str) -> None:
        _check(name)

    async def pull_model(self, name: str) -> AsyncGenerator[PullLine, None]:
        raise ModelRefusedError(NO_FILES)
        yield

    async def delete_model(self, name: str) -> None:
        raise ModelRefusedError(NO_FILES)

    async def copy_model(self, source: str, destination: str) -> None:
        raise ModelRefusedError(NO_FILES)

    async def create_model(self, name: str, *, source: str, system: str, parameters: Parameters) -> None:
        raise ModelRefusedError(NO_FILES)

    async def recommendations(self) -> list[Recommendation]:
        return []

    async def generate_response(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        _check(request.model)
        if not request.turns:
            raise ModelRefusedError("There is nothing to answer.")
        from quart_chat.providers.demo_talk import answer

        words = re.findall(r"\s*\S+|\s+$", answer(request.turns))
        allowed = words[: request.parameters.max_tokens]
        started = time.monotonic()
        for word in allowed:
            await asyncio.sleep(self._pause_s)
            yield ContentChunk(word)
        yield FinalChunk(
            Statistics(
                prompt_tokens=sum(len(turn.content.split()) for turn in request.turns),
                output_tokens=len(allowed),
                output_ms=round((time.monotonic() - started) * 1000),
                done_reason="stop" if len(allowed) == len(words) else "length",
            )
        )

    async def close(self) -> None:
        return None


def _check(name: str) -> None:
    if name != DEMO_MODEL:
        raise ModelNotFoundError(f"{name} is not a model of the demo.")
