"""How long things usually take on this machine, from what earlier generations measured."""

from __future__ import annotations

from quart_chat.chat.turns import Ticket
from quart_chat.entities import Measurements
from quart_chat.persistence.storage import StorageManager


class Estimates:
    """Medians per model, kept in memory and read again after each generation. None: nothing measured yet."""

    def __init__(self, storage: StorageManager) -> None:
        self._storage = storage
        self._known: dict[str, Measurements] = {}

    async def prepare(self, model: str) -> None:
        if model not in self._known:
            await self.refresh(model)

    async def refresh(self, model: str) -> None:
        self._known[model] = await self._storage.measurements(model)

    def duration_s(self, ticket: Ticket) -> float | None:
        """From the start of a generation to its last token."""
        known = self._known.get(ticket.model)
        if known is None or not known.count or not known.tokens_per_s:
            return None
        return known.first_token_ms / 1000 + known.output_tokens / known.tokens_per_s

    def load_s(self, model: str) -> float | None:
        known = self._known.get(model)
        return known.load_ms / 1000 if known is not None and known.load_ms else None

    def reading_s(self, model: str, tokens: int) -> float | None:
        known = self._known.get(model)
        if known is None or not known.prompt_tokens_per_s:
            return None
        return tokens / known.prompt_tokens_per_s
