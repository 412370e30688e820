"""Steps between schemas: all or nothing, once, after a backup."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import peewee
import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.errors import StorageError
from quart_chat.persistence import tables
from quart_chat.persistence.connection import Connection
from quart_chat.persistence.database import Database
from quart_chat.persistence.migrations import STEPS
from quart_chat.persistence.migrations.m0001_initial import upgrade as initial
from quart_chat.persistence.storage import StorageManager
from tests.persistence import version_1

ROOT = Path(__file__).parents[2]
ROWS = [tables.UserRow, tables.SessionRow, tables.MessageRow, tables.GenerationRow, tables.JobRow, tables.SettingRow]


def add_column(connection: Connection) -> None:
    connection.run("ALTER TABLE session ADD COLUMN colour TEXT")


def fail_half_way(connection: Connection) -> None:
    add_column(connection)
    connection.run("DELETE FROM user")
    raise peewee.OperationalError("out of luck")


def die_half_way(connection: Connection) -> None:
    add_column(connection)
    connection.run("DELETE FROM user")
    os._exit(9)


async def opened(path: Path, *steps: object) -> None:
    async with Database(path, steps=steps):  # type: ignore[arg-type]
        pass


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute("PRAGMA user_version").fetchone()[0])


def columns(path: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(path)) as other:
        return {row[1] for row in other.execute(f"PRAGMA table_info({table})")}


def users(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as other:
        return [user for (user,) in other.execute("SELECT id FROM user")]


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of ours with every row."""
    with closing(sqlite3.connect(path)) as other:
        names = [name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        mine = [name for name in names if "search" not in name]
        return {name: other.execute(f"SELECT * FROM {name}").fetchall() for name in mine}


def content(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_new_file_gets_the_schema_and_the_owner_and_no_backup(path: Path) -> None:
    await opened(path, *STEPS)
    assert version(path) == len(STEPS)
    assert users(path) == ["owner"]
    assert list(path.parent.glob("*.bak*")) == []


@pytest.mark.parametrize("row", ROWS)
async def test_rows_and_schema_name_the_same_columns(database: Database, path: Path, row: type[tables.Row]) -> None:
    meta = row._meta
    assert columns(path, meta.table_name) == {field.column_name for field in meta.sorted_fields}


async def test_a_step_is_applied_once_after_a_backup_of_the_old(path: Path) -> None:
    await opened(path, initial)
    await opened(path, initial, add_column)
    await opened(path, initial, add_column)
    assert version(path) == 2
    assert "colour" in columns(path, "session")
    backup = path.with_name("chat.db.before-2.bak")
    assert version(backup) == 1
    assert "colour" not in columns(backup, "session")
    assert users(backup) == ["owner"]
    assert backup.stat().st_mode & 0o777 == 0o600


async def test_a_database_of_version_1_keeps_all_it_has(path: Path) -> None:
    await version_1.filled(path, 3)
    before = everything(path)
    async with Database(path) as database:
        storage = StorageManager(database)
        generation = await storage.get_generation("g3", OWNER_ID)
        assert generation.statistics is not None
        assert (generation.ended_at, generation.statistics.load_ms) == (3, 2000)
        assert [sample.at for sample in await storage.samples("m")] == [1, 2, 3]
        assert (await storage.measurements("m")).load_ms == 2000
        assert (await storage.search(OWNER_ID, "word"))[1] == 3
        assert await storage.list_jobs() == []
    after = everything(path)
    assert after.pop("job") == []
    assert {row[-1] for row in after["generation"]} == {0}, "the engine's own context size"
    after["generation"] = [row[:-1] for row in after["generation"]]
    assert after == before
    assert everything(path.with_name("chat.db.before-2.bak")) == before


async def test_a_step_that_fails_leaves_the_old_schema_whole(path: Path) -> None:
    await opened(path, initial)
    with pytest.raises(StorageError):
        await opened(path, initial, fail_half_way)
    assert version(path) == 1
    assert "colour" not in columns(path, "session")
    assert users(path) == ["owner"]
    assert path.with_name("chat.db.before-2.bak").exists()
    await opened(path, initial, add_column)
    assert version(path) == 2


async def test_a_process_killed_in_a_step_leaves_the_old_schema_whole(path: Path) -> None:
    await opened(path, initial)
    script = (
        "import asyncio, sys; from pathlib import Path; import tests.persistence.test_migrations as t; "
        "asyncio.run(t.opened(Path(sys.argv[1]), t.initial, t.die_half_way))"
    )
    command = [sys.executable, "-c", script, path]
    process = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, timeout=30)
    assert process.returncode == 9
    assert version(path) == 1
    assert "colour" not in columns(path, "session")
    assert users(path) == ["owner"]


async def test_a_newer_database_is_refused_and_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE future (x)")
        other.execute("PRAGMA user_version = 99")
    before = content(path)
    with pytest.raises(StorageError) as caught:
        await opened(path, *STEPS)
    assert "newer version" in caught.value.message
    assert not caught.value.retry
    assert content(path) == before
    assert [file.name for file in path.parent.iterdir()] == ["chat.db"]


async def test_a_database_of_another_program_is_refused_and_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE accounts (x)")
    before = content(path)
    with pytest.raises(StorageError):
        await opened(path, *STEPS)
    assert content(path) == before


async def test_two_that_open_a_new_file_at_once_make_one_schema(path: Path) -> None:
    await asyncio.gather(*(opened(path, *STEPS) for _ in range(4)))
    assert version(path) == len(STEPS)
    assert users(path) == ["owner"]
