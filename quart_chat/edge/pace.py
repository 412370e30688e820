"""How fast one address is served: whoever hurries waits, so that it does not take the processor from the others."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from quart_chat.edge.addresses import counted_as

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

PER_SECOND, AT_ONCE = 30.0, 60.0
FORGET_ABOVE = 10_000


class Pace:
    """Turns of an address: `at_once`, then `per_second`. How many wait is bounded by its connections."""

    def __init__(self, per_second: float = PER_SECOND, at_once: float = AT_ONCE) -> None:
        self._per_second = per_second
        self._ahead_s = at_once / per_second
        self._next: dict[str, float] = {}
        """address -> when its next turn would be if none had been given in advance"""

    def charge(self, address: str, turns: int) -> None:
        """Takes turns in advance from one that misbehaved, so that coming back at once does not pay."""
        key, now = counted_as(address), time.monotonic()
        self._next[key] = max(self._next.get(key, 0.0), now - self._ahead_s) + turns / self._per_second

    async def turn(self, address: str) -> None:
        """Returns when it is this address's turn; turns are given in the order in which they were asked for."""
        key, now = counted_as(address), time.monotonic()
        if len(self._next) >= FORGET_ABOVE:
            self._next = {key: due for key, due in self._next.items() if due > now - self._ahead_s}
        due = max(self._next.get(key, 0.0), now - self._ahead_s)
        self._next[key] = due + 1 / self._per_second
        if due > now:
            await asyncio.sleep(due - now)


class Paced:
    """Every request and every opening of a socket takes a turn."""

    def __init__(self, app: ASGIFramework, pace: Pace) -> None:
        self._app = app
        self._pace = pace

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan" and scope["client"]:
            await self._pace.turn(str(scope["client"][0]))
        await self._app(scope, receive, send)
