"""R6: SIGTERM with many open sockets and streams, stuck ones among them, and a running answer: polite, in time,
nothing lost."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection

from tests.doubles.script import Script
from tests.e2e.processes import open_socket, stuck_socket
from tests.edge.wire import request
from tests.reliability.house import House
from tests.reliability.ledger import rows
from tests.reliability.scale import measured, scaled
from tests.web.event_streams import listening

LONGEST_S = 5.0
RESTART = 1012
AN_ADDRESS = 100
STREAMS, STUCK_STREAMS = 8, 2
QUESTION = {"message": "Why?", "client_id": "once"}
ANSWER = "SELECT content, state FROM message WHERE role = 'assistant'"


async def test_a_stop_with_open_and_stuck_sockets_and_streams_and_a_running_answer_keeps_its_promises(
    tmp_path: Path,
) -> None:
    sockets = scaled("sockets", 100, 500)
    stuck = sockets // 10
    script = Script(count=40, hold_at=20)
    async with House(tmp_path, lambda question: script) as house:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=house.server.url, verify=False))
            streams = [await stack.enter_async_context(listening(http, QUESTION)) for _ in range(STREAMS)]
            head = await streams[0].until(lambda event: "conversation_id" in event.data)
            path = f"/ws?session={head.data['conversation_id']}&after="
            await asyncio.wait_for(script.held.wait(), 10)
            polite = [await polite_socket(house, path, number) for number in range(sockets - stuck)]
            for _ in range(stuck):
                stack.enter_context(stuck_socket(house.server, path))
            for _ in range(STUCK_STREAMS):
                stack.enter_context(stuck_stream(house))
            reading = [asyncio.create_task(events.rest()) for events in streams]
            code, seconds = await house.stop()
            await asyncio.gather(*reading, *(one.wait_closed() for one in polite))
        assert {one.close_code for one in polite} == {RESTART}
        assert {events.seen[-1].data["code"] for events in streams} == {"SERVICE_UNAVAILABLE"}
        assert {events.text() for events in streams} == {shown(script)}
        assert code == 0
        with closing(sqlite3.connect(house.database)) as database:
            assert rows(database, ANSWER) == [(shown(script), "interrupted")]
        await house.start()
    measured(
        f"R6: stopped in {seconds:.2f} s with {sockets} sockets ({stuck} stuck), {STREAMS + STUCK_STREAMS} streams"
        f" ({STUCK_STREAMS} stuck) and a running answer, code 0"
    )
    assert seconds <= LONGEST_S


@contextmanager
def stuck_stream(house: House) -> Iterator[socket.socket]:
    """A client that has a stream of the same answer begun and reads none of it."""
    body = json.dumps(QUESTION).encode()
    with socket.create_connection(("127.0.0.1", house.server.port), timeout=5) as client:
        client.sendall(request("POST", "/api/chat/stream", "Content-Type: application/json", body=body))
        assert client.recv(12) == b"HTTP/1.1 200"
        yield client


async def polite_socket(house: House, path: str, number: int) -> ClientConnection:
    """One that reads; from one of several addresses, because each may have only so many."""
    source = (f"127.0.0.{2 + number // AN_ADDRESS}", 0)
    return await open_socket(house.server, path, compression=None, max_queue=None, local_addr=source)


def shown(script: Script) -> str:
    """What it had said when it was held."""
    return "".join(list(script.content())[: script.hold_at])
