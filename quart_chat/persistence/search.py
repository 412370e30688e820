"""Full-text search by FTS5, newest first (by relevance it would cost in proportion to the matches)."""

from __future__ import annotations

from quart_chat.entities import SearchHit
from quart_chat.persistence.connection import current

MOST = 10_000
"""So many of the newest matching messages decide which sessions are found."""
COUNTED = 1_000
"""Matches are counted up to here; the number beyond is of no use and costs time."""
_LONGEST = 200
_BEGINNING = 3
"""A last word shorter than this is taken whole: as a beginning it could be that of half of all words."""

SESSIONS = """(
    SELECT rowid FROM session_search WHERE session_search MATCH ?
    UNION
    SELECT row FROM (
        SELECT session.row FROM message_search
        JOIN message ON message.row = message_search.rowid
        JOIN session ON session.id = message.session_id
        WHERE message_search MATCH ? AND session.user_id = ?
        ORDER BY message_search.rowid DESC LIMIT ?
    )
)"""
"""Rows of the sessions whose title or message matches; of titles everybody's."""

_HITS = """
    SELECT message.session_id, message.id, session.title,
           snippet(message_search, 0, char(2), char(3), '…', 16), message.timestamp
    FROM message_search
    JOIN message ON message.row = message_search.rowid
    JOIN session ON session.id = message.session_id
    WHERE message_search MATCH ? AND session.user_id = ?
    ORDER BY message_search.rowid DESC LIMIT ? OFFSET ?
"""

_TOTAL = """
    SELECT count(*) FROM (
        SELECT 1 FROM message_search
        JOIN message ON message.row = message_search.rowid
        JOIN session ON session.id = message.session_id
        WHERE message_search MATCH ? AND session.user_id = ? LIMIT ?
    )
"""


def match_of(query: str) -> str:
    """`query` for FTS5: every word must occur, the last may be a beginning. Empty: nothing to look for.

    Each word is quoted, so that no character of it is an operator.
    """
    text = query[:_LONGEST].encode(errors="ignore").decode().replace("\0", " ")
    words = [word for word in text.split() if any(character.isalnum() for character in word)]
    quoted = ['"' + word.replace('"', '""') + '"' for word in words]
    goes_on = bool(words) and (len(words[-1]) >= _BEGINNING or not words[-1].isascii())
    return " ".join(quoted) + (" *" if goes_on else "")


def hits(user_id: str, query: str, limit: int, offset: int) -> tuple[list[SearchHit], int]:
    match = match_of(query)
    if not match:
        return [], 0
    found = current.execute_sql(_HITS, (match, user_id, limit, offset)).fetchall()
    (total,) = current.execute_sql(_TOTAL, (match, user_id, COUNTED)).fetchone()
    return [_hit(*row) for row in found], total


def _hit(session_id: str, message_id: str, title: str, snippet: str, timestamp: int) -> SearchHit:
    return SearchHit(session_id=session_id, message_id=message_id, title=title, snippet=snippet, timestamp=timestamp)
