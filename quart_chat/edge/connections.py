"""Every open TCP connection: how many there may be, of one address and of all, and a way to drop them."""

from __future__ import annotations

import asyncio
from collections import Counter

from quart_chat.edge.addresses import Networks, counted_as, parse_address
from quart_chat.edge.pace import Pace

MOST = 1000
MOST_PER_ADDRESS = 200
FLOOD_TURNS = 30


class Connections:
    """Counts by address; `exempt` (proxies, which carry many people) count only towards all."""

    def __init__(
        self,
        most: int = MOST,
        most_per_address: int = MOST_PER_ADDRESS,
        exempt: Networks | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._exempt = exempt or Networks("")
        self._pace = pace
        self._addresses: dict[asyncio.StreamWriter, str] = {}
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._addresses)

    def enter(self, writer: asyncio.StreamWriter) -> bool:
        """False: one too many, not counted. Whoever enters leaves."""
        peer = writer.get_extra_info("peername")
        address = counted_as(str(peer[0])) if peer else ""
        limited = peer and parse_address(str(peer[0])) not in self._exempt
        if len(self) >= self._most or (limited and self._counts[address] >= self._most_per_address):
            return False
        self._addresses[writer] = address
        self._counts[address] += 1
        return True

    async def turn(self, writer: asyncio.StreamWriter) -> None:
        """For one that has entered: returns when it may begin, at once unless its address opens very many."""
        peer = writer.get_extra_info("peername")
        if self._pace is not None and peer and parse_address(str(peer[0])) not in self._exempt:
            await self._pace.turn(str(peer[0]))

    def charge(self, client: tuple[str, int] | None) -> None:
        """One of its connections flooded us."""
        if self._pace is not None and client and parse_address(client[0]) not in self._exempt:
            self._pace.charge(client[0], FLOOD_TURNS)

    def leave(self, writer: asyncio.StreamWriter) -> None:
        address = self._addresses.pop(writer)
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def abort(self) -> int:
        """Drops all, unsent data included; how many there were."""
        writers = list(self._addresses)
        for writer in writers:
            writer.transport.abort()
        return len(writers)
