"""A person's settings: JSON values under keys."""

from __future__ import annotations

from typing import Any

import msgspec

from quart_chat.persistence import users
from quart_chat.persistence.rows import to_json, tuples
from quart_chat.persistence.tables import SettingRow


def get(user_id: str) -> dict[str, Any]:
    users.must_exist(user_id)
    rows = SettingRow.select(SettingRow.key, SettingRow.value).where(SettingRow.user_id == user_id)
    return {key: msgspec.json.decode(value) for key, value in tuples(rows.order_by(SettingRow.key))}


def save(user_id: str, changes: dict[str, Any]) -> None:
    users.must_exist(user_id)
    for key, value in changes.items():
        if value is None:
            SettingRow.delete().where(SettingRow.user_id == user_id, SettingRow.key == key).execute()
        else:
            SettingRow.insert(user_id=user_id, key=key, value=to_json(value)).on_conflict_replace().execute()
