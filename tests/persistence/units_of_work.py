"""Small units of work for the database's tests, and a gate to hold its threads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from quart_chat.persistence.database import Database
from quart_chat.persistence.tables import SettingRow


def put(key: str, value: str = "1") -> str:
    SettingRow.insert(user_id="owner", key=key, value=value).execute()
    return key


def put_pair(key: str) -> None:
    put(key + "/a")
    put(key + "/b")


def keys_in(path: Path) -> set[str]:
    other = sqlite3.connect(path)
    try:
        return {key for (key,) in other.execute("SELECT key FROM setting")}
    finally:
        other.close()


class Gate:
    """A unit of work that holds the writer until it is opened, so that others gather behind it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._entered = asyncio.Event()
        self._open = threading.Event()

    def work(self) -> None:
        self._loop.call_soon_threadsafe(self._entered.set)
        assert self._open.wait(10)

    async def entered(self) -> None:
        async with asyncio.timeout(10):
            await self._entered.wait()

    def open(self) -> None:
        self._open.set()


async def behind_gate(database: Database, *works: Callable[[], object]) -> list[object]:
    """The outcomes of `works`, which all waited together and so are one group."""
    gate = Gate()
    first = asyncio.create_task(database.write(gate.work))
    await gate.entered()
    tasks = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.open()
    await first
    async with asyncio.timeout(10):
        return await asyncio.gather(*tasks, return_exceptions=True)
