"""What is set for a model, whoever uses it: its context size, and how long it stays in memory.

A different `num_ctx` would make the engine reload the model for everybody, and the last `keep_alive` sent counts.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from quart_chat.config import Settings
from quart_chat.entities import OWNER_ID, Parameters
from quart_chat.errors import InvalidInputError
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.ollama_models import normalise

SIZES = "model_contexts"
KEEP_ALIVES = "model_keep_alives"

CHOICES: tuple[int | str | None, ...] = (None, "5m", "30m", "2h", "24h", -1)
"""Of `keep_alive`. None: as the engine is set up; -1: until it is unloaded."""


class Contexts:
    """What is set here is sent with every request to the model; what is not set is not sent."""

    def __init__(self, storage: StorageManager, settings: Settings) -> None:
        self._storage = storage
        self._settings = settings
        self._sizes: dict[str, int] = {}
        self._keep_alives: dict[str, int | str] = {}
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        stored = await self._storage.get_settings(OWNER_ID)
        self._sizes = dict(stored.get(SIZES, {}))
        self._keep_alives = dict(stored.get(KEEP_ALIVES, {}))

    def size(self, model: str) -> int | None:
        return self._sizes.get(normalise(model))

    async def set(self, model: str, num_ctx: int | None) -> None:
        async with self._changing:
            self._sizes = await self._changed(SIZES, self._sizes, model, num_ctx)

    def keep_alive(self, model: str) -> int | str | None:
        """One of `CHOICES`."""
        return self._keep_alives.get(normalise(model))

    async def set_keep_alive(self, model: str, value: int | str | None) -> None:
        """Counts from the next request to the model on. InvalidInputError: not one of `CHOICES`."""
        if value not in CHOICES:
            raise InvalidInputError("Choose how long the model stays in memory.", {"keep_alive": "not one of these"})
        async with self._changing:
            self._keep_alives = await self._changed(KEEP_ALIVES, self._keep_alives, model, value)

    def complete(self, model: str, parameters: Parameters) -> Parameters:
        """The parameters to send: the session's own, the server's defaults behind them, the model's context."""
        settings = self._settings
        temperature = parameters.temperature
        return replace(
            parameters,
            temperature=settings.model_default_temperature if temperature is None else temperature,
            max_tokens=parameters.max_tokens or settings.model_default_max_tokens,
            top_p=parameters.top_p if parameters.top_p is not None else settings.model_default_top_p,
            num_ctx=self.size(model),
        )

    async def _changed(self, setting: str, old: dict[str, Any], model: str, value: Any) -> dict[str, Any]:
        """`old` with `value` for `model`, stored; None takes it out."""
        key = normalise(model)
        new = {name: kept for name, kept in old.items() if name != key}
        if value is not None:
            new[key] = value
        if new != old:
            await self._storage.save_settings(OWNER_ID, {setting: new})
        return new
