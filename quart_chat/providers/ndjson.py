"""Bytes in, JSON objects out: lines of JSON as they come off a wire, cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

LINE_LIMIT = 4 * 1024 * 1024
"""No honest line is near it; it is what one broken sender may cost in memory."""

T = TypeVar("T")


class BadLineError(ValueError):
    """A line is not JSON of the expected shape. `line` holds it (its beginning if it is long)."""

    def __init__(self, reason: str, line: bytes) -> None:
        super().__init__(reason)
        self.line = line[:1000]


class LineTooLongError(BadLineError):
    """A line grew past the limit before it ended."""


class LineDecoder(Generic[T]):
    """Decodes each line to `shape`. Lines end at b"\\n" and nowhere else; blank lines are skipped.

    `feed` and `finish` yield what became whole, in order; a bad line raises `BadLineError` after the good
    ones before it were yielded. After an error the decoder is spent.
    """

    def __init__(self, shape: type[T], limit: int = LINE_LIMIT) -> None:
        self._decoder = msgspec.json.Decoder(shape)
        self._limit = limit
        self._parts: list[bytes] = []
        self._pending = 0

    def feed(self, data: bytes) -> Iterator[T]:
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = self._complete(line)
            if whole.strip():
                yield self._decode(whole)
        self._keep(rest)

    def finish(self) -> Iterator[T]:
        """Call once at the end: the last object may come without its newline."""
        whole = self._complete(b"")
        if whole.strip():
            yield self._decode(whole)

    def _complete(self, end: bytes) -> bytes:
        self._keep(end)
        whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._pending = 0
        return whole

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._parts.append(part)
        self._pending += len(part)
        if self._pending > self._limit:
            raise LineTooLongError(f"a line is longer than {self._limit} bytes", self._parts[0])

    def _decode(self, line: bytes) -> T:
        try:
            return self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadLineError(str(error), line) from error
