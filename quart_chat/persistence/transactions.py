"""Runs units of work on a connection: a group of writes in one commit, a read in one snapshot."""

from __future__ import annotations

import logging

from quart_chat.persistence.connection import Connection, in_words, is_storage_failure
from quart_chat.persistence.units import Unit

log = logging.getLogger(__name__)


def commit(connection: Connection, group: list[Unit]) -> None:
    """Each unit has its result after the COMMIT, or its error. Cancelled ones are left out.

    When the commit fails, or SQLite rolls all back by itself (a full disk), every unit has a StorageError.
    """
    try:
        with connection.atomic("IMMEDIATE"):
            for unit in group:
                if not unit.future.cancelled():
                    _run(connection, unit)
    except Exception as error:
        if not is_storage_failure(error):
            raise
        log.error("a commit of %d writes failed", len(group), exc_info=True)
        for unit in group:
            unit.fail(in_words(error))


def read(connection: Connection, unit: Unit) -> None:
    if unit.future.cancelled():
        return
    try:
        with connection.atomic():
            unit.result = unit.work()
    except Exception as error:
        unit.fail(in_words(error))


def _run(connection: Connection, unit: Unit) -> None:
    connection.run("SAVEPOINT unit")
    try:
        unit.result = unit.work()
    except Exception as error:
        if not connection.raw.in_transaction:
            # SQLite has rolled the whole group back: none of it may be acknowledged.
            raise
        unit.fail(in_words(error))
        connection.run("ROLLBACK TO SAVEPOINT unit")
    connection.run("RELEASE SAVEPOINT unit")
