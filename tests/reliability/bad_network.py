"""A TCP proxy on loopback that behaves as bad networks do: cuts, stalls and half-closes after a random byte."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any, Literal, Self

Fault = Literal["none", "cut", "stall", "half-close"]
FAULTS: tuple[Fault, ...] = ("none", "cut", "stall", "half-close")
WEIGHTS = (4, 3, 1, 1)
LONGEST = 1500
"""Bytes; longer than one request or its answer, so that faults come before, in and after both."""


class BadNetwork:
    """`async with`; then `port`. Each connection has at most one fault, in one direction, at one byte."""

    def __init__(self, upstream: int, chance: random.Random) -> None:
        self.port = 0
        self.happened: Counter[str] = Counter()
        self._upstream = upstream
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        ends = {writer, back}
        self._writers |= ends
        try:
            await self._carry(reader, writer, there, back)
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Returns when both directions are over, or one was cut."""
        fault: Fault = self._chance.choices(FAULTS, WEIGHTS)[0]
        faulty = self._chance.random() < 0.5
        up = asyncio.create_task(self._pipe(reader, back, fault if faulty else "none"))
        down = asyncio.create_task(self._pipe(there, writer, "none" if faulty else fault))
        try:
            for ended in asyncio.as_completed([up, down]):
                if not await ended:
                    return
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, fault: Fault) -> bool:
        """False: the connection is to be cut. A stall lasts until somebody gives up."""
        left = self._chance.randrange(LONGEST)
        with suppress(OSError):
            while data := await source.read(65_536):
                if fault != "none" and len(data) >= left:
                    self.happened[fault] += 1
                    sink.write(data[:left])
                    await sink.drain()
                    if fault == "half-close":
                        sink.write_eof()
                        return True
                    return await _until_given_up(source) if fault == "stall" else False
                left -= len(data)
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()
        return True


async def _until_given_up(source: asyncio.StreamReader) -> bool:
    while await source.read(65_536):
        pass
    return False
