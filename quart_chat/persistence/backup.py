"""Whole copies of the database: made while a server writes, examined, put back. One file, an ordinary SQLite database.

Plain functions for a process of their own. All raise StorageError, whose message names the file.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from quart_chat.errors import StorageError
from quart_chat.persistence.connection import in_words
from quart_chat.persistence.migrations import STEPS

SEARCH_TABLES = ("message_search", "session_search")
BESIDE = ("-wal", "-shm")
MOST_PROBLEMS = 20


class Findings(Struct, frozen=True, kw_only=True):
    """What an examination found. No `problems`: pages, references and search index are as they should be."""

    problems: tuple[str, ...] = ()
    version: int = 0
    sessions: int = 0
    messages: int = 0
    size: int = 0


def back_up(database: Path, target: Path, *, replace: bool = False) -> Findings:
    """Writes `target` whole or not at all; it has everything that was acknowledged before the call.

    Writers go on meanwhile. The copy is examined before it gets its name: a damaged database replaces no good backup.
    """
    if target.exists() and (not replace or not target.is_file() or _same(database, target)):
        raise StorageError(f"{target} exists already and was left alone.", retry=False)
    with _unfinished(target) as partial:
        _copy(database, partial)
        findings = _examine(partial)
        if findings.problems:
            raise StorageError(f"{database} is damaged, so no backup was written: {findings.problems[0]}.", retry=False)
        _put(partial, target)
    return findings


def examine(path: Path) -> Findings:
    """Looks at a copy, below TMPDIR, so that a server that uses `path` is not held up."""
    with tempfile.TemporaryDirectory(prefix="quart-chat-check-") as directory:
        copy = Path(directory) / "copy.db"
        try:
            _copy(path, copy)
        except StorageError as error:
            if not isinstance(error.__cause__, sqlite3.DatabaseError):
                raise
            return Findings(problems=(error.message.rstrip("."),), size=path.stat().st_size)
        return _examine(copy)


def restore(backup: Path, database: Path) -> tuple[Findings, Path | None]:
    """Puts a copy of `backup` in place of `database`, which nobody may have open; where the former data is kept now.

    Until the last step, which is atomic, the present data stays in force.
    """
    if database.exists() and _same(backup, database):
        raise StorageError(f"{backup} is the database itself.", retry=False)
    with _unfinished(database) as partial:
        _copy(backup, partial)
        findings = _examine(partial)
        if findings.problems:
            raise StorageError(f"{backup} was not restored: {findings.problems[0]}.", retry=False)
        aside = _set_aside(database)
        _put(partial, database)
    return findings, aside


def _copy(source: Path, target: Path) -> None:
    """One snapshot in one step: a copy in several would begin anew with every write. `target` needs no other file."""
    if not source.is_file():
        raise StorageError(f"There is no database at {source}.", retry=False)
    with _told(source):
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(_open(source)) as origin, closing(_open(target)) as copy:
            origin.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()


def _examine(path: Path) -> Findings:
    """`path` is nobody else's: looking at the search index takes the right to write."""
    size = path.stat().st_size
    try:
        with closing(_open(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if problem := _foreign(version):
                return Findings(problems=(problem,), version=version, size=size)
            problems = (*_pages(connection), *_references(connection), *_search(connection))
            counts = [_count(connection, table) for table in ("session", "message")]
    except sqlite3.DatabaseError as error:
        return Findings(problems=(f"it cannot be read: {error}",), size=size)
    return Findings(problems=problems, version=version, sessions=counts[0], messages=counts[1], size=size)


def _foreign(version: int) -> str:
    if version > len(STEPS):
        return "it belongs to a newer version of quart-chat"
    return "it is not a database of quart-chat" if version < 1 else ""


def _pages(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})").fetchall()
    return [" ".join(text.split()) for (text,) in rows if text != "ok"]


def _references(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(MOST_PROBLEMS)
    return [f"row {row} of {table} belongs to a {parent} that does not exist" for table, row, parent, _ in rows]


def _search(connection: sqlite3.Connection) -> Iterator[str]:
    for table in SEARCH_TABLES:
        try:
            # rank 1: compares the index with the texts themselves.
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            yield f"the search index {table} is not in step with the texts"


def _count(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def _set_aside(database: Path) -> Path | None:
    """Keeps the present data under a second name, in place as long as the file system can."""
    if not database.exists():
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    aside = database.with_name(f"{database.name}.before-restore-{stamp}.bak")
    # Folds in what a killed server left in its WAL. A database that is too damaged for that is kept with its WAL.
    with suppress(sqlite3.Error), closing(_open(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with _told(aside):
        try:
            os.link(database, aside)
        except FileExistsError:
            raise
        except OSError:
            # A file system without links, as on many memory cards.
            database.rename(aside)
        # Still there only after that failed; beside the new database they would spoil it.
        for suffix in BESIDE:
            beside = database.with_name(database.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
    return aside


def _open(path: Path) -> sqlite3.Connection:
    """Never makes a file."""
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _put(partial: Path, target: Path) -> None:
    with _told(target):
        _sync(partial)
        partial.replace(target)
        _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A name beside `target`, free now and gone afterwards, whatever happens."""
    partial = target.with_name(f"{target.name}.part")
    with _told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
    try:
        yield partial
    finally:
        for suffix in ("", "-journal", *BESIDE):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        words = in_words(error)
        assert isinstance(words, StorageError)
        raise StorageError(f"{path}: {words.message}") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}.") from error
