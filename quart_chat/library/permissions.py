"""Who may change what is on this machine. Everybody may look."""

from __future__ import annotations

from quart_chat.entities import OWNER_ID
from quart_chat.errors import ForbiddenError


def may_manage(user_id: str) -> bool:
    """Load, unload, download, copy and delete models. Today: the owner."""
    return user_id == OWNER_ID


def need_manager(user_id: str) -> None:
    """Raises ForbiddenError."""
    if not may_manage(user_id):
        raise ForbiddenError("Only the owner of this server may load, download or delete models.")
