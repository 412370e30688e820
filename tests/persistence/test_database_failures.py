"""What fails in the database: in words, without harm to others, and only for as long as it lasts."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from quart_chat.errors import StorageError
from quart_chat.persistence.connection import current
from quart_chat.persistence.database import Database
from quart_chat.persistence.tables import SettingRow
from tests.persistence.units_of_work import Gate, behind_gate, keys_in, put


async def test_a_refused_row_is_a_storage_error_and_hurts_no_neighbour(database: Database, path: Path) -> None:
    outcomes = await behind_gate(database, lambda: put("k"), lambda: put("k"), lambda: put("l"))
    assert isinstance(outcomes[1], StorageError)
    assert not outcomes[1].retry
    assert keys_in(path) == {"k", "l"}


async def test_when_the_commit_fails_nobody_is_told_it_worked(database: Database, path: Path) -> None:
    def orphan() -> None:
        current.execute_sql("PRAGMA defer_foreign_keys = 1")
        SettingRow.insert(user_id="nobody", key="orphan", value="1").execute()

    outcomes = await behind_gate(database, lambda: put("a"), orphan, lambda: put("b"))
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 3
    assert keys_in(path) == set()
    await database.write(put, "next")
    assert keys_in(path) == {"next"}


async def test_a_full_disk_is_said_in_words_and_passes(database: Database, path: Path) -> None:
    def set_limit(pages: int) -> None:
        current.obj.run(f"PRAGMA max_page_count = {pages}").fetchall()

    await database.write(set_limit, 1)
    with pytest.raises(StorageError) as caught:
        await database.write(put, "big", "x" * 1_000_000)
    assert "full" in caught.value.message
    assert caught.value.retry
    await database.write(set_limit, 1_000_000)
    await database.write(put, "small")
    assert keys_in(path) == {"small"}


async def test_a_lock_held_by_another_program_is_said_in_words_and_passes(database: Database, path: Path) -> None:
    await database.write(lambda: current.obj.pragma("busy_timeout", 30))
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError) as caught:
            await database.write(put, "k")
        assert "another program" in caught.value.message
        other.execute("ROLLBACK")
    finally:
        other.close()
    await database.write(put, "k")
    assert keys_in(path) == {"k"}


async def test_a_dead_writer_leaves_nobody_waiting(database: Database) -> None:
    def dies() -> None:
        raise SystemExit

    outcomes = await behind_gate(database, lambda: put("a"), dies, lambda: put("b"))
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 3
    async with asyncio.timeout(5):
        with pytest.raises(StorageError):
            await database.write(put, "c")
    assert await database.read(lambda: SettingRow.select().count()) == 0


async def test_a_writer_that_dies_at_work_tells_those_behind_it(database: Database) -> None:
    gate = Gate()

    def dies() -> None:
        gate.work()
        raise SystemExit

    first = asyncio.create_task(database.write(dies))
    await gate.entered()
    behind = [asyncio.create_task(database.write(put, f"k{n}")) for n in range(3)]
    await asyncio.sleep(0)
    gate.open()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(first, *behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 4


async def test_after_close_every_call_is_a_storage_error_and_close_does_nothing(path: Path) -> None:
    async with Database(path) as database:
        pass
    await database.close()
    for call in (database.read, database.write):
        with pytest.raises(StorageError):
            await call(put, "k")


async def test_before_open_every_call_is_a_storage_error(path: Path) -> None:
    with pytest.raises(StorageError):
        await Database(path).read(put, "k")


@pytest.mark.parametrize("what", ["text", "folder", "below a file"])
async def test_what_cannot_be_opened_is_a_storage_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "thing"
    if what == "folder":
        path.mkdir()
    else:
        path.write_text("This is no database, only words. " * 100)
    database = Database(path / "chat.db" if what == "below a file" else path)
    with pytest.raises(StorageError) as caught:
        await database.open()
    assert caught.value.message.endswith(".")
    await database.close()
