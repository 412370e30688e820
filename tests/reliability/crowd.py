"""Fifty people who look, reload, ask and stop, each at random, until they are told to leave."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from contextlib import suppress

from bench.chats import new_session
from bench.client import Http, client_id
from bench.viewer import Viewer

SESSIONS = 10
TURNS_A_SESSION = 12
STOPS = 0.3
"""Share of the answers that are stopped half way."""


class Crowd:
    """`go_on()` until `leave()`; then everybody has left. `did` counts what was done."""

    def __init__(self, port: int, viewers: int, chance: random.Random) -> None:
        self.did: Counter[str] = Counter()
        self._port = port
        self._viewers = viewers
        self._chance = chance
        self._sessions: list[str] = []
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        self._leaving.set()

    async def go_on(self) -> None:
        async with Http(self._port) as http:
            self._sessions = [await self._new_session(http) for _ in range(SESSIONS)]
        async with asyncio.TaskGroup() as group:
            for number in range(SESSIONS):
                group.create_task(self._speak(number))
            for number in range(self._viewers):
                group.create_task(self._look(number))

    async def _new_session(self, http: Http) -> str:
        """One that nobody else gets: an empty one would be handed out again."""
        session_id = await new_session(http)
        await self._ask(http, session_id)
        return session_id

    async def _look(self, number: int) -> None:
        session_id = self._sessions[number % SESSIONS]
        while not self._leaving.is_set():
            async with Http(self._port) as http:
                await http.request("GET", f"/chat/{session_id}")
            viewer = await Viewer("program" if number % 3 == 0 else "page").open(self._port, session_id)
            self.did["visits"] += 1
            await self._pause(1, 12)
            viewer.close()

    async def _pause(self, least_s: float, most_s: float) -> None:
        """Shorter when it is time to leave."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._chance.uniform(least_s, most_s)):
                await self._leaving.wait()

    async def _speak(self, number: int) -> None:
        async with Http(self._port) as http:
            for turn in itertools.takewhile(lambda _: not self._leaving.is_set(), itertools.count()):
                session_id = self._sessions[number]
                generation_id = await self._ask(http, session_id)
                if generation_id is not None and self._chance.random() < STOPS:
                    await self._pause(0, 1)
                    await http.request("DELETE", f"/api/generations/{generation_id}")
                    self.did["stops"] += 1
                await self._pause(0.2, 2)
                if turn % TURNS_A_SESSION == TURNS_A_SESSION - 1:
                    await http.request("DELETE", f"/api/chat/clear?session_id={session_id}")
                    self.did["clears"] += 1

    async def _ask(self, http: Http, session_id: str) -> str | None:
        """None while the answer before it is being written."""
        body = {"content": f"Why {self._chance.random()}?", "session_id": session_id, "client_id": client_id()}
        status, _, data = await http.request("POST", "/api/chat/message", body)
        assert status in (202, 409), (status, data)
        self.did["questions"] += status == 202
        return str(json.loads(data)["generation"]["id"]) if status == 202 else None
