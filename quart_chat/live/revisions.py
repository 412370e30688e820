"""The one clock of changes in this process, and cursors that say how far a viewer has seen.

Revisions grow over all documents together, so a document that was dropped from memory and read again starts
above every cursor that anybody holds of it: such a viewer gets a snapshot, never a wrong difference.
"""

from __future__ import annotations

import secrets
from array import array
from bisect import bisect_right

from msgspec import Struct


class Revisions:
    """`epoch` changes with every start of the process; `next()` never repeats within one."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self.current = 0

    def next(self) -> int:
        self.current += 1
        return self.current


class Cursor(Struct, frozen=True):
    """How far a viewer has seen its session's document and the board; None: nothing yet."""

    epoch: str
    session: int | None = None
    board: int | None = None

    def __str__(self) -> str:
        return f"{self.epoch}.{_number(self.session)}.{_number(self.board)}"


def parse_cursor(text: str) -> Cursor | None:
    """None for anything that is not a cursor of ours: the viewer then gets a snapshot."""
    parts = text.split(".")
    if len(parts) != 3 or not parts[0] or len(text) > 64:
        return None
    try:
        session, board = (int(part) if part else None for part in parts[1:])
    except ValueError:
        return None
    return Cursor(parts[0], session, board)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


class Marks:
    """How long a growing text was at each revision; 16 bytes a mark."""

    def __init__(self, revision: int = 0, length: int = 0) -> None:
        self._revisions = array("Q", [revision])
        self._lengths = array("Q", [length])

    @property
    def latest(self) -> int:
        return self._revisions[-1]

    @property
    def length(self) -> int:
        return self._lengths[-1]

    def add(self, revision: int, length: int) -> None:
        self._revisions.append(revision)
        self._lengths.append(length)

    def length_at(self, revision: int) -> int:
        """The length that a viewer at `revision` has; 0 before the first mark."""
        at = bisect_right(self._revisions, revision)
        return self._lengths[at - 1] if at else 0
