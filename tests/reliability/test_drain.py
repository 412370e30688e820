"""R6: SIGTERM with many open sockets, stuck ones among them, and a running answer: polite, in time, nothing lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection

from tests.doubles.script import Script
from tests.e2e.processes import open_socket, stuck_socket
from tests.reliability.house import House
from tests.reliability.ledger import rows
from tests.reliability.scale import measured, scaled

LONGEST_S = 5.0
RESTART = 1012
AN_ADDRESS = 100
ANSWER = "SELECT content, state FROM message WHERE role = 'assistant'"


async def test_a_stop_with_open_and_stuck_sockets_and_a_running_answer_keeps_its_promises(tmp_path: Path) -> None:
    sockets = scaled("sockets", 100, 500)
    stuck = sockets // 10
    script = Script(count=40, hold_at=20)
    async with House(tmp_path, lambda question: script) as house:
        async with httpx.AsyncClient(base_url=house.server.url, verify=False) as http:
            sent = await http.post("/api/chat/message", json={"content": "Why?"})
        path = f"/ws?session={sent.json()['session_id']}&after="
        await asyncio.wait_for(script.held.wait(), 10)
        with ExitStack() as stack:
            polite = [await polite_socket(house, path, number) for number in range(sockets - stuck)]
            for _ in range(stuck):
                stack.enter_context(stuck_socket(house.server, path))
            code, seconds = await house.stop()
            await asyncio.gather(*(socket.wait_closed() for socket in polite))
        assert {socket.close_code for socket in polite} == {RESTART}
        assert code == 0
        with closing(sqlite3.connect(house.database)) as database:
            assert rows(database, ANSWER) == [(shown(script), "interrupted")]
        await house.start()
    measured(f"R6: stopped in {seconds:.2f} s with {sockets} sockets ({stuck} stuck) and a running answer, code 0")
    assert seconds <= LONGEST_S


async def polite_socket(house: House, path: str, number: int) -> ClientConnection:
    """One that reads; from one of several addresses, because each may have only so many."""
    source = (f"127.0.0.{2 + number // AN_ADDRESS}", 0)
    return await open_socket(house.server, path, compression=None, max_queue=None, local_addr=source)


def shown(script: Script) -> str:
    """What it had said when it was held."""
    return "".join(list(script.content())[: script.hold_at])
