"""From a question to the first byte of its answer: retries, a model that cannot think, a dead slot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import httpx

from quart_chat.errors import ModelError, ModelTimeoutError
from quart_chat.providers.base import ChatRequest, NoticeChunk
from quart_chat.providers.ollama_call import Call
from quart_chat.providers.ollama_chat import chat_body
from quart_chat.providers.ollama_errors import error_from_answer, is_no_thinking
from quart_chat.providers.ollama_http import OllamaWire, content_type
from quart_chat.providers.ollama_shelf import QUICK_S, OllamaShelf
from quart_chat.providers.ollama_watch import HeaderWatch, Patience, StuckError

log = logging.getLogger(__name__)


class Opening:
    """One request until its headers. `think` is what was asked in the end; `alone` as in `HeaderWatch`."""

    def __init__(
        self,
        request: ChatRequest,
        *,
        think: bool,
        patience: Patience,
        wire: OllamaWire,
        shelf: OllamaShelf,
        alone: Callable[[], bool],
    ) -> None:
        self.think = think
        self._request = request
        self._body = chat_body(request, think=think)
        self._patience = patience
        self._wire = wire
        self._shelf = shelf
        self._alone = alone
        self._restarted = False

    async def answered(self) -> Call | None:
        """The call whose response is to be read, which the caller must hang up.

        None, once: the model held a dead slot and was unloaded; ask again.
        """
        try:
            return await self._wire.retried(self._accepted)
        except StuckError:
            await self._restart()
            return None

    async def _accepted(self) -> Call:
        call = self._wire.call("/api/chat", self._body)
        response = await self._first_sign(call)
        if response.status_code == 200:
            return call
        try:
            body = await self._error_body(response)
        finally:
            await self._wire.hang_up(call)
        if self.think and is_no_thinking(response.status_code, body):
            self.think = False
            self._body = chat_body(self._request, think=False)
            return await self._accepted()
        raise error_from_answer(response.status_code, content_type(response), body, self._request.model)

    async def _first_sign(self, call: Call) -> httpx.Response:
        sending = asyncio.create_task(self._wire.headers_of(call))
        watch = HeaderWatch(self._request.model, self._patience, running=self._shelf.running, alone=self._alone)
        try:
            await watch.wait(sending)
            return sending.result()
        except BaseException:
            await self._wire.hang_up(call, sending)
            raise

    async def _error_body(self, response: httpx.Response) -> bytes:
        try:
            async with asyncio.timeout(QUICK_S):
                return await self._wire.body_of(response)
        except TimeoutError:
            return b""  # the status has to do

    async def _restart(self) -> None:
        name = self._request.model
        if self._restarted:
            raise ModelTimeoutError(f"{name} gives no answer, not even after it was loaded anew.")
        self._restarted = True
        log.warning("%s is loaded and silent: unloading it to free its slot", name)
        try:
            await self._shelf.unload(name)
        except ModelError as error:
            raise ModelTimeoutError(f"{name} gives no answer and could not be loaded anew.") from error


def restarted_notice(model: str) -> NoticeChunk:
    return NoticeChunk("restarted", f"{model} seemed stuck and was loaded anew.")
