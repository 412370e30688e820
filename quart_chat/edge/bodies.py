"""Bodies of requests: read before anyone looks, up to a limit, within a time, and not too many at once.

Quart buffers what arrives whether a route wants it or not (0.23: chunked bodies without any limit). Here a body is
complete when the application sees it; what is refused reaches the application as a `refusal` to answer with, so that
the answer has the shape of all others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from quart_chat.edge.addresses import counted_as
from quart_chat.errors import QuartChatError, RateLimitError, SlowBodyError, TooLargeError

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope

REFUSAL = "quart_chat.refusal"
DEFAULT_BYTES = 64 * 1024
READ_S = 60.0
HELD_BYTES = 32 * 1024 * 1024
HELD_BYTES_PER_ADDRESS = 4 * 1024 * 1024
LET_PASS_BYTES = 4 * 1024 * 1024
"""Read and thrown away of a body that is too large, because who still writes does not read our answer."""
RETRY_S = 5


class DisconnectedError(Exception):
    """The client left before its body was complete."""


class BodyLimits:
    """`limit_of(method, path)` in bytes. Holds at most HELD_BYTES of unfinished bodies, a part of it per address."""

    def __init__(self, app: ASGIFramework, limit_of: Callable[[str, str], int], *, read_s: float = READ_S) -> None:
        self._app = app
        self._limit_of = limit_of
        self._read_s = read_s
        self._held: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        try:
            body = await self._read(cast("dict[str, Any]", scope), receive)
        except DisconnectedError:
            return
        except QuartChatError as refusal:
            cast("dict[str, Any]", scope["extensions"])[REFUSAL] = refusal
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: dict[str, Any], receive: ASGIReceiveCallable) -> bytes:
        limit = self._limit_of(scope["method"], scope["path"])
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > LET_PASS_BYTES:
            raise TooLargeError("That is too much at once.")
        address = counted_as(str(scope["client"][0])) if scope["client"] else ""
        try:
            async with asyncio.timeout(self._read_s):
                return await self._collect(limit, address, receive)
        except TimeoutError:
            raise SlowBodyError("The request took too long to arrive.") from None

    async def _collect(self, limit: int, address: str, receive: ASGIReceiveCallable) -> bytes:
        """Raises TooLargeError after LET_PASS_BYTES or the end, RateLimitError when too much is held already."""
        body, total, more = bytearray(), 0, True
        try:
            while more:
                event = await receive()
                if event["type"] != "http.request":
                    raise DisconnectedError
                more, piece = event["more_body"], event["body"]
                total += len(piece)
                if total <= limit:
                    self._hold(address, len(piece))
                    body += piece
                elif total > LET_PASS_BYTES:
                    break
        finally:
            self._release(address, len(body))
        if total > limit:
            raise TooLargeError("That is too much at once.")
        return bytes(body)

    def _hold(self, address: str, size: int) -> None:
        too_much = self._held[address] + size > HELD_BYTES_PER_ADDRESS or self._held.total() + size > HELD_BYTES
        if size and too_much:
            raise RateLimitError("Too many large requests at once.", RETRY_S)
        self._held[address] += size

    def _release(self, address: str, size: int) -> None:
        self._held[address] -= size
        if not self._held[address]:
            del self._held[address]


def _replay(body: bytes, receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    """The body in one piece, then a disconnect; what still comes of a refused body is thrown away."""
    given = False

    async def replay() -> ASGIReceiveEvent:
        nonlocal given
        if given:
            while (event := await receive())["type"] == "http.request":
                pass
            return event
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
