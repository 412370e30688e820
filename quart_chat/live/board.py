"""The board: what everybody on this server sees beside a conversation: engine, models, queue, list of sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from quart_chat.live.document import Document
from quart_chat.live.revisions import Revisions

KINDS = ("engine", "model", "loaded", "queue", "session", "job", "load", "use", "speed", "update", "machine")
MAX_TOMBSTONES = 200


class Board(Document):
    """Items by kind and key, each with the revision that last changed it; a removed one stays as None.

    Kinds and their items: engine "" → EngineStatus · model name → ModelInfo · loaded name → LoadedModel ·
    queue "" → tuple of QueueEntry · session id → ChatSession · job id → Job, a download · load id → Job, a load ·
    use model name → ModelUse · speed model name → Measurements · update model name → Job, the check that found it ·
    machine "" → when pages were last told to show anew what ages without a change, in ms.
    """

    name = "board"
    patience_s = 0.01
    """A question changes queue, sessions and models at once, and all that must not delay its way to the engine."""

    def __init__(self, revisions: Revisions, user_id: str) -> None:
        super().__init__(revisions)
        self.user_id = user_id
        self._items: dict[str, dict[str, tuple[Any, int]]] = {kind: {} for kind in KINDS}
        self._kind_rev: dict[str, int] = dict.fromkeys(KINDS, self.rev)

    def put(self, kind: str, items: Mapping[str, Any]) -> bool:
        """Make `items` all there is of a kind, in that order; True if anything changed."""
        old = self._items[kind]
        live = [key for key, (value, _) in old.items() if value is not None]
        if live == list(items) and all(old[key][0] == value for key, value in items.items()):
            return False
        rev = self.touch()
        fresh: dict[str, tuple[Any, int]] = {}
        for key, value in items.items():
            before = old.get(key)
            fresh[key] = before if before is not None and before[0] == value else (value, rev)
        gone = [(key, then if value is None else rev) for key, (value, then) in old.items() if key not in fresh]
        gone.sort(key=lambda tombstone: tombstone[1])
        if dropped := gone[:-MAX_TOMBSTONES]:
            self.raise_floor(dropped[-1][1])
        for key, then in gone[-MAX_TOMBSTONES:]:
            fresh[key] = (None, then)
        self._items[kind] = fresh
        self._kind_rev[kind] = rev
        return True

    def get(self, kind: str) -> dict[str, Any]:
        return {key: value for key, (value, _) in self._items[kind].items() if value is not None}

    def changed_kinds(self, since: int | None) -> set[str]:
        return {kind for kind in KINDS if since is None or self._kind_rev[kind] > since}

    def changes(self, since: int | None) -> Iterable[tuple[int, str, str, Any]]:
        """(revision, kind, key, value or None when it is gone), oldest change first; with None all there is."""
        found = [
            (rev, kind, key, value)
            for kind, items in self._items.items()
            for key, (value, rev) in items.items()
            if (value is not None if since is None else rev > since)
        ]
        return sorted(found, key=lambda change: change[0])
