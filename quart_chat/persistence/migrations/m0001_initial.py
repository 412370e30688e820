"""Step 1: users, sessions, messages, generations, settings, and full-text search kept in step by triggers."""

from __future__ import annotations

from quart_chat.entities import OWNER_ID, now_ms
from quart_chat.persistence.connection import Connection

TABLES = (
    """
    CREATE TABLE user (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE session (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        user_id TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
        title TEXT NOT NULL,
        model TEXT NOT NULL,
        system_prompt TEXT NOT NULL,
        parameters TEXT NOT NULL,
        think INTEGER,
        draft TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        next_number INTEGER NOT NULL DEFAULT 1
    )
    """,
    """
    CREATE TABLE message (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        timestamp INTEGER NOT NULL,
        state TEXT NOT NULL,
        model TEXT NOT NULL,
        thinking TEXT NOT NULL,
        usage TEXT,
        statistics TEXT,
        problem TEXT,
        parent_id TEXT,
        client_id TEXT,
        author TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE generation (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
        user_id TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
        person TEXT NOT NULL,
        message_id TEXT NOT NULL REFERENCES message (id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        digest TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        continues INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        ended_at INTEGER,
        wait_ms INTEGER NOT NULL DEFAULT 0,
        load_ms INTEGER NOT NULL DEFAULT 0,
        prompt_tokens INTEGER NOT NULL DEFAULT 0,
        prompt_ms INTEGER NOT NULL DEFAULT 0,
        first_token_ms INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        output_ms INTEGER NOT NULL DEFAULT 0,
        thinking_ms INTEGER NOT NULL DEFAULT 0,
        done_reason TEXT NOT NULL DEFAULT '',
        problem TEXT
    )
    """,
    """
    CREATE TABLE setting (
        user_id TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (user_id, key)
    ) WITHOUT ROWID
    """,
)

INDEXES = (
    "CREATE INDEX session_by_user ON session (user_id, updated_at, row)",
    "CREATE UNIQUE INDEX message_number ON message (session_id, number)",
    "CREATE UNIQUE INDEX message_client ON message (client_id, session_id) WHERE client_id IS NOT NULL",
    "CREATE INDEX message_by_parent ON message (parent_id, number)",
    "CREATE INDEX generation_by_state ON generation (state, row)",
    "CREATE INDEX generation_by_session ON generation (session_id, row)",
    "CREATE INDEX generation_by_message ON generation (message_id, row)",
    "CREATE INDEX generation_by_model ON generation (model, state, row)",
    "CREATE INDEX generation_by_user ON generation (user_id)",
    """
    CREATE UNIQUE INDEX generation_active ON generation (session_id) WHERE state IN ('queued', 'running')
    """,
)

SEARCH = (
    """
    CREATE VIRTUAL TABLE message_search USING fts5 (
        content, content='message', content_rowid='row', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE VIRTUAL TABLE session_search USING fts5 (
        title, content='session', content_rowid='row', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER message_search_insert AFTER INSERT ON message BEGIN
        INSERT INTO message_search (rowid, content) VALUES (new.row, new.content);
    END
    """,
    """
    CREATE TRIGGER message_search_update AFTER UPDATE OF content ON message
    WHEN old.content IS NOT new.content BEGIN
        INSERT INTO message_search (message_search, rowid, content) VALUES ('delete', old.row, old.content);
        INSERT INTO message_search (rowid, content) VALUES (new.row, new.content);
    END
    """,
    """
    CREATE TRIGGER message_search_delete AFTER DELETE ON message BEGIN
        INSERT INTO message_search (message_search, rowid, content) VALUES ('delete', old.row, old.content);
    END
    """,
    """
    CREATE TRIGGER session_search_insert AFTER INSERT ON session BEGIN
        INSERT INTO session_search (rowid, title) VALUES (new.row, new.title);
    END
    """,
    """
    CREATE TRIGGER session_search_update AFTER UPDATE OF title ON session
    WHEN old.title IS NOT new.title BEGIN
        INSERT INTO session_search (session_search, rowid, title) VALUES ('delete', old.row, old.title);
        INSERT INTO session_search (rowid, title) VALUES (new.row, new.title);
    END
    """,
    """
    CREATE TRIGGER session_search_delete AFTER DELETE ON session BEGIN
        INSERT INTO session_search (session_search, rowid, title) VALUES ('delete', old.row, old.title);
    END
    """,
)


def upgrade(connection: Connection) -> None:
    for statement in (*TABLES, *INDEXES, *SEARCH):
        connection.run(statement)
    connection.run("INSERT INTO user (id, name, created_at) VALUES (?, ?, ?)", (OWNER_ID, "Owner", now_ms()))
