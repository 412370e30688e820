"""The short way out for a text frame: straight to the transport of a socket that has nothing else under way.

The ordinary way takes a dozen calls and two turns of the loop per frame; with a hundred viewers of one answer that is
most of what an answer costs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple


class TextLine(NamedTuple):
    """`ready()`: a frame can go now without waiting, and nothing that was sent before still waits. `write(text)`
    sends one then; never call it otherwise."""

    ready: Callable[[], bool]
    write: Callable[[str], None]


text_line: ContextVar[TextLine | None] = ContextVar("text_line", default=None)
"""Of the socket that this task serves; None where the server under us offers none."""


@lru_cache(maxsize=16)
def text_frame(text: str) -> bytes:
    """A WebSocket text frame of a server (RFC 6455, 5.2): whole, not masked, not compressed."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
