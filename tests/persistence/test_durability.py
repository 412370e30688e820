"""Processes that die: nothing acknowledged is lost, and nothing hangs."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

ROOT = Path(__file__).parents[2]

WRITERS = """
import asyncio, os, sys
from quart_chat.entities import OWNER_ID, ChatSession, GenerationState, new_id
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager

async def writer(storage):
    session = ChatSession(id=new_id(), user_id=OWNER_ID, created_at=1, updated_at=1)
    await storage.create_session(session)
    while True:
        client_id = new_id()
        turn = await storage.begin_turn(
            session.id, OWNER_ID, content="word " * 50, client_id=client_id, model="m", person="p"
        )
        os.write(1, (client_id + "\\n").encode())
        await storage.start_generation(turn.generation.id, 1)
        await storage.checkpoint(turn.answer.id, "half", "")
        await storage.finish_generation(turn.generation.id, GenerationState.COMPLETE, content="whole")

async def main():
    async with Database(sys.argv[1]) as database:
        storage = StorageManager(database)
        await storage.recover()
        await asyncio.gather(*(writer(storage) for _ in range(4)))

asyncio.run(main())
"""

SMALL_FILES = """
import asyncio, resource, signal, sys
from quart_chat.errors import StorageError
from quart_chat.persistence.database import Database
from quart_chat.persistence.tables import SettingRow

def put(key, size):
    SettingRow.insert(user_id="owner", key=key, value="x" * size).execute()

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with Database(sys.argv[1]) as database:
        await database.write(put, "before", 10)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            await database.write(put, "big", 3_000_000)
        except StorageError as error:
            print(error.message)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await database.write(put, "after", 10)

asyncio.run(main())
"""

FAILS_AT_START = """
import asyncio, sys
from quart_chat.persistence.database import Database

async def main():
    await Database(sys.argv[1]).open()
    raise RuntimeError("the port is taken")

asyncio.run(main())
"""


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True, timeout=30)


def column(path: Path, sql: str) -> list[str]:
    with closing(sqlite3.connect(path)) as other:
        return [value for (value,) in other.execute(sql)]


@asynccontextmanager
async def writing(path: Path) -> AsyncIterator[AsyncIterator[str]]:
    """Client ids as four writers of a process of their own report them; killed at the end."""

    async def reported() -> AsyncIterator[str]:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            yield line.decode().strip()

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITERS, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            yield reported()
    finally:
        process.kill()
        await process.communicate()


async def acknowledged_until_killed(path: Path, count: int) -> list[str]:
    """The client ids that four writers reported, killed without warning after about `count` of them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITERS, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        lines = [await process.stdout.readline() for _ in range(count)]
        process.kill()
        lines += (await process.stdout.read()).splitlines()
        await process.wait()
    return [line.decode().strip() for line in lines]


async def test_ten_kills_lose_nothing_acknowledged(path: Path) -> None:
    chance = random.Random(3)
    acknowledged: list[str] = []
    for _ in range(10):
        acknowledged += await acknowledged_until_killed(path, chance.randrange(2, 40))
        assert column(path, "PRAGMA integrity_check") == ["ok"]
        assert column(path, "PRAGMA foreign_key_check") == []
    stored = column(path, "SELECT client_id FROM message WHERE client_id IS NOT NULL")
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    halves = "SELECT question.id FROM message question WHERE role = 'user' AND NOT EXISTS"
    assert column(path, f"{halves} (SELECT 1 FROM message WHERE parent_id = question.id)") == []
    orphans = "SELECT id FROM message WHERE state = 'generating' AND id NOT IN"
    active = "(SELECT message_id FROM generation WHERE state IN ('queued', 'running'))"
    assert column(path, f"{orphans} {active}") == []


def test_a_file_that_may_not_grow_is_an_error_in_words_and_passes(path: Path) -> None:
    result = run(SMALL_FILES, path)
    assert result.returncode == 0, result.stderr
    assert "disk" in result.stdout
    assert column(path, "SELECT key FROM setting ORDER BY key") == ["after", "before"]


def test_an_exception_at_start_ends_the_process(path: Path) -> None:
    result = run(FAILS_AT_START, path)
    assert result.returncode == 1
    assert "the port is taken" in result.stderr
