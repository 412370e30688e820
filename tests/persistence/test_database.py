"""The database's threads: what is acknowledged, what a cancel does, what a reader sees."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from quart_chat.errors import StorageError
from quart_chat.persistence.connection import current
from quart_chat.persistence.database import Database
from quart_chat.persistence.tables import SettingRow
from tests.persistence.units_of_work import Gate, behind_gate, keys_in, put, put_pair


async def test_an_acknowledged_write_is_in_the_file(database: Database, path: Path) -> None:
    assert await database.write(put, "k") == "k"
    assert keys_in(path) == {"k"}


async def test_writes_that_wait_together_share_one_commit(database: Database, path: Path) -> None:
    statements: list[str] = []
    await database.write(lambda: current.obj.raw.set_trace_callback(statements.append))
    await behind_gate(database, *(lambda n=n: put(f"k{n}") for n in range(100)))
    assert len(keys_in(path)) == 100
    assert statements.count("COMMIT") <= 3


async def test_a_failing_unit_undoes_only_itself(database: Database, path: Path) -> None:
    def fails() -> None:
        put("half")
        raise ValueError("no")

    outcomes = await behind_gate(database, lambda: put("before"), fails, lambda: put("after"))
    assert outcomes[0] == "before"
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == "after"
    assert keys_in(path) == {"before", "after"}


async def test_a_cancelled_caller_in_the_queue_is_dropped_whole(database: Database, path: Path) -> None:
    gate = Gate()
    first = asyncio.create_task(database.write(gate.work))
    await gate.entered()
    dropped = asyncio.create_task(database.write(put, "dropped"))
    kept = asyncio.create_task(database.write(put, "kept"))
    await asyncio.sleep(0)
    dropped.cancel()
    gate.open()
    await asyncio.gather(first, kept)
    assert dropped.cancelled()
    assert keys_in(path) == {"kept"}


async def test_work_that_runs_completes_whole_though_its_caller_left(database: Database, path: Path) -> None:
    gate = Gate()

    def both() -> None:
        put("a")
        gate.work()
        put("b")

    task = asyncio.create_task(database.write(both))
    await gate.entered()
    task.cancel()
    gate.open()
    await database.write(put, "later")
    assert task.cancelled()
    assert keys_in(path) == {"a", "b", "later"}


async def test_a_storm_of_cancels_loses_nothing_acknowledged_and_halves_nothing(database: Database, path: Path) -> None:
    chance = random.Random(7)
    acknowledged: set[str] = set()

    async def one(number: int) -> None:
        await database.write(put_pair, str(number))
        acknowledged.add(str(number))

    tasks: list[asyncio.Task[None]] = []
    for number in range(2000):
        tasks.append(asyncio.create_task(one(number)))
        if chance.random() < 0.5:
            chance.choice(tasks[-60:]).cancel()
        if number % 20 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    stored = keys_in(path)
    whole = {key[:-2] for key in stored}
    assert len(stored) == 2 * len(whole)
    assert acknowledged <= whole
    assert 0 < len(acknowledged) < 2000


async def test_a_read_cannot_write(database: Database, path: Path) -> None:
    with pytest.raises(StorageError):
        await database.read(put, "k")
    assert keys_in(path) == set()


async def test_a_read_sees_one_snapshot(database: Database) -> None:
    gate = Gate()

    def twice() -> tuple[int, int]:
        before = SettingRow.select().count()
        gate.work()
        return before, SettingRow.select().count()

    reading = asyncio.create_task(database.read(twice))
    await gate.entered()
    await database.write(put, "k")
    gate.open()
    assert await reading == (0, 0)


async def test_readers_do_not_wait_for_each_other(database: Database) -> None:
    gate = Gate()
    slow = asyncio.create_task(database.read(gate.work))
    await gate.entered()
    async with asyncio.timeout(5):
        assert await database.read(lambda: SettingRow.select().count()) == 0
    gate.open()
    await slow


async def test_close_completes_what_was_accepted_and_leaves_one_file(path: Path) -> None:
    database = Database(path)
    await database.open()
    gate = Gate()
    first = asyncio.create_task(database.write(gate.work))
    await gate.entered()
    tasks = [asyncio.create_task(database.write(put, f"k{n}")) for n in range(300)]
    await asyncio.sleep(0)
    closing = [asyncio.create_task(database.close()), asyncio.create_task(database.close())]
    gate.open()
    await asyncio.gather(first, *tasks, *closing)
    assert len(keys_in(path)) == 300
    assert [file.name for file in path.parent.iterdir()] == ["chat.db"]


async def test_a_database_without_a_path_leaves_no_file() -> None:
    async with Database(None) as database:
        await database.write(put, "k")
        file = Path(await database.read(lambda: current.obj.database))
        assert keys_in(file) == {"k"}
    assert not file.parent.exists()


async def test_the_file_is_for_its_owner_alone(database: Database, path: Path) -> None:
    await database.write(put, "k")
    files = [path, path.with_name("chat.db-wal")]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]


async def test_pragmas_are_what_durability_needs(database: Database) -> None:
    def pragmas() -> list[object]:
        return [current.obj.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert await database.write(pragmas) == ["wal", 2, 1]


async def test_two_hundred_writers_do_not_stall_the_loop(database: Database) -> None:
    worst = 0.0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - began - 0.001)

    async def writer(number: int) -> None:
        for turn in range(5):
            await database.write(put, f"{number}/{turn}")

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(writer(number) for number in range(200)))
    done.set()
    await watching
    assert worst <= 0.05
