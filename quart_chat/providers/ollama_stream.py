"""One answer as it streams: bytes from the wire, chunks for the reader, and every way it can break."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx

from quart_chat.errors import AnswerCutError, EngineUnavailableError, ModelError, ModelTimeoutError
from quart_chat.providers.base import Chunk
from quart_chat.providers.ndjson import BadLineError, LineDecoder, LineTooLongError
from quart_chat.providers.ollama_call import TRANSPORT_ERRORS, drain, said_by
from quart_chat.providers.ollama_chat import AnswerReader, ChatLine
from quart_chat.providers.ollama_errors import error_from_words, words_of_value

log = logging.getLogger(__name__)

DRAIN_S = 0.5


class AnswerStream:
    """`read` until it returns an empty list; then `done` is the last line with its counts, and `read_out` whether
    nothing more comes on the connection.

    What failed is raised only after everything that had come before was returned.
    """

    def __init__(self, response: httpx.Response, *, model: str, fold_tags: bool, silence_s: float) -> None:
        self.done: ChatLine | None = None
        self.read_out = False
        self._parts: AsyncIterator[bytes] = response.aiter_bytes()
        self._decoder = LineDecoder(ChatLine)
        self._reader = AnswerReader(fold_tags=fold_tags)
        self._model = model
        self._silence_s = silence_s
        self._deadline = 0.0
        self._started = False
        self._failure: ModelError | None = None

    async def read(self) -> list[Chunk]:
        """The next chunks, at least one; [] when the answer is complete.

        Only the engine's silence counts against it, not the time the caller takes between two reads.
        """
        chunks: list[Chunk] = []
        self._heard_something()
        while not chunks:
            if self._failure is not None:
                raise self._failure
            if self.done is not None:
                return []
            await self._step(chunks)
        return chunks

    async def _step(self, chunks: list[Chunk]) -> None:
        try:
            part = await self._next_part()
            self._take(part, chunks)
        except ModelError as error:
            self._failure = error
        except BadLineError as error:
            self._failure = _unreadable(error)
        except TRANSPORT_ERRORS as error:
            self._failure = self._broken(error)
        if self.done is not None:
            self.read_out = await drain(self._parts, DRAIN_S)
        if self.done is not None or self._failure is not None:
            chunks.extend(self._reader.rest())

    async def _next_part(self) -> bytes | None:
        async with asyncio.timeout_at(self._deadline):
            return await anext(self._parts, None)

    def _take(self, part: bytes | None, chunks: list[Chunk]) -> None:
        for line in self._decoder.finish() if part is None else self._decoder.feed(part):
            self._take_line(line, chunks)
            if self.done is not None:
                return
        if part is None:
            raise AnswerCutError("The answer was cut off: the engine stopped in the middle without saying why.")

    def _take_line(self, line: ChatLine, chunks: list[Chunk]) -> None:
        if line.error is not None:
            raise self._reported(words_of_value(line.error))
        self._heard_something()
        self._started = True
        chunks.extend(self._reader.read(line))
        if line.done:
            self.done = line

    def _heard_something(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self._silence_s

    def _reported(self, text: str) -> ModelError:
        log.warning("Ollama broke off an answer of %s: %.500s", self._model, text)
        error = error_from_words(text, self._model)
        return AnswerCutError(f"The answer was cut off. {error.message}") if self._started else error

    def _broken(self, error: Exception) -> ModelError:
        log.warning("an answer of %s broke: %s: %s", self._model, type(error).__name__, said_by(error))
        if isinstance(error, TimeoutError):
            return ModelTimeoutError(f"{self._model} stopped in the middle: nothing came for {self._silence_s:.0f} s.")
        if self._started:
            return AnswerCutError("The answer was cut off: the connection to Ollama broke.")
        return EngineUnavailableError("The connection to Ollama broke before the answer began.")


def _unreadable(error: BadLineError) -> AnswerCutError:
    log.warning("not a line of an answer: %s, in a line of %d bytes or more", error, len(error.line))
    if isinstance(error, LineTooLongError):
        return AnswerCutError("The answer was cut off: the engine sent more at once than an answer can be.")
    return AnswerCutError("The answer was cut off: the engine sent something that is no answer.")
