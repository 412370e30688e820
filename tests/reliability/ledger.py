"""What clients were told, and whether the database agrees: nothing lost, nothing twice, nothing between."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OLD_ENOUGH_S = 1.0
LOOK_EVERY_S = 0.05
UNFINISHED = "SELECT 1 FROM generation WHERE state IN ('queued', 'running') LIMIT 1"
CONTENT = "SELECT client_id, content FROM message WHERE client_id IS NOT NULL"
ANSWERS = "SELECT count(*) FROM message WHERE parent_id IS NOT NULL GROUP BY parent_id HAVING count(*) <> 1"
UNANSWERED = (
    "SELECT id FROM message q WHERE role = 'user' AND NOT EXISTS (SELECT 1 FROM message a WHERE a.parent_id = q.id)"
)
GENERATIONS = "SELECT count(*) FROM generation GROUP BY message_id HAVING count(*) <> 1"
STUCK = "SELECT id FROM generation WHERE state = 'running' AND started_at < ?"
ORPHANS = (
    "SELECT id FROM message WHERE state = 'generating' AND id NOT IN "
    "(SELECT message_id FROM generation WHERE state IN ('queued', 'running'))"
)


@dataclass
class Sight:
    """The text of one answer as a viewer saw it grow: (when, how long it was)."""

    text: str = ""
    steps: list[tuple[float, int]] = field(default_factory=list)

    def grow(self, offset: int, text: str) -> None:
        assert offset <= len(self.text), f"a gap: {len(self.text)} characters were told, more from {offset} on"
        self.text = self.text[:offset] + text
        self.steps.append((time.monotonic(), len(self.text)))

    def older_than(self, moment: float) -> str:
        return self.text[: max((length for at, length in self.steps if at <= moment), default=0)]


@dataclass
class Ledger:
    """`acknowledged`: client id -> content. `life` counts the runs of the server's process; `seen` and `finished` are
    by (life, message id), because a connection to the last one may still be read when the next one is there.

    `finished` holds the whole text with which an answer was told to be complete.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    life: int = 0
    seen: dict[tuple[int, str], Sight] = field(default_factory=dict)
    finished: dict[tuple[int, str], str] = field(default_factory=dict)
    checked_texts: int = 0

    def sight(self, key: tuple[int, str]) -> Sight:
        return self.seen.setdefault(key, Sight())

    def check(self, path: Path, *, died_at: float, began_ms: int, asked: Counter[str]) -> None:
        """Fails where the database, after a death and a new start, is not what was promised."""
        with closing(sqlite3.connect(path)) as database:
            assert rows(database, "PRAGMA integrity_check") == [("ok",)]
            assert rows(database, "PRAGMA foreign_key_check") == []
            stored = rows(database, CONTENT)
            assert len(stored) == len({client_id for client_id, _ in stored}), "a question is there twice"
            lost = self.acknowledged.items() - dict(stored).items()
            assert not lost, f"acknowledged and lost: {lost}"
            for sql in (ANSWERS, UNANSWERED, GENERATIONS, ORPHANS):
                assert rows(database, sql) == [], sql
            assert rows(database, STUCK, began_ms) == [], "still running since before the death"
            self._check_texts(database, died_at)
        twice = [question for question, times in asked.items() if times > 1]
        assert not twice, f"asked of the engine more than once: {twice}"

    def _check_texts(self, database: sqlite3.Connection, died_at: float) -> None:
        for key in [key for key in self.seen if key[0] < self.life]:
            expected = self.finished.pop(key, self.seen.pop(key).older_than(died_at - OLD_ENOUGH_S))
            [(content,)] = rows(database, "SELECT content FROM message WHERE id = ?", key[1])
            assert content.startswith(expected), f"{len(expected)} characters were seen, {len(content)} are stored"
            self.checked_texts += bool(expected)


def rows(database: sqlite3.Connection, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    return database.execute(sql, parameters).fetchall()


async def all_finished(path: Path, within_s: float = 30) -> None:
    """Returns when no question waits and no answer grows; another process writes them, so one has to look."""
    async with asyncio.timeout(within_s):
        with closing(sqlite3.connect(path)) as database:
            while rows(database, UNFINISHED):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
