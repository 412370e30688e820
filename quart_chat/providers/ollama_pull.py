"""/api/pull: a download as it streams, and every way it can end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import httpx
from msgspec import Struct

from quart_chat.errors import DownloadError, ModelError, ModelTimeoutError
from quart_chat.providers.base import PullLine
from quart_chat.providers.ndjson import BadLineError, LineDecoder
from quart_chat.providers.ollama_call import TRANSPORT_ERRORS, Call, drain, said_by
from quart_chat.providers.ollama_chat import checked_name, encoded
from quart_chat.providers.ollama_errors import words_of_value
from quart_chat.providers.ollama_http import OllamaWire, content_type
from quart_chat.providers.ollama_pull_errors import plain_status, pull_error, pull_refused

log = logging.getLogger(__name__)

SUCCESS = "success"
VERIFYING = "verifying"
DRAIN_S = 0.5
AGAIN = "Start the download again: it goes on where it stopped."


class ReportLine(Struct):
    """One line about a pull or a create: only what is used, every part optional."""

    status: str | None = None
    digest: str | None = None
    total: int | float | None = None
    completed: int | float | None = None
    error: Any = None


async def pull(wire: OllamaWire, name: str, *, silence_s: float) -> AsyncGenerator[PullLine, None]:
    """As `Provider.pull_model` promises. `silence_s`: how long nothing may come, except while it is verified."""
    body = encoded({"model": checked_name(name), "stream": True})
    call = await wire.retried(lambda: _accepted(wire, body, name, silence_s))
    try:
        stream = PullStream(call.response, name=name, silence_s=silence_s)
        while lines := await stream.read():
            for line in lines:
                yield line
        call.read_out = stream.read_out
    finally:
        await wire.hang_up(call)


class PullStream:
    """`read` until it returns an empty list: then the model is there, and `read_out` says whether nothing more
    comes on the connection. What failed is raised only after the lines before it were returned."""

    def __init__(self, response: httpx.Response, *, name: str, silence_s: float) -> None:
        self.read_out = False
        self._parts: AsyncIterator[bytes] = response.aiter_bytes()
        self._decoder = LineDecoder(ReportLine)
        self._name = name
        self._silence_s = silence_s
        self._status = ""
        self._failure: ModelError | None = None

    async def read(self) -> list[PullLine]:
        lines: list[PullLine] = []
        while not lines:
            if self._failure is not None:
                raise self._failure
            if self._status == SUCCESS:
                return []
            await self._step(lines)
        return lines

    async def _step(self, lines: list[PullLine]) -> None:
        try:
            part = await self._next_part()
            for line in self._lines_of(part):
                lines.append(line)  # one by one: those before a failure count
        except ModelError as error:
            self._failure = error
        except BadLineError as error:
            log.warning("not a line of a download: %s", error)
            self._failure = DownloadError(f"The download of {self._name} broke off: the engine sent something else.")
        except TRANSPORT_ERRORS as error:
            self._failure = self._broken(error)
        if self._status == SUCCESS:
            self.read_out = await drain(self._parts, DRAIN_S)

    async def _next_part(self) -> bytes | None:
        patient = self._status.startswith(VERIFYING)
        async with asyncio.timeout(None if patient else self._silence_s):
            return await anext(self._parts, None)

    def _lines_of(self, part: bytes | None) -> Iterator[PullLine]:
        for line in self._decoder.finish() if part is None else self._decoder.feed(part):
            if line.error is not None:
                raise pull_error(words_of_value(line.error), self._name)
            self._status = line.status or ""
            yield _pull_line(line)
            if self._status == SUCCESS:
                return
        if part is None:
            raise DownloadError(f"The download of {self._name} broke off before it was whole. {AGAIN}")

    def _broken(self, error: Exception) -> ModelError:
        log.warning("the download of %s broke: %s: %s", self._name, type(error).__name__, said_by(error))
        if isinstance(error, TimeoutError):
            return _silent(self._name, self._silence_s)
        return DownloadError(f"The connection to Ollama broke while {self._name} was coming. {AGAIN}")


async def _accepted(wire: OllamaWire, body: bytes, name: str, silence_s: float) -> Call:
    """The call whose response is to be read, which the caller must hang up."""
    call = wire.call("/api/pull", body)
    try:
        async with asyncio.timeout(silence_s):
            response = await wire.headers_of(call)
            if response.status_code == 200:
                return call
            refusal = await wire.body_of(response)
        raise pull_refused(response.status_code, content_type(response), refusal, name)
    except BaseException as error:
        await wire.hang_up(call)
        if isinstance(error, TimeoutError):
            raise _silent(name, silence_s) from None
        raise


def _silent(name: str, silence_s: float) -> ModelTimeoutError:
    return ModelTimeoutError(f"Ollama said nothing about the download of {name} for {silence_s:.0f} s. {AGAIN}")


def _pull_line(line: ReportLine) -> PullLine:
    return PullLine(
        status=plain_status(line.status or ""),
        digest=line.digest or "",
        total=max(0, int(line.total or 0)),
        completed=max(0, int(line.completed or 0)),
    )
