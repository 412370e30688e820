"""The list of sessions beside the conversation, kept true on the owner's board."""

from __future__ import annotations

from msgspec.structs import replace

from quart_chat.live.hub import Hub
from quart_chat.persistence.storage import StorageManager

MAX_LISTED = 100


class Shelf:
    """Reads the newest sessions of a user and puts them on the user's board, drafts left out."""

    def __init__(self, storage: StorageManager, hub: Hub) -> None:
        self._storage = storage
        self._hub = hub

    async def refresh(self, user_id: str) -> None:
        sessions, _ = await self._storage.list_sessions(user_id, limit=MAX_LISTED)
        self._hub.board(user_id).put("session", {s.id: replace(s, draft="") for s in sessions})
