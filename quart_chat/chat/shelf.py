"""The list of sessions beside the conversation, kept true on the owner's board."""

from __future__ import annotations

from itertools import islice

from msgspec.structs import replace

from quart_chat.entities import ChatSession
from quart_chat.live.hub import Hub
from quart_chat.persistence.storage import StorageManager

MAX_LISTED = 100


class Shelf:
    """Puts the newest sessions of a user on the user's board, drafts left out."""

    def __init__(self, storage: StorageManager, hub: Hub) -> None:
        self._storage = storage
        self._hub = hub
        self._lifted = 0

    async def refresh(self, user_id: str) -> None:
        """Reads the list; again where a session was lifted meanwhile, as what was read may be older."""
        lifted = None
        while lifted != self._lifted:
            lifted = self._lifted
            sessions, _ = await self._storage.list_sessions(user_id, limit=MAX_LISTED)
        self._put(user_id, {session.id: session for session in sessions})

    def lift(self, session: ChatSession) -> None:
        """It was just spoken in: to the top with it, as reading the list would."""
        self._lifted += 1
        listed = self._hub.board(session.user_id).get("session")
        listed.pop(session.id, None)
        self._put(session.user_id, {session.id: session, **listed})

    def _put(self, user_id: str, sessions: dict[str, ChatSession]) -> None:
        newest = {id: replace(session, draft="") for id, session in islice(sessions.items(), MAX_LISTED)}
        self._hub.board(user_id).put("session", newest)
