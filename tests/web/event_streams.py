"""A reader of server-sent events that is not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

Json = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """`name` as browsers say it: "message" where the server gave none, ": comment" for a comment."""

    name: str
    data: Json
    id: str = ""


class Events:
    """The events of one answer, one after the other; `seen` are those that were read."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.seen: list[Event] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Event | None:
        """None at the end of the stream. Fails after 5 s."""
        async with asyncio.timeout(5):
            fields: dict[str, str] = {}
            async for line in self._lines:
                if line:
                    name, _, value = line.partition(": ")
                    fields[name or "comment"] = value
                elif fields:
                    self.seen.append(_event(fields))
                    return self.seen[-1]
        return None

    async def until(self, wanted: Callable[[Event], bool]) -> Event:
        while (event := await self.next()) is not None:
            if wanted(event):
                return event
        raise AssertionError(f"the stream ended: {self.seen}")

    async def rest(self) -> list[Event]:
        while await self.next() is not None:
            pass
        return self.seen

    def text(self, key: str = "token") -> str:
        return "".join(event.data.get(key, "") for event in self.seen)

    def statuses(self) -> list[str]:
        return [event.data["event"] for event in self.seen if event.name == "status"]


def _event(fields: dict[str, str]) -> Event:
    if "comment" in fields:
        return Event(f": {fields['comment']}", {})
    return Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", ""))


@asynccontextmanager
async def listening(http: httpx.AsyncClient, body: Json, **headers: str) -> AsyncIterator[Events]:
    """Asks by POST /api/chat/stream; leaves at the end of the block."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("POST", "/api/chat/stream", json=body, headers=named) as response:
        yield Events(response)
