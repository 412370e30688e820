"""Backup, restore and check as one types them: whole, consistent, and never at the cost of what is there."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from quart_chat.errors import StorageError
from quart_chat.persistence.backup import back_up, examine, restore
from quart_chat.persistence.database import Database
from quart_chat.persistence.migrations import STEPS
from quart_chat.persistence.storage import StorageManager
from tests.e2e.processes import PRODUCT, started
from tests.persistence import version_1
from tests.persistence.test_durability import acknowledged_until_killed, writing
from tests.test_cli import run

TABLES = ("user", "session", "message", "generation", "setting", "job")


def database_below(directory: Path) -> Path:
    path = directory / "data" / "quart-chat.db"
    path.parent.mkdir(exist_ok=True)
    return path


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}


def named(directory: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in directory.glob(pattern))


def questions(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT client_id FROM message WHERE client_id IS NOT NULL")}


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def filled(path: Path, count: int = 20) -> set[str]:
    """A database with at least so many questions, closed properly: their client ids."""
    acknowledged = await acknowledged_until_killed(path, count)
    async with Database(path) as database:
        await StorageManager(database).recover()
    return set(acknowledged)


async def test_a_backup_under_write_load_has_all_that_was_acknowledged_before_and_comes_back_whole(
    tmp_path: Path,
) -> None:
    async with writing(database_below(tmp_path)) as acknowledged:
        before = [await anext(acknowledged) for _ in range(200)]
        made = asyncio.create_task(asyncio.to_thread(run, tmp_path, "backup", "copy.db"))
        after = [await anext(acknowledged)]
        while not made.done():
            after.append(await anext(acknowledged))
        done = await made
    assert (done.returncode, done.stderr) == (0, "")
    assert len(after) > 20, "the writers went on"
    copy = tmp_path / "copy.db"
    assert set(before) <= questions(copy)
    assert named(tmp_path, "copy*") == ["copy.db"], "one file"
    assert examine(copy).problems == ()

    other = tmp_path / "other"
    back = run(tmp_path, "restore", "copy.db", DATA_DIR=str(other))
    assert (back.returncode, back.stderr) == (0, "")
    assert rows(other / "quart-chat.db") == rows(copy)
    assert run(tmp_path, "check", DATA_DIR=str(other)).returncode == 0


async def test_a_running_server_is_backed_up_not_restored_into_and_serves_the_backup_afterwards(tmp_path: Path) -> None:
    backup, again = tmp_path / "copy.db", ("restore", "copy.db")
    async with started(tmp_path, PRODUCT, DEMO="on") as server, httpx.AsyncClient(base_url=server.url) as http:
        await http.post("/api/chat/message", json={"content": "before", "model": "demo"})
        assert (await asyncio.to_thread(run, tmp_path, "backup", "copy.db")).returncode == 0
        await http.post("/api/chat/message", json={"content": "after", "model": "demo"})
        refused = await asyncio.to_thread(run, tmp_path, *again)
        assert refused.returncode == 1
        assert f"another quart-chat (process {server.process.pid})" in refused.stderr
        assert (await http.get("/api/history", params={"q": "after"})).json()["total"] == 1
        await server.stop()
    kept = rows(database_below(tmp_path))
    done = await asyncio.to_thread(run, tmp_path, *again)
    assert done.returncode == 0, done.stderr
    assert rows(database_below(tmp_path)) == rows(backup)
    (aside,) = database_below(tmp_path).parent.glob("*.before-restore-*.bak")
    assert str(aside) in done.stdout
    assert rows(aside) == kept
    async with started(tmp_path, PRODUCT) as server, httpx.AsyncClient(base_url=server.url) as http:
        totals = [(await http.get("/api/history", params={"q": word})).json()["total"] for word in ("before", "after")]
        assert totals == [1, 0]


async def test_restoring_over_what_a_killed_server_left_keeps_that_whole(tmp_path: Path) -> None:
    database, backup = database_below(tmp_path), tmp_path / "copy.db"
    first = await filled(database)
    back_up(database, backup)
    second = set(await acknowledged_until_killed(database, 20))
    assert database.with_name(f"{database.name}-wal").exists(), "the kill left a WAL"
    _, aside = restore(backup, database)
    assert aside is not None
    assert first | second <= questions(aside)
    assert questions(database) == questions(backup)
    assert sorted(path.name for path in database.parent.iterdir()) == sorted([database.name, aside.name])


async def test_a_damaged_database_is_told_and_replaces_no_good_backup(tmp_path: Path) -> None:
    database, backup = database_below(tmp_path), tmp_path / "copy.db"
    await filled(database)
    back_up(database, backup)
    good = backup.read_bytes()
    with database.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096)
    done = run(tmp_path, "backup", "copy.db", "--replace")
    assert done.returncode == 1
    assert "is damaged, so no backup was written" in done.stderr
    assert backup.read_bytes() == good
    assert named(tmp_path, "copy*") == ["copy.db"]
    checked = run(tmp_path, "check")
    assert checked.returncode == 1
    assert "problem: " in checked.stdout


def search_out_of_step(path: Path) -> None:
    changed(path, "DROP TRIGGER message_search_update", "UPDATE message SET content = 'other' WHERE row = 1")


def reference_to_nobody(path: Path) -> None:
    changed(path, "PRAGMA foreign_keys = OFF", "DELETE FROM session WHERE row = 1")


@pytest.mark.parametrize(
    ("harm", "said"),
    [(search_out_of_step, "message_search is not in step"), (reference_to_nobody, "belongs to a session")],
)
async def test_check_says_what_it_found(tmp_path: Path, harm: Callable[[Path], None], said: str) -> None:
    database = database_below(tmp_path)
    await filled(database)
    assert examine(database).problems == ()
    harm(database)
    assert said in examine(database).problems[0]


def newer(path: Path) -> None:
    changed(path, "PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    changed(path, "PRAGMA user_version = 0")


def text(path: Path) -> None:
    path.write_text("no database " * 1000)


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (newer, "newer version"),
        (foreign, "not a database of quart-chat"),
        (text, "damaged"),
        (gone, "There is no database at"),
        (reference_to_nobody, "was not restored"),
    ],
)
async def test_an_unfit_backup_is_refused_and_the_data_stays(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    database, backup = database_below(tmp_path), tmp_path / "copy.db"
    await filled(database)
    back_up(database, backup)
    harm(backup)
    before = {path: path.read_bytes() for path in database.parent.iterdir()}
    with pytest.raises(StorageError) as caught:
        restore(backup, database)
    assert said in caught.value.message
    assert {path: path.read_bytes() for path in database.parent.iterdir()} == before


async def test_a_backup_never_overwrites_unasked_and_never_the_database(tmp_path: Path) -> None:
    database, backup = database_below(tmp_path), tmp_path / "copy.db"
    await filled(database)
    back_up(database, backup)
    before = backup.read_bytes()
    for target, replace in ((backup, False), (database, True), (tmp_path, True)):
        with pytest.raises(StorageError, match="exists already"):
            back_up(database, target, replace=replace)
    assert backup.read_bytes() == before
    assert back_up(database, backup, replace=True).problems == ()
    with pytest.raises(StorageError, match="is the database itself"):
        restore(database, database)


async def test_a_backup_of_an_older_version_comes_back_and_is_brought_up_to_date(tmp_path: Path) -> None:
    database, backup = database_below(tmp_path), tmp_path / "copy.db"
    await version_1.filled(tmp_path / "old.db", 3)
    assert back_up(tmp_path / "old.db", backup).version == 1
    restore(backup, database)
    async with Database(database) as opened:
        assert len(await StorageManager(opened).samples("m")) == 3
    found = examine(database)
    assert (found.problems, found.version, found.messages) == ((), len(STEPS), 6)


async def test_nobody_else_may_read_a_backup(tmp_path: Path) -> None:
    database, backup = database_below(tmp_path), tmp_path / "copy.db"
    await filled(database)
    back_up(database, backup)
    restore(backup, database)
    assert [path.stat().st_mode & 0o777 for path in (backup, database)] == [0o600, 0o600]


@pytest.mark.parametrize("command", ["backup copy.db", "restore copy.db", "check"])
def test_without_a_database_it_is_one_sentence(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, *command.split())
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "There is no database at" in done.stderr
    memory = run(tmp_path, *command.split(), HISTORY_STORAGE_TYPE="memory")
    assert (memory.returncode, "memory" in memory.stderr) == (1, True)
