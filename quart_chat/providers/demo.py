"""`DemoProvider`: a talker that needs no engine, so that everything can be tried before Ollama is there."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import AsyncGenerator, Sequence

from quart_chat.entities import LoadedModel, ModelInfo, Role, Statistics
from quart_chat.errors import ModelNotFoundError, ModelRefusedError
from quart_chat.providers.base import ChatRequest, Chunk, ContentChunk, FinalChunk, PromptTurn
from quart_chat.providers.demo_rules import MENTIONED, NOTHING_HEARD, REMEMBERED, RULES, turned_round
from quart_chat.providers.demo_texts import INTRODUCTION, topic

DEMO_MODEL = "demo"
WORDS_PER_S = 20.0
LONGEST_HEARD = 2000
"""Characters of a message that the rules look at."""


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

    async def list_models(self) -> list[ModelInfo]:
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

    async def generate_response(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        _check(request.model)
        if not request.turns:
            raise ModelRefusedError("There is nothing to answer.")
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


def answer(turns: Sequence[PromptTurn]) -> str:
    """What the demo says next. After a turn of its own that is unfinished: the rest of it."""
    if turns[-1].role != Role.ASSISTANT:
        return _reply(turns)
    begun, before = turns[-1].content, turns[:-1]
    whole = _reply(before) if before else ""
    return whole[len(begun) :] if whole.startswith(begun) else " " + _pick(NOTHING_HEARD, begun)


def _reply(turns: Sequence[PromptTurn]) -> str:
    said = [turn.content[:LONGEST_HEARD] for turn in turns if turn.role == Role.USER]
    first = not any(turn.role == Role.ASSISTANT for turn in turns)
    question = said[-1].strip() if said else ""
    text = topic(question) or _small_talk(question, said[:-1])
    return (INTRODUCTION if first else "") + text


def _small_talk(question: str, earlier: Sequence[str]) -> str:
    seed = f"{len(earlier)} {question}"
    for rule in RULES:
        if (found := rule.pattern.search(question)) is not None:
            return _filled(_pick(rule.replies, seed), *found.groups())
    for text in reversed(earlier):
        if (mentioned := MENTIONED.search(text)) is not None:
            return _filled(_pick(REMEMBERED, seed), mentioned[1])
    return _pick(NOTHING_HEARD, seed)


def _filled(reply: str, *caught: str) -> str:
    return reply.replace("{0}", turned_round(caught[0])) if caught else reply


def _pick(choices: Sequence[str], seed: str) -> str:
    return choices[zlib.crc32(seed.encode("utf-8", "replace")) % len(choices)]


def _check(name: str) -> None:
    if name != DEMO_MODEL:
        raise ModelNotFoundError(f"{name} is not a model of the demo.")
