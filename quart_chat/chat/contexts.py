"""One context size per model: a different `num_ctx` would make the engine reload the model for everybody."""

from __future__ import annotations

from msgspec.structs import replace

from quart_chat.config import Settings
from quart_chat.entities import OWNER_ID, Parameters
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.ollama_models import normalise

SETTING = "model_contexts"


class Contexts:
    """Who sets `num_ctx` sets it for the model, whoever uses it; without a setting none is sent."""

    def __init__(self, storage: StorageManager, settings: Settings) -> None:
        self._storage = storage
        self._settings = settings
        self._sizes: dict[str, int] = {}

    async def start(self) -> None:
        stored = (await self._storage.get_settings(OWNER_ID)).get(SETTING, {})
        self._sizes = {str(model): int(size) for model, size in stored.items()}

    def size(self, model: str) -> int | None:
        return self._sizes.get(normalise(model))

    async def set(self, model: str, num_ctx: int | None) -> None:
        key = normalise(model)
        sizes = {name: size for name, size in self._sizes.items() if name != key}
        if num_ctx is not None:
            sizes[key] = num_ctx
        if sizes != self._sizes:
            await self._storage.save_settings(OWNER_ID, {SETTING: sizes})
            self._sizes = sizes

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
