"""Who used which model last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from quart_chat.entities import now_ms
from quart_chat.events import QueueEntry
from quart_chat.model_entities import ModelUse
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.ollama_models import normalise


class Uses:
    """By normalised name. While an answer runs, the use is as old as the answer; from its end on, as old as its end."""

    def __init__(self, storage: StorageManager) -> None:
        self._storage = storage
        self._uses: dict[str, ModelUse] = {}
        self._running: dict[str, QueueEntry] = {}

    @property
    def known(self) -> Mapping[str, ModelUse]:
        return MappingProxyType(self._uses)

    async def start(self) -> None:
        for use in await self._storage.latest_uses():
            self.note(use)

    def note(self, use: ModelUse) -> bool:
        """True if it is news."""
        key = normalise(use.model)
        old = self._uses.get(key)
        if old is not None and (old.at > use.at or old == use):
            return False
        self._uses[key] = use
        return True

    def follow(self, entries: Iterable[QueueEntry]) -> bool:
        """The queue as it stands: what runs is a use, and what ran until now was one. True if that is news."""
        running = {entry.generation_id: entry for entry in entries if not entry.position}
        over = [entry for id, entry in self._running.items() if id not in running]
        begun = [entry for id, entry in running.items() if id not in self._running]
        self._running = running
        news = [self.note(_use(entry, now_ms())) for entry in over] + [self.note(_use(e, e.since)) for e in begun]
        return any(news)

    def named(self, names: Iterable[str]) -> dict[str, ModelUse]:
        """By the names that the engine gives them; those it does not know by the name they were used under."""
        shown = {normalise(name): name for name in names}
        return {shown.get(key, use.model): use for key, use in self._uses.items()}


def _use(entry: QueueEntry, at: int) -> ModelUse:
    return ModelUse(
        model=entry.model,
        session_id=entry.session_id,
        user_id=entry.user_id,
        person=entry.person,
        who=entry.who,
        at=at,
    )
