"""A turn saved through the writer's thread, beside the same Peewee code on the loop; and 200 writers at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.report import Effort, Measure, middle
from bench.ticker import Ticker
from quart_chat.entities import OWNER_ID, ChatSession, new_id, now_ms
from quart_chat.persistence import turns
from quart_chat.persistence.connection import Connection, connect, disconnect
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager

TURNS, WRITERS, TURNS_EACH = 200, 200, 5
TIMES_LOOP, STALL_MS = 2.0, 10.0
USER = OWNER_ID


async def run(directory: Path, effort: Effort) -> list[Measure]:
    path = directory / "saving.db"
    threads: list[float] = []
    loop: list[float] = []
    stalls: list[float] = []
    rates: list[float] = []
    async with Database(path) as database:
        storage = StorageManager(database)
        for _ in range(effort.rounds):
            sessions = await _sessions(storage, 2 * effort.of(TURNS))
            threads += await _in_thread(storage, sessions[::2])
            loop += _on_loop(connect(path), sessions[1::2])
            disconnect()
            stall, rate = await _all_at_once(storage, effort)
            stalls.append(stall)
            rates.append(rate)
    note = f"{middle(threads):.2f} ms, on the loop {middle(loop):.2f} ms"
    return [
        Measure("turn saved", middle(threads) / middle(loop), "x on loop", TIMES_LOOP, note),
        Measure("loop stall, 200 writers", middle(stalls), "ms", STALL_MS, f"{middle(rates):.0f} turns/s"),
    ]


async def _sessions(storage: StorageManager, count: int) -> list[str]:
    now = now_ms()
    made = [ChatSession(id=new_id(), user_id=USER, created_at=now, updated_at=now) for _ in range(count)]
    await asyncio.gather(*(storage.create_session(session) for session in made))
    return [session.id for session in made]


async def _in_thread(storage: StorageManager, sessions: list[str]) -> list[float]:
    found = []
    for session_id in sessions:
        began = time.perf_counter()
        await _turn(storage, session_id)
        found.append((time.perf_counter() - began) * 1000)
    return found


async def _turn(storage: StorageManager, session_id: str) -> None:
    await storage.begin_turn(
        session_id, USER, content="How are you?", client_id=new_id(), model="hello", person=USER, title="How"
    )


def _on_loop(connection: Connection, sessions: list[str]) -> list[float]:
    found = []
    for session_id in sessions:
        began = time.perf_counter()
        with connection.atomic("IMMEDIATE"):
            turns.begin(
                session_id,
                USER,
                content="How are you?",
                client_id=new_id(),
                model="hello",
                person=USER,
                author="",
                title="How",
                starts=False,
            )
        found.append((time.perf_counter() - began) * 1000)
    return found


async def _all_at_once(storage: StorageManager, effort: Effort) -> tuple[float, float]:
    """(longest stall in milliseconds, turns a second)."""
    sessions = await _sessions(storage, effort.of(WRITERS) * TURNS_EACH)
    ticker = Ticker()
    ticker.start()
    await asyncio.sleep(0.05)
    ticker.take_ms()
    began = time.perf_counter()
    writers = effort.of(WRITERS)
    await asyncio.gather(*(_writer(storage, sessions[at::writers]) for at in range(writers)))
    took_s = time.perf_counter() - began
    stall = ticker.take_ms()
    await ticker.stop()
    return stall, len(sessions) / took_s


async def _writer(storage: StorageManager, sessions: list[str]) -> None:
    for session_id in sessions:
        await _turn(storage, session_id)
