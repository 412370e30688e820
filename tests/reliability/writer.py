"""A person with a program: asks, looks on while the answer grows, asks again, and repeats what nobody acknowledged."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import suppress
from typing import Any

import httpx
import websockets

from tests.reliability.house import House
from tests.reliability.ledger import Ledger

QUESTIONS_A_SESSION = 8
AGAIN_S = 0.05
AWAY = (httpx.TransportError, websockets.WebSocketException, OSError)


class Writer:
    """`live()` until `leaving` is set and the last question is acknowledged. `kind` is a word for the engine."""

    def __init__(self, house: House, ledger: Ledger, number: int, kind: str) -> None:
        self._house = house
        self._ledger = ledger
        self._cookie = f"{number:016d}"
        self._kind = kind
        self._session_id = ""
        self._left = 0
        self._unsure: tuple[str, str] | None = None
        self.leaving = False
        self.turns = 0

    async def live(self) -> None:
        while not self.leaving or self._unsure is not None:
            try:
                async with httpx.AsyncClient(
                    base_url=self._house.server.url, cookies={"qc_person": self._cookie}, timeout=20, verify=False
                ) as http:
                    while not self.leaving or self._unsure is not None:
                        await self._turn(http)
            except AWAY:
                await asyncio.sleep(AGAIN_S)

    async def _turn(self, http: httpx.AsyncClient) -> None:
        if not self._session_id:
            answer = await http.post("/api/chat/message", json={"content": f"first {uuid.uuid4().hex}"})
            if answer.status_code != 202:
                await asyncio.sleep(AGAIN_S)
                return
            self._session_id, self._left = answer.json()["session_id"], QUESTIONS_A_SESSION
            await self._look_on(answer.json()["generation"]["message_id"])
            return
        client_id, content = self._unsure = self._unsure or _question(self._kind)
        body = {"session_id": self._session_id, "client_id": client_id, "content": content}
        answer = await http.post("/api/chat/message", json=body)
        if answer.status_code not in (200, 202):
            # 409: the answer before it is written again after a restart. 503: the server is leaving.
            assert answer.status_code in (409, 503), answer.text
            await asyncio.sleep(AGAIN_S)
            return
        self._ledger.acknowledged[client_id] = content
        self._unsure = None
        self.turns += 1
        self._left -= 1
        session_id, self._session_id = self._session_id, self._session_id if self._left else ""
        await self._look_on(answer.json()["generation"]["message_id"], session_id)

    async def _look_on(self, message_id: str, session_id: str = "") -> None:
        """Until the answer has an end, or the socket has."""
        key = (self._ledger.life, message_id)
        url = f"ws://127.0.0.1:{self._house.server.port}/ws?session={session_id or self._session_id}&after="
        async with websockets.connect(url, compression=None, max_size=None, ping_interval=None) as socket:
            with suppress(websockets.ConnectionClosed):
                async for frame in socket:
                    if self._take(key, json.loads(frame)["payload"]):
                        return

    def _take(self, key: tuple[int, str], payload: dict[str, Any]) -> bool:
        """True when the answer is over."""
        message_id, event = key[1], payload.get("event")
        if event == "delta" and payload["message_id"] == message_id:
            self._ledger.sight(key).grow(payload["offset"], payload["text"])
        told = payload.get("messages", []) if event == "snapshot" else [payload.get("message")]
        for message in told:
            if isinstance(message, dict) and message.get("id") == message_id:
                self._ledger.sight(key).grow(0, message["content"])
                if message["state"] == "complete":
                    self._ledger.finished[key] = message["content"]
                return bool(message["state"] != "generating")
        return False


def _question(kind: str) -> tuple[str, str]:
    client_id = uuid.uuid4().hex
    return client_id, f"{kind} {client_id}"
