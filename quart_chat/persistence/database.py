"""The database off the loop: one writer thread with group commit, and two readers."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from quart_chat.errors import StorageError
from quart_chat.metrics import BRIEF_S, Spread
from quart_chat.persistence import migrations
from quart_chat.persistence.connection import (
    Connection,
    connect,
    current,
    disconnect,
    in_words,
    is_storage_failure,
)
from quart_chat.persistence.transactions import commit, read
from quart_chat.persistence.units import BROKEN, GONE, Lane, Unit, settle

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
GROUP = 128
"""Most units in one commit: bounds how long the first of them waits for the last."""

log = logging.getLogger(__name__)


class Database:
    """`await write(fn, …)`, `await read(fn, …)`: one call of plain synchronous Peewee code is a unit of work.

    - A write is acknowledged after its COMMIT is on the disk (WAL, synchronous=FULL). Writes that wait
      together are committed together, each in its own savepoint: one that raises undoes only itself.
    - A cancelled caller: work that has not begun is dropped whole, work that runs completes whole.
    - A read sees one snapshot and cannot write.
    - `fn` touches nothing but the database and returns plain data: nothing lazy, it runs in another thread.
    - SQLite's and the file system's errors come as StorageError. The next call may work again.
    """

    def __init__(self, path: Path | str | None, *, steps: Sequence[migrations.Step] = migrations.STEPS) -> None:
        """`path` None: a file for this process alone, gone at `close`. Nothing is opened before `open`."""
        self._path = Path(path) if path is not None else None
        self._steps = steps
        self._temporary: Path | None = None
        self.times = {"read": Spread(BRIEF_S), "write": Spread(BRIEF_S)}
        """From the call to its end as the callers see it, by kind of work."""
        self._write_failed = False
        self._writes = Lane()
        self._reads = Lane()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Makes the file if there is none, brings it to today's schema. StorageError: it cannot.

        Once per object. After an error or a cancel the object is of no use but may be closed.
        """
        self._loop = asyncio.get_running_loop()
        ready = Unit(lambda: None, self._loop.create_future())
        self._start("db-writer", self._run_writer, ready)
        await ready.future
        for number in range(READERS):
            self._start(f"db-reader-{number + 1}", self._run_reader)

    async def write(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            result = await self._submit(self._writes, partial(fn, *args, **kwargs), self.times["write"])
        except StorageError:
            self._write_failed = True
            raise
        self._write_failed = False
        return result

    async def read(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._submit(self._reads, partial(fn, *args, **kwargs), self.times["read"])

    async def probe(self) -> None:
        """Raises StorageError while nothing can be written. Only after a failure does it write, the same as before:
        what is asked every few seconds must not wear out the disk."""
        await self.write(_write_again if self._write_failed else _nothing)

    async def close(self) -> None:
        """Refuses new work, completes what was accepted, folds the WAL into the file. Any number of times."""
        self._reads.end(GONE)
        self._writes.end(GONE)
        await asyncio.to_thread(self._join)

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _submit(self, lane: Lane, work: Callable[[], T], times: Spread) -> T:
        if self._loop is None:
            raise StorageError("The database is not open.")
        future: asyncio.Future[T] = self._loop.create_future()
        began = time.perf_counter()
        lane.put(Unit(work, future))
        try:
            return await future
        finally:
            times.add(time.perf_counter() - began)

    def _start(self, name: str, run: Callable[..., None], *args: object) -> None:
        # Daemons: an exception at start must end the process, not leave it waiting for a thread.
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    # Below: the writer's thread.

    def _run_writer(self, ready: Unit) -> None:
        try:
            connection = self._open_writer(ready)
            if connection is not None:
                self._commit_groups(connection)
                self._finish(connection)
        except BaseException:
            # The thread ends here; whoever waits or comes later is told below.
            log.critical("the database writer died", exc_info=True)
        finally:
            self._refuse(self._writes)
            disconnect()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)

    def _open_writer(self, ready: Unit) -> Connection | None:
        try:
            connection = self._prepare()
        except Exception as error:
            ready.fail(in_words(error))
            connection = None
        self._tell([ready])
        return connection

    def _prepare(self) -> Connection:
        path = self._locate()
        connection = connect(path)
        migrations.refuse_unknown(connection, self._steps)
        connection.pragma("journal_mode", "wal")
        migrations.migrate(connection, path, self._steps)
        return connection

    def _locate(self) -> Path:
        if self._path is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="quart-chat-"))
            self._path = self._temporary / "chat.db"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            # Conversations are private: SQLite gives the WAL the same rights as the file.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        return self._path

    def _commit_groups(self, connection: Connection) -> None:
        while group := self._writes.take(GROUP):
            try:
                commit(connection, group)
            except BaseException:
                self._give_up(group)
                raise
            self._tell(group)

    def _finish(self, connection: Connection) -> None:
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        try:
            connection.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except Exception as error:
            if not is_storage_failure(error):
                raise
            log.warning("the WAL stays beside the database; nothing is lost", exc_info=True)

    # Below: the readers' threads.

    def _run_reader(self) -> None:
        connection: Connection | None = None
        group: list[Unit] = []
        try:
            while group := self._reads.take(1):
                connection = connection or self._open_reader(group[0])
                if connection is not None:
                    read(connection, group[0])
                self._tell(group)
        except BaseException:
            log.critical("a database reader died", exc_info=True)
            self._give_up(group)
        finally:
            self._refuse(self._reads)
            disconnect()

    def _open_reader(self, unit: Unit) -> Connection | None:
        assert self._path is not None
        try:
            return connect(self._path, reading=True)
        except Exception as error:
            unit.fail(in_words(error))
            return None

    # Below: what every thread says to the loop.

    def _refuse(self, lane: Lane) -> None:
        lane.end(BROKEN)
        self._give_up(lane.rest())

    def _give_up(self, units: list[Unit]) -> None:
        for unit in units:
            unit.fail(StorageError(BROKEN))
        self._tell(units)

    def _tell(self, units: list[Unit]) -> None:
        # A loop that is closed has nobody left who waits.
        if units and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle, units)


def _nothing() -> None:
    return None


def _write_again() -> None:
    current.pragma("user_version", current.pragma("user_version"))
