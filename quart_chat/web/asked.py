"""What programs want to hear from the engine itself, asked for all of them together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from quart_chat.errors import ModelError
from quart_chat.model_entities import LoadedModel, ModelInfo
from quart_chat.providers.base import Provider

T = TypeVar("T")

KEPT_S = 0.3
"""As often as the library asks by itself, at most."""


class Asked:
    """An answer serves everybody for 0.3 s, unless the board has changed since it was asked for or we changed something
    ourselves: whoever saw a job end is not told what was true before. One question of a kind is out at a time."""

    def __init__(self) -> None:
        self._models: _Question[list[ModelInfo]] = _Question()
        self._loaded: _Question[list[LoadedModel]] = _Question()

    async def models(self, provider: Provider, board_rev: int) -> list[ModelInfo]:
        """Raises ModelError: the one that the last to ask has met."""
        return await self._models.answer(provider.list_models, board_rev)

    async def loaded(self, provider: Provider, board_rev: int) -> list[LoadedModel]:
        return await self._loaded.answer(provider.running_models, board_rev)

    def forget(self) -> None:
        """Something was changed: ask again, whatever is being said just now."""
        self._models.forget()
        self._loaded.forget()


class _Question(Generic[T]):
    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._changes = 0
        self._key: tuple[int, int] | None = None
        self._kept_until = 0.0
        self._answer: T | ModelError | None = None

    async def answer(self, ask: Callable[[], Awaitable[T]], board_rev: int) -> T:
        """Who is cancelled while it asks leaves the question to the next one."""
        async with self._lock:
            key = (self._changes, board_rev)
            if self._key != key or time.monotonic() > self._kept_until or self._answer is None:
                try:
                    self._answer = await ask()
                except ModelError as error:
                    self._answer = error
                self._key = key
                self._kept_until = time.monotonic() + KEPT_S
            if isinstance(self._answer, ModelError):
                raise self._answer.with_traceback(None)
            return self._answer

    def forget(self) -> None:
        self._changes += 1
