"""Short ways to ask and to read answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quart_chat.entities import Parameters, Role
from quart_chat.errors import ModelError
from quart_chat.providers.base import (
    ChatRequest,
    Chunk,
    ContentChunk,
    FinalChunk,
    NoticeChunk,
    PromptTurn,
    Provider,
    PullLine,
    ThinkingChunk,
    ToolCallChunk,
)


def question(text: str = "Hi", model: str = "hello", **rest: Any) -> ChatRequest:
    parameters = rest.pop("parameters", Parameters())
    turns = (PromptTurn(role=Role.USER, content=text),)
    return ChatRequest(model=model, turns=turns, parameters=parameters, **rest)


class Heard:
    """What came of one question, the error it ended with included."""

    def __init__(self, chunks: Sequence[Chunk], error: ModelError | None) -> None:
        self.chunks = list(chunks)
        self.error = error
        self.content = "".join(chunk.text for chunk in chunks if isinstance(chunk, ContentChunk))
        self.thinking = "".join(chunk.text for chunk in chunks if isinstance(chunk, ThinkingChunk))
        self.tool_calls = [chunk for chunk in chunks if isinstance(chunk, ToolCallChunk)]
        self.notices = [chunk.code for chunk in chunks if isinstance(chunk, NoticeChunk)]

    @property
    def final(self) -> FinalChunk:
        assert self.error is None, self.error
        last = self.chunks[-1]
        assert isinstance(last, FinalChunk)
        return last

    @property
    def reason(self) -> str:
        return self.final.statistics.done_reason


async def ask(provider: Provider, request: ChatRequest | None = None) -> Heard:
    chunks: list[Chunk] = []
    try:
        async for chunk in provider.generate_response(request or question()):
            chunks.append(chunk)
    except ModelError as error:
        return Heard(chunks, error)
    return Heard(chunks, None)


class Pulled:
    """What came of one download, the error it ended with included."""

    def __init__(self, lines: Sequence[PullLine], error: ModelError | None) -> None:
        self.lines = list(lines)
        self.error = error

    @property
    def words(self) -> str:
        return self.error.message if self.error is not None else ""


async def pulled(provider: Provider, name: str = "new") -> Pulled:
    lines: list[PullLine] = []
    try:
        async for line in provider.pull_model(name):
            lines.append(line)
    except ModelError as error:
        return Pulled(lines, error)
    return Pulled(lines, None)
