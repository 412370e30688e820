"""Waits for the first sign of an answer, and tells a slow engine from one that will never answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
from msgspec import Struct

from quart_chat.errors import ModelError, ModelTimeoutError
from quart_chat.model_entities import LoadedModel
from quart_chat.providers.ollama_models import same_model

PROMPT_TOKENS_PER_S = 10
"""A very slow machine reads a prompt about this fast; it must not be taken for a dead one."""

POLL_S = 1.0


class StuckError(Exception):
    """The model is in memory, nothing of ours keeps it busy, and still it gives nothing."""


class Patience(Struct, frozen=True):
    """`stuck_s`: how long a loaded model may be silent. `limit_s`: the end, loaded or not."""

    stuck_s: float
    limit_s: float
    poll_s: float

    @classmethod
    def of(cls, *, timeout_s: float, stuck_after_s: float | None, prompt_tokens: int) -> Patience:
        stuck_s = min(60.0, timeout_s) if stuck_after_s is None else stuck_after_s
        reading_s = prompt_tokens / PROMPT_TOKENS_PER_S
        return cls(
            stuck_s=min(stuck_s + reading_s, max(stuck_s, timeout_s)),
            limit_s=2 * timeout_s,
            poll_s=min(POLL_S, stuck_s / 2),
        )


class HeaderWatch:
    """Watches one request. `alone`: whether nothing else of ours is being answered by that model."""

    def __init__(
        self,
        model: str,
        patience: Patience,
        *,
        running: Callable[[], Coroutine[Any, Any, list[LoadedModel]]],
        alone: Callable[[], bool],
    ) -> None:
        self._model = model
        self._patience = patience
        self._running = running
        self._alone = alone
        self._silent_since: float | None = None

    async def wait(self, sending: asyncio.Task[httpx.Response]) -> None:
        """Returns when `sending` is done. Raises `StuckError`, or `ModelTimeoutError` at the limit."""
        started = time.monotonic()
        while not await _done(sending, self._patience.poll_s):
            self._silent_since = await self._still_silent(sending)
            now = time.monotonic()
            if self._silent_since is not None and now - self._silent_since >= self._patience.stuck_s:
                raise StuckError
            if now - started >= self._patience.limit_s:
                raise ModelTimeoutError(f"{self._model} gave no answer in {self._patience.limit_s:.0f} s.")

    async def _still_silent(self, sending: asyncio.Task[httpx.Response]) -> float | None:
        """Since when a loaded model has been silent; None while it is loading or busy with our other work."""
        asking = asyncio.create_task(self._loaded())
        try:
            await asyncio.wait({sending, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done() or not asking.result() or not self._alone():
                return None
            return self._silent_since or time.monotonic()
        finally:
            asking.cancel()

    async def _loaded(self) -> bool:
        try:
            return any(same_model(model.name, self._model) for model in await self._running())
        except ModelError:
            return False  # the request itself will tell what is wrong


async def _done(sending: asyncio.Task[httpx.Response], timeout_s: float) -> bool:
    done, _ = await asyncio.wait({sending}, timeout=timeout_s)
    return bool(done)
