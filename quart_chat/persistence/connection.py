"""One SQLite connection: its pragmas, the rows' way to find it, and its errors in words for a person."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import peewee

from quart_chat.errors import StorageError

CACHE_KIB = 8_000
WAL_LIMIT_BYTES = 32 * 1024 * 1024
BUSY_TIMEOUT_MS = 5_000

_FULL = "The disk is full, so nothing was saved. Free some space and try again."
_DENIED = "The database cannot be written. Check that its folder exists and that this program may write to it."
_BUSY = "The database is in use by another program. Try again in a moment."
_DAMAGED = "The database file is damaged. Stop the server and restore a backup."
_DISK = "The disk reported an error, so the database could not be used. Check the disk and try again."
_REFUSED = "The database refused this change."
_OTHER = "The database could not do this."

_SENTENCES = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _DENIED,
    sqlite3.SQLITE_CANTOPEN: _DENIED,
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_AUTH: _DENIED,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CONSTRAINT: _REFUSED,
}
_FILE_SENTENCES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EIO: _DISK,
}
_FOR_GOOD = (_DAMAGED, _REFUSED)


class Connection(peewee.SqliteDatabase):
    """A connection that belongs to the thread that made it."""

    def rollback(self) -> None:
        """Does nothing when SQLite has rolled back by itself, as it does when the disk is full."""
        if self.raw.in_transaction:
            super().rollback()

    @property
    def raw(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self.connection()  # type: ignore[no-untyped-call]
        return connection

    def run(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.execute_sql(sql, parameters)  # type: ignore[no-untyped-call]
        return cursor


class _PerThread(threading.local):
    connection: Connection | None = None


_per_thread = _PerThread()


class CurrentConnection(peewee.DatabaseProxy):
    """Whatever connection the running thread has opened, so that rows are tied to no file."""

    @property
    def obj(self) -> Connection | None:
        return _per_thread.connection

    @obj.setter
    def obj(self, connection: Connection | None) -> None:
        _per_thread.connection = connection


current = CurrentConnection()


def connect(path: Path, *, reading: bool = False) -> Connection:
    """Opens `path` for this thread. Raises what SQLite raises; see `in_words`."""
    pragmas: dict[str, int | str] = {
        "busy_timeout": BUSY_TIMEOUT_MS,
        "foreign_keys": 1,
        "synchronous": "FULL",
        "cache_size": -CACHE_KIB,
        "journal_size_limit": WAL_LIMIT_BYTES,
        "query_only": int(reading),
    }
    connection = Connection(str(path), pragmas=pragmas, thread_safe=False, autoconnect=False)
    connection.connect()
    current.initialize(connection)
    return connection


def disconnect() -> None:
    """Closes this thread's connection, if it has one."""
    connection = _per_thread.connection
    _per_thread.connection = None
    if connection is not None:
        connection.close()


def is_storage_failure(error: BaseException) -> bool:
    return isinstance(error, peewee.PeeweeException | sqlite3.Error | OSError)


def in_words(error: Exception) -> Exception:
    """A StorageError for what SQLite or the file system said; any other error as it is.

    `retry` is False where trying again cannot help.
    """
    if not is_storage_failure(error):
        return error
    sentence = _sentence(error)
    translated = StorageError(sentence, retry=sentence not in _FOR_GOOD)
    translated.__cause__ = error
    return translated


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError):
        return _FILE_SENTENCES.get(error.errno or 0, _DENIED)
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlite_errorcode", None)
    return _OTHER if code is None else _SENTENCES.get(code & 0xFF, _OTHER)
