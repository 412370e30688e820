"""R13: a process that is killed anywhere in a migration leaves the old schema or the new one, and a whole backup."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from quart_chat.persistence import migrations
from quart_chat.persistence.connection import Connection
from quart_chat.persistence.database import Database
from tests.persistence.version_1 import filled
from tests.reliability.ledger import rows
from tests.reliability.scale import measured, scaled

ROOT = Path(__file__).parents[2]
KILLED = -9
SESSIONS = 40

DIES = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from quart_chat.persistence import connection as product
from tests.reliability.test_migration_kills import STEPS, migrated

points, last = 0, int(sys.argv[2])

def point(*_):
    global points
    points += 1
    if points == last:
        os.kill(os.getpid(), signal.SIGKILL)

class Mortal(product.Connection):
    def _add_conn_hooks(self, conn):
        conn.set_trace_callback(point)
        conn.set_progress_handler(point, 100)
        super()._add_conn_hooks(conn)

product.Connection = Mortal
asyncio.run(migrated(Path(sys.argv[1]), *STEPS))
print(points)
"""
"""A fault point is the beginning of every statement, and every hundred instructions of SQLite inside one."""


def rebuild(connection: Connection) -> None:
    """A step of the kind that hurts when it is cut: a table made anew, filled, swapped, indexed."""
    connection.run("ALTER TABLE message ADD COLUMN colour TEXT")
    connection.run("UPDATE message SET colour = 'red'")
    connection.run("CREATE TABLE palette (id TEXT PRIMARY KEY, title TEXT NOT NULL)")
    connection.run("INSERT INTO palette SELECT id, title FROM session")
    connection.run("UPDATE session SET title = 'moved'")
    connection.run("CREATE INDEX palette_title ON palette (title)")


STEPS = (*migrations.STEPS, rebuild)
LAST = len(STEPS)


async def migrated(path: Path, *steps: object) -> None:
    async with Database(path, steps=steps):  # type: ignore[arg-type]
        pass


async def killed(path: Path, last: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DIES, str(path), str(last)]
    return await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60)


async def points_of(path: Path) -> int:
    """How many there are when nobody dies."""
    done = await killed(path, 0)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def state(path: Path) -> tuple[int, list[str], int]:
    """Schema, titles of the sessions wherever that schema keeps them, and messages. Fails for a mixture."""
    with closing(sqlite3.connect(path)) as database:
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        [(version,)] = rows(database, "PRAGMA user_version")
        tables = {name for (name,) in rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")}
        if version == 0:
            assert not tables
            return 0, [], 0
        columns = {row[1] for row in rows(database, "PRAGMA table_info(message)")}
        assert ("colour" in columns, "palette" in tables) == (version == LAST, version == LAST)
        assert ("job" in tables) == (version >= 2)
        where = "palette" if version == LAST else "session"
        titles = [title for (title,) in rows(database, f"SELECT title FROM {where} ORDER BY title")]
        [(messages,)] = rows(database, "SELECT count(*) FROM message")
    return version, titles, messages


@pytest.mark.parametrize("is_new", [False, True], ids=["old database", "new database"])
async def test_killed_at_any_point_of_a_migration_it_is_old_or_new_and_the_next_start_completes_it(
    tmp_path: Path, is_new: bool
) -> None:
    template = tmp_path / "template.db"
    if not is_new:
        await filled(template, SESSIONS)
    old = state(template) if not is_new else (0, [], 0)
    rehearsal = copy_of(template, tmp_path / "rehearsal")
    points = await points_of(rehearsal)
    new = state(rehearsal)
    between = [(version, *old[1:]) for version in range(old[0] + 1, LAST)]
    wanted = min(points, scaled("migration_kills", 9, 10_000))
    for number in range(wanted):
        path = copy_of(template, tmp_path / f"kill-{number}")
        done = await killed(path, 1 + number * points // wanted)
        assert done.returncode == KILLED, done.stderr
        assert state(path) in [old, *between, new]
        backup = path.with_name("chat.db.before-2.bak")
        assert not backup.exists() or state(backup)[1:] == old[1:]
        if not is_new:
            assert backup.exists() or state(path) == old
        await migrated(path, *STEPS)
        assert state(path) == new
    measured(
        f"R13: killed at {wanted} of {points} points of a migration ({'new' if is_new else 'old'} database): whole"
    )


def copy_of(template: Path, directory: Path) -> Path:
    directory.mkdir()
    path = directory / "chat.db"
    if template.exists():
        path.write_bytes(template.read_bytes())
    return path
