"""Threat 32: whoever asks a thousand times does not keep others waiting, and is told when it is enough."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx

from tests.doubles.script import Script
from tests.reliability.house import House
from tests.reliability.ledger import rows
from tests.reliability.scale import measured, scaled

GREEDY, MODEST = "g" * 16, "m" * 16
EMPTY = "SELECT count(*) FROM session s WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.session_id = s.id)"


def person(house: House, cookie: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=house.server.url, cookies={"qc_person": cookie}, verify=False, timeout=30)


async def ask(http: httpx.AsyncClient, content: str) -> httpx.Response:
    return await http.post("/api/chat/message", json={"content": content})


async def test_behind_a_thousand_questions_of_one_person_the_first_of_another_is_next(tmp_path: Path) -> None:
    count = scaled("questions", 300, 1000)
    first = Script(hold_at=0)
    order: list[str] = []

    def write(question: str) -> Script:
        order.append(question)
        return first if question == "greedy 0" else Script(text="Yes.")

    limits = {"QUEUE_MAX": "1000", "QUEUE_MAX_PER_PERSON": "1000", "OLLAMA_NUM_PARALLEL": "1"}
    async with House(tmp_path, write, **limits) as house, person(house, GREEDY) as greedy:
        for number in range(count):
            assert (await ask(greedy, f"greedy {number}")).status_code == 202
        async with person(house, MODEST) as modest:
            began = asyncio.get_running_loop().time()
            answer = await ask(modest, "modest")
            took_s = asyncio.get_running_loop().time() - began
        assert answer.json()["generation"]["position"] == 1
        first.resume.set()
        await house.fake.until(lambda: len(order) > 2, within_s=20)
    assert order[:3] == ["greedy 0", "modest", "greedy 1"]
    measured(f"32: behind {count} questions of one person another's is next; it was taken in {took_s * 1000:.0f} ms")


async def test_a_thousand_questions_under_the_usual_limits_are_429_with_retry_after_and_leave_nothing(
    tmp_path: Path,
) -> None:
    count = scaled("refusals", 100, 1000)
    first = Script(hold_at=0)
    async with (
        House(tmp_path, lambda question: first, QUEUE_MAX_PER_PERSON="3", OLLAMA_NUM_PARALLEL="1") as house,
        person(house, GREEDY) as greedy,
    ):
        answers = [await ask(greedy, f"greedy {number}") for number in range(count)]
        statuses = [answer.status_code for answer in answers]
        assert statuses == [202] * 4 + [429] * (count - 4), "one is answered, three wait"
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers[4:])
        async with person(house, MODEST) as modest:
            assert (await ask(modest, "modest")).json()["generation"]["position"] <= 2
        with closing(sqlite3.connect(house.database)) as database:
            assert rows(database, EMPTY) == [(0,)], "what was refused left a session behind"
        first.resume.set()
