"""R2: the plug is pulled at a random write of the real storage code; what was acknowledged is there afterwards."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID, ChatSession, GenerationState, new_id
from quart_chat.persistence import connection as product
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager
from tests.reliability.ledger import ANSWERS, GENERATIONS, ORPHANS, UNANSWERED, rows
from tests.reliability.powercut import Disk, ForgetfulConnection, Image
from tests.reliability.scale import measured, scaled, seeded

WRITERS = 8
TURNS = 12
CUTS_A_RUN = 10
SHARE = 0.0005
"""Of the writes, so that cuts come over the whole run, checkpoints and the close included."""
WHOLE = "the whole answer "
PLAIN = product.Connection


@dataclass
class Told:
    """What callers had been told: client ids of turns, message ids of finished answers."""

    begun: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)

    def copy(self) -> Told:
        return Told(set(self.begun), set(self.finished))


class Plug:
    """Pulls at some of the writes to the disk, without stopping the work: each image is a cut of its own."""

    def __init__(self, disk: Disk, chance: random.Random, told: Told, share: float) -> None:
        self.cuts: list[tuple[Image, Told]] = []
        self._disk, self._chance, self._told, self._share = disk, chance, told, share

    def __call__(self) -> None:
        if self._chance.random() < self._share and len(self.cuts) < CUTS_A_RUN:
            told = self._told.copy()
            self.cuts.append((self._disk.image(self._chance), told))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(product, "Connection", ForgetfulConnection)
    yield disk
    disk.unregister()


async def work(path: Path, told: Told, chance: random.Random) -> None:
    async with Database(path) as database:
        storage = StorageManager(database)
        await asyncio.gather(*(write(storage, told, chance) for _ in range(WRITERS)))


async def write(storage: StorageManager, told: Told, chance: random.Random) -> None:
    session = ChatSession(id=new_id(), user_id=OWNER_ID, created_at=1, updated_at=1)
    await storage.create_session(session)
    for _ in range(TURNS):
        client_id = new_id()
        turn = await storage.begin_turn(
            session.id,
            OWNER_ID,
            content="word " * chance.randrange(1, 900),
            client_id=client_id,
            model="m",
            person="p",
        )
        told.begun.add(client_id)
        await storage.start_generation(turn.generation.id, 1)
        await storage.checkpoint(turn.answer.id, WHOLE, "")
        await storage.finish_generation(turn.generation.id, GenerationState.COMPLETE, content=WHOLE * 50)
        told.finished.add(turn.answer.id)


async def cuts(directory: Path, disk: Disk, chance: random.Random, share: float) -> list[tuple[Image, Told]]:
    """What one run of the writers left behind at up to CUTS_A_RUN moments."""
    told = Told()
    plug = Plug(disk, chance, told, share)
    path = directory / "chat.db"
    async with Database(path):
        pass
    disk.watch = plug
    try:
        await work(path, told, chance)
    finally:
        disk.watch = lambda: None
    assert len(told.begun) == WRITERS * TURNS
    return plug.cuts


async def lost_after(image: Image, told: Told, directory: Path) -> int:
    """Opens what is left as the product does: how many acknowledgements were lies. Fails for any damage."""
    lay_out(image, directory)
    path = directory / "chat.db"
    async with Database(path) as database:
        await StorageManager(database).recover()
    with closing(sqlite3.connect(path)) as found:
        assert rows(found, "PRAGMA integrity_check") == [("ok",)]
        for sql in (ANSWERS, UNANSWERED, GENERATIONS, ORPHANS):
            assert rows(found, sql) == [], sql
        begun = {id for (id,) in rows(found, "SELECT client_id FROM message WHERE client_id IS NOT NULL")}
        finished = {id for (id,) in rows(found, "SELECT id FROM message WHERE content = ?", WHOLE * 50)}
    return len(told.begun - begun) + len(told.finished - finished)


def lay_out(image: Image, directory: Path) -> None:
    directory.mkdir(parents=True)
    for name, content in image.items():
        (directory / name).write_bytes(content)


async def losses(tmp_path: Path, disk: Disk, wanted: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    chance = seeded()
    found: list[int] = []
    while len(found) < wanted:
        directory = tmp_path / f"run-{len(found)}"
        images = await cuts(directory, disk, chance, share=SHARE)
        with monkeypatch.context() as plain:
            plain.setattr(product, "Connection", PLAIN)
            for number, (image, told) in enumerate(images):
                found.append(await lost_after(image, told, directory / f"cut-{number}"))
    return found[:wanted]


async def test_a_power_cut_at_any_write_loses_nothing_acknowledged(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = scaled("power_cuts", 20, 500)
    found = await losses(tmp_path, disk, wanted, monkeypatch)
    measured(f"R2: {wanted} power cuts under {WRITERS} writers, {disk.syncs} syncs: {sum(found)} lost")
    assert sum(found) == 0


async def test_the_forgetful_disk_notices_when_commits_are_not_synced(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(ForgetfulConnection):
        def __init__(self, database: str, **options: object) -> None:
            pragmas = {**options.pop("pragmas"), "synchronous": "NORMAL"}  # type: ignore[dict-item]
            super().__init__(database, pragmas=pragmas, **options)

    monkeypatch.setattr(product, "Connection", Careless)
    assert sum(await losses(tmp_path, disk, CUTS_A_RUN, monkeypatch)) > 0
