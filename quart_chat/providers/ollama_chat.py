"""/api/chat without the wire: the body of a request, and the chunks that the lines of an answer become."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from quart_chat.entities import Parameters, Statistics
from quart_chat.errors import ModelRefusedError
from quart_chat.providers.base import (
    ChatRequest,
    Chunk,
    ContentChunk,
    FinalChunk,
    PromptTurn,
    ThinkingChunk,
    ToolCallChunk,
)
from quart_chat.providers.think_tags import ThinkTagFilter

BYTES_PER_TOKEN = 4
"""A rule of thumb for English; scripts of several bytes a character come out about right too."""

TOKENS_PER_TURN = 4
WELL_BELOW = 0.8


class CalledFunction(Struct):
    name: str = ""
    arguments: Any = None


class ToolCall(Struct):
    function: CalledFunction
    id: str | None = None


class LineMessage(Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCall] | None = None


class ChatLine(Struct):
    """One line of an answer: only what is used, every part optional."""

    message: LineMessage | None = None
    done: bool = False
    done_reason: str | None = None
    error: Any = None
    load_duration: int | float | None = None
    prompt_eval_count: int | float | None = None
    prompt_eval_duration: int | float | None = None
    eval_count: int | float | None = None
    eval_duration: int | float | None = None


class AnswerReader:
    """Turns lines into chunks, in order. With `fold_tags`, <think> tags at the start become thinking."""

    def __init__(self, *, fold_tags: bool) -> None:
        self._filter = ThinkTagFilter() if fold_tags else None

    def read(self, line: ChatLine) -> Iterator[Chunk]:
        """The chunks of one line, its tool calls included; the final chunk is `final` instead."""
        message = line.message
        if message is None:
            return
        if message.thinking:
            yield ThinkingChunk(message.thinking)
        if message.content:
            if self._filter is None:
                yield ContentChunk(message.content)
            else:
                yield from self._filter.feed(message.content)
        for call in message.tool_calls or ():
            yield ToolCallChunk(call.function.name, _arguments(call.function.arguments), call.id or "")

    def rest(self) -> Iterator[Chunk]:
        """What was held back when the answer ended, however it ended."""
        if self._filter is not None:
            yield from self._filter.finish()


def final_chunk(line: ChatLine) -> FinalChunk:
    return FinalChunk(
        Statistics(
            load_ms=_ms(line.load_duration),
            prompt_tokens=int(line.prompt_eval_count or 0),
            prompt_ms=_ms(line.prompt_eval_duration),
            output_tokens=int(line.eval_count or 0),
            output_ms=_ms(line.eval_duration),
            done_reason=line.done_reason or "stop",
        )
    )


def chat_body(request: ChatRequest, *, think: bool) -> bytes:
    """The JSON to send. Raises `ModelRefusedError` where Ollama would answer with an error about types."""
    if not request.turns:
        raise ModelRefusedError("There is nothing to answer.")
    body: dict[str, Any] = {
        "model": checked_name(request.model),
        "messages": [_message(turn) for turn in request.turns],
        "stream": True,
        "think": think,
    }
    if options := options_from(request.parameters):
        body["options"] = options
    return encoded(_with_keep_alive(body, request.keep_alive))


def load_body(name: str, *, num_ctx: int | None, keep_alive: int | str | None) -> bytes:
    """A chat without messages loads the model, or unloads it when `keep_alive` is 0."""
    body: dict[str, Any] = {"model": checked_name(name), "messages": [], "stream": False}
    if options := options_from(Parameters(num_ctx=num_ctx)):
        body["options"] = options
    return encoded(_with_keep_alive(body, keep_alive))


def show_body(name: str) -> bytes:
    return encoded({"model": checked_name(name)})


def checked_name(name: str) -> str:
    if not name.strip():
        raise ModelRefusedError("Choose a model first.")
    return name


def options_from(parameters: Parameters) -> dict[str, Any]:
    """Ollama's names for what is set; what is None stays out, so that the model's own default holds."""
    options: dict[str, Any] = {
        "temperature": _number("temperature", parameters.temperature),
        "top_p": _number("top_p", parameters.top_p),
        "num_predict": _integer("max_tokens", parameters.max_tokens),
        "top_k": _integer("top_k", parameters.top_k),
        "seed": _integer("seed", parameters.seed),
        "num_ctx": _integer("num_ctx", parameters.num_ctx),
        "stop": _texts("stop", parameters.stop),
    }
    return {name: value for name, value in options.items() if value is not None}


def rough_tokens(request: ChatRequest) -> int:
    """An upper bound for `estimated_tokens` that costs nothing."""
    return sum(TOKENS_PER_TURN + len(turn.content) // BYTES_PER_TOKEN for turn in request.turns)


def estimated_tokens(request: ChatRequest) -> int:
    """What the prompt should measure. Runs of white space count as one: tokenisers fold them."""
    return sum(TOKENS_PER_TURN + _size(turn.content) // BYTES_PER_TOKEN for turn in request.turns)


def looks_cut(request: ChatRequest, read_tokens: int) -> bool:
    """Whether the engine read far fewer tokens than were sent."""
    return 0 < read_tokens < WELL_BELOW * estimated_tokens(request)


def _size(text: str) -> int:
    return len(" ".join(text.split()).encode("utf-8", "replace"))


def _message(turn: PromptTurn) -> dict[str, str]:
    message = {"role": str(turn.role), "content": turn.content}
    if turn.thinking:
        message["thinking"] = turn.thinking
    return message


def _with_keep_alive(body: dict[str, Any], keep_alive: int | str | None) -> dict[str, Any]:
    if isinstance(keep_alive, str) and keep_alive.strip().lstrip("-").isdecimal():
        keep_alive = int(keep_alive)  # Ollama refuses a number in a string
    return body if keep_alive is None else {**body, "keep_alive": keep_alive}


def encoded(body: dict[str, Any]) -> bytes:
    """The JSON to send. Raises `ModelRefusedError` where a text is none."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise ModelRefusedError("The text contains characters that cannot be sent.") from error


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelRefusedError(f"{name} must be a number.")
    return value


def _integer(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelRefusedError(f"{name} must be a whole number.")
    return value


def _texts(name: str, value: object) -> list[str] | None:
    if not value:
        return None
    if not isinstance(value, tuple | list) or not all(isinstance(text, str) for text in value):
        raise ModelRefusedError(f"{name} must be a list of texts.")
    return list(value)


def _arguments(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return {} if value is None else {"value": value}


def _ms(nanoseconds: float | None) -> int:
    return round((nanoseconds or 0) / 1_000_000)
