"""Step 2: jobs on models outlive the process, and a generation knows the context size it was measured with."""

from __future__ import annotations

from quart_chat.persistence.connection import Connection

STATEMENTS = (
    # Jobs are the server's: no reference, so that they outlive whoever asked for them.
    """
    CREATE TABLE job (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        user_id TEXT NOT NULL,
        state TEXT NOT NULL,
        phase TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        ended_at INTEGER,
        completed INTEGER NOT NULL,
        total INTEGER NOT NULL,
        leaving TEXT NOT NULL,
        num_ctx INTEGER NOT NULL,
        digest TEXT NOT NULL,
        new_digest TEXT NOT NULL,
        problem TEXT
    )
    """,
    "ALTER TABLE generation ADD COLUMN num_ctx INTEGER NOT NULL DEFAULT 0",
    # Cold loads are rare: without their own index all of a model's generations are read to find some.
    """
    CREATE INDEX generation_cold ON generation (model, row) WHERE state = 'complete' AND load_ms > 100
    """,
)


def upgrade(connection: Connection) -> None:
    for statement in STATEMENTS:
        connection.run(statement)
