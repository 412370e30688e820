"""A database of version 1 with something in it, written as that version wrote it: today's rows do not fit there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from quart_chat.entities import OWNER_ID
from quart_chat.persistence.database import Database
from quart_chat.persistence.migrations.m0001_initial import upgrade as initial

GENERATION = "id, session_id, user_id, person, message_id, model, digest, state, continues"
MEASURED = """created_at, started_at, ended_at,
    wait_ms, load_ms, prompt_tokens, prompt_ms, first_token_ms, output_tokens, output_ms, done_reason"""


async def filled(path: Path, sessions: int) -> None:
    """Each session with a question, its answer, and a generation by the model "m" that ended at its number."""
    async with Database(path, steps=(initial,)):
        pass
    with closing(sqlite3.connect(path)) as database, database:
        for number in range(1, sessions + 1):
            _fill(database, number)


def _fill(database: sqlite3.Connection, number: int) -> None:
    session, question, answer = f"s{number}", f"q{number}", f"a{number}"
    database.execute(
        "INSERT INTO session (id, user_id, title, model, system_prompt, parameters, draft, created_at, updated_at,"
        " next_number) VALUES (?, ?, ?, 'm', '', '{}', '', 1, ?, 3)",
        (session, OWNER_ID, f"t{number}", number),
    )
    message = (
        "INSERT INTO message (id, session_id, number, role, content, timestamp, state, model, thinking, parent_id,"
        " client_id, author) VALUES (?, ?, ?, ?, ?, 1, 'complete', 'm', '', ?, ?, '')"
    )
    database.execute(message, (question, session, 1, "user", "word " * 200, None, f"c{number}"))
    database.execute(message, (answer, session, 2, "assistant", "An answer.", question, None))
    database.execute(
        f"INSERT INTO generation ({GENERATION}, {MEASURED})"
        " VALUES (?, ?, ?, 'p', ?, 'm', '', 'complete', 0, 1, 1, ?, 0, 2000, 100, 500, 300, 20, 1000, 'stop')",
        (f"g{number}", session, OWNER_ID, answer, number),
    )
    database.execute("INSERT OR REPLACE INTO setting VALUES (?, 'theme', ?)", (OWNER_ID, '"dark"'))
