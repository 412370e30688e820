"""Peewee queries whose SQL is built once: building it takes ten times as long as SQLite takes to run it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache
from typing import Any

import peewee

from quart_chat.persistence.connection import Connection, current
from quart_chat.persistence.tables import Row


class _Slot:
    """Stands among the parameters for the argument with this number."""

    def __init__(self, number: int) -> None:
        self.number = number


class Prepared:
    """`build` gets a placeholder for each argument and returns a query; it is called once, at the first use.

    Values go to SQLite as they are and come back so: plain text, numbers and None.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._statement: tuple[str, tuple[Any, ...]] | None = None

    def dicts(self, *values: Any) -> list[dict[str, Any]]:
        """What is found, a dict of columns for each row."""
        cursor = self._run(values)
        found: list[dict[str, Any]] = []
        names: list[str] = []
        for row in cursor:
            names = names or [column[0] for column in cursor.description]
            found.append(dict(zip(names, row, strict=True)))
        return found

    def first(self, *values: Any) -> dict[str, Any] | None:
        found = self.dicts(*values)
        return found[0] if found else None

    def number(self, *values: Any) -> int:
        """The one value that a counting query finds."""
        return int(self._run(values).fetchone()[0])

    def change(self, *values: Any) -> int:
        """How many rows were changed."""
        cursor = self._run(values)
        return int(_connection().rows_affected(cursor))  # type: ignore[no-untyped-call]

    def _run(self, values: tuple[Any, ...]) -> sqlite3.Cursor:
        sql, parameters = self._statement or self._prepare(len(values))
        return _connection().run(sql, [values[p.number] if isinstance(p, _Slot) else p for p in parameters])

    def _prepare(self, count: int) -> tuple[str, tuple[Any, ...]]:
        slots = (peewee.Value(_Slot(number), converter=False) for number in range(count))
        sql, parameters = self._build(*slots).sql()
        self._statement = sql, tuple(parameters)
        return self._statement


def insert(table: type[Row], columns: dict[str, Any]) -> None:
    _insertion(table, tuple(columns)).change(*columns.values())


def update(table: type[Row], id: str, columns: dict[str, Any]) -> None:
    _change(table, tuple(columns)).change(id, *columns.values())


@cache
def _insertion(table: Any, names: tuple[str, ...]) -> Prepared:
    return Prepared(lambda *values: table.insert(dict(zip(names, values, strict=True))))


@cache
def _change(table: Any, names: tuple[str, ...]) -> Prepared:
    return Prepared(lambda id, *values: table.update(dict(zip(names, values, strict=True))).where(table.id == id))


def _connection() -> Connection:
    assert current.obj is not None
    connection: Connection = current.obj
    return connection
