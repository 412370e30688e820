"""How long things usually take on this machine, from what earlier generations measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from quart_chat.chat.turns import Ticket
from quart_chat.model_entities import Measurements
from quart_chat.persistence.storage import StorageManager

NOTHING = Measurements()


class Estimates:
    """Medians per model, kept in memory and read again after each generation. None: nothing measured yet.

    `on_change` gets all that is `known` whenever it has changed.
    """

    def __init__(
        self, storage: StorageManager, on_change: Callable[[Mapping[str, Measurements]], object] | None = None
    ) -> None:
        self._storage = storage
        self._on_change = on_change
        self._by_model: dict[str, Measurements] = {}

    @property
    def known(self) -> Mapping[str, Measurements]:
        """By model, those of which something was measured; in the order of the names, not changed any more."""
        return {model: known for model, known in sorted(self._by_model.items()) if known != NOTHING}

    async def start(self) -> None:
        """Reads what is known of every model."""
        self._by_model = await self._storage.all_measurements()
        self._tell()

    async def prepare(self, model: str) -> None:
        if model not in self._by_model:
            await self.refresh(model)

    async def refresh(self, model: str) -> None:
        """Something was measured: an answer, or a load asked for by hand."""
        before = self._by_model.get(model, NOTHING)
        self._by_model[model] = after = await self._storage.measurements(model)
        if after != before:
            self._tell()

    def duration_s(self, ticket: Ticket) -> float | None:
        """From the start of a generation to its last token."""
        known = self._by_model.get(ticket.model)
        if known is None or not known.count or not known.tokens_per_s:
            return None
        return known.first_token_ms / 1000 + known.output_tokens / known.tokens_per_s

    def load_s(self, model: str) -> float | None:
        known = self._by_model.get(model)
        return known.load_ms / 1000 if known is not None and known.load_ms else None

    def reading_s(self, model: str, tokens: int) -> float | None:
        known = self._by_model.get(model)
        if known is None or not known.prompt_tokens_per_s:
            return None
        return tokens / known.prompt_tokens_per_s

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self.known)
