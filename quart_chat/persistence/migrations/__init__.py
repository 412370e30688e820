"""From one schema to the next: each step once, in order, in one transaction with its number."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from quart_chat.errors import StorageError
from quart_chat.persistence.connection import Connection
from quart_chat.persistence.migrations import m0001_initial, m0002_jobs

Step = Callable[[Connection], None]

STEPS: tuple[Step, ...] = (m0001_initial.upgrade, m0002_jobs.upgrade)
"""Append only: the number of a step is its place, kept in the file as `user_version`."""


def refuse_unknown(connection: Connection, steps: Sequence[Step] = STEPS) -> None:
    """StorageError when the file is newer than this program or not ours. Changes nothing."""
    version = version_of(connection)
    if version > len(steps):
        raise StorageError(
            "The database belongs to a newer version of quart-chat. Update quart-chat, or restore a backup.",
            retry=False,
        )
    if version == 0 and connection.get_tables():
        raise StorageError("This file is a database of another program, so it was left alone.", retry=False)


def migrate(connection: Connection, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Applies what is missing. A crash or an error leaves the schema of the last complete step.

    Before the first step on a database that holds something, `<path>.before-<step>.bak` is written.
    """
    version = version_of(connection)
    if 0 < version < len(steps):
        back_up(connection, path.with_name(f"{path.name}.before-{version + 1}.bak"))
    for number in range(version + 1, len(steps) + 1):
        _apply(connection, number, steps[number - 1])


def version_of(connection: Connection) -> int:
    """How many steps the file has seen; 0 for a new one."""
    return int(connection.pragma("user_version"))


def back_up(connection: Connection, target: Path) -> None:
    """A whole copy under `target`, replacing an older one; a copy cut short never has that name."""
    partial = target.with_name(f"{target.name}.part")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600))
    copy = sqlite3.connect(partial)
    try:
        connection.raw.backup(copy)
    finally:
        copy.close()
    partial.replace(target)


def _apply(connection: Connection, number: int, step: Step) -> None:
    with connection.atomic("IMMEDIATE"):
        # Another process may have been quicker while this one waited for the lock.
        if version_of(connection) >= number:
            return
        step(connection)
        connection.pragma("user_version", number)
