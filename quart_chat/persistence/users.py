"""Users as rows: plain functions for one transaction."""

from __future__ import annotations

from quart_chat.errors import NotFoundError
from quart_chat.persistence.tables import UserRow


def must_exist(user_id: str) -> None:
    if not UserRow.select().where(UserRow.id == user_id).exists():
        raise NotFoundError("This user does not exist (any more).")
