"""A first message that opens its own session, exactly once however often it is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from quart_chat.chat.manager import ChatManager
from quart_chat.chat.whole import done_whole
from quart_chat.entities import Turn
from quart_chat.errors import QuartChatError, StorageError
from quart_chat.persistence.storage import StorageManager

logger = logging.getLogger(__name__)


class Openings:
    """One at a time, so that two sends with one `client_id` cannot both find that there is no session yet."""

    def __init__(self, chat: ChatManager, storage: StorageManager) -> None:
        self._chat = chat
        self._storage = storage
        self._turn = asyncio.Lock()

    @done_whole
    async def send(
        self,
        user_id: str,
        content: str,
        *,
        model: str,
        person: str,
        client_id: str | None,
        changes: Mapping[str, Any],
    ) -> Turn:
        """As `ChatManager.send_message`, in a new session with `changes`, or in the one `client_id` began before.

        Where the message is refused no empty session stays behind.
        """
        self._chat.check_content(content, client_id)
        async with self._turn:
            begun = await self._storage.find_session(user_id, client_id) if client_id else None
            session_id = begun or (await self._chat.create_session(user_id, model=model, fresh=True)).id
            try:
                if changes and begun is None:
                    await self._chat.update_session(session_id, user_id, changes)
                return await self._chat.send_message(session_id, user_id, content, person=person, client_id=client_id)
            except QuartChatError:
                if begun is None:
                    await self._forget(session_id, user_id)
                raise

    async def _forget(self, session_id: str, user_id: str) -> None:
        """An empty session that cannot be deleted now is deleted at a later start."""
        try:
            await self._chat.delete_session(session_id, user_id)
        except StorageError as error:
            logger.warning("the empty session of a refused message stays: %s", error.message)
