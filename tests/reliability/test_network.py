"""R3: over a network that cuts, stalls and half-closes, a send that is repeated until it is answered happens once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import httpx

from tests.reliability.bad_network import BadNetwork
from tests.reliability.house import House
from tests.reliability.ledger import ANSWERS, GENERATIONS, UNANSWERED, all_finished, rows
from tests.reliability.scale import measured, scaled, seeded

CLIENTS = 12
PATIENCE_S = 0.7
AGAIN_S = 0.02
SENT = "SELECT content FROM message WHERE role = 'user' AND content NOT LIKE 'hello %'"
OTHER_ENDS = "SELECT state, problem FROM message WHERE role = 'assistant' AND state <> 'complete'"
ANSWERED = "SELECT count(*) FROM message WHERE role = 'assistant' AND state = 'complete'"


async def new_session(http: httpx.AsyncClient) -> str:
    answer = await http.post("/api/chat/message", json={"content": f"hello {uuid.uuid4().hex}"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["session_id"])


async def send(http: httpx.AsyncClient, session_id: str, content: str, chance: random.Random) -> int:
    """Repeats until it is acknowledged; how many tries it took."""
    body = {"session_id": session_id, "client_id": uuid.uuid4().hex, "content": content}
    tries = 0
    while True:
        tries += 1
        try:
            answer = await http.post("/api/chat/message", json=body)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code in (200, 202):
            return tries
        # 409: the answer before it is not done. 400, 408: the request was cut, so it was none.
        assert answer is None or answer.status_code in (400, 408, 409), answer.text
        await asyncio.sleep(chance.uniform(0, AGAIN_S))


async def sends(url: str, session_id: str, count: int, chance: random.Random) -> int:
    """One after another, each try on a connection of its own."""
    async with httpx.AsyncClient(
        base_url=url, timeout=PATIENCE_S, headers={"Connection": "close"}, verify=False
    ) as http:
        return sum([await send(http, session_id, f"{session_id} {number}", chance) for number in range(count)])


async def test_every_send_through_a_bad_network_is_one_row_and_one_answer(tmp_path: Path) -> None:
    each = -(-scaled("sends", 300, 10_000) // CLIENTS)
    chance = seeded()
    async with House(tmp_path) as house, BadNetwork(house.server.port, chance) as network:
        async with httpx.AsyncClient(base_url=house.server.url, verify=False) as http:
            sessions = [await new_session(http) for _ in range(CLIENTS)]
        url = f"http://127.0.0.1:{network.port}"
        tries = sum(await asyncio.gather(*(sends(url, session, each, chance) for session in sessions)))
        await all_finished(house.database)
        with closing(sqlite3.connect(house.database)) as database:
            stored = sorted(content for (content,) in rows(database, SENT))
            [(answered,)] = rows(database, ANSWERED)
            assert rows(database, OTHER_ENDS) == []
            for sql in (ANSWERS, UNANSWERED, GENERATIONS):
                assert rows(database, sql) == [], sql
    expected = sorted(f"{session} {number}" for session in sessions for number in range(each))
    asked = [house.asked[content] for content in expected]
    faults = ", ".join(f"{count} × {fault}" for fault, count in sorted(network.happened.items()))
    measured(
        f"R3: {len(expected)} sends took {tries} tries ({faults}): {len(stored)} rows, {answered - CLIENTS} answers, "
        f"{sum(asked)} asked of the engine"
    )
    assert tries > len(expected), "the network was too good"
    assert stored == expected
    assert answered == len(expected) + CLIENTS
    assert set(asked) == {1}
