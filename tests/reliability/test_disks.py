"""R12: a disk that is full, read-only or locked is a 503 with the reason, leaves nothing half, and passes by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.doubles.script import HELLO, Script
from tests.e2e.processes import PRODUCT, ended
from tests.reliability.disks import failing_disk, filled, locked, no_file_may_grow, read_only, small_disk
from tests.reliability.house import House
from tests.reliability.ledger import ANSWERS, GENERATIONS, ORPHANS, UNANSWERED, all_finished, rows
from tests.reliability.scale import FULL, measured

LONG = "word " * 6000
LOCK_HELD_S = 10
STORED = "SELECT content FROM message WHERE role = 'user' ORDER BY row"
EMPTY = "SELECT id FROM session s WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.session_id = s.id)"


async def ask(http: httpx.AsyncClient, content: str, **more: str) -> httpx.Response:
    return await http.post("/api/chat/message", json={"content": content, **more})


async def refused(http: httpx.AsyncClient, content: str) -> dict[str, Any]:
    """Asks until the first refusal, which must be a 503: room that SQLite had set aside is used up before."""
    for _ in range(40):
        answer = await ask(http, content)
        if answer.status_code != 202:
            assert answer.status_code == 503, answer.text
            return dict(answer.json())
    raise AssertionError("it was never refused")


def nothing_half(house: House) -> list[str]:
    """The stored questions, each with its answer; no session is empty."""
    with closing(sqlite3.connect(house.database)) as database:
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        for sql in (ANSWERS, UNANSWERED, GENERATIONS, ORPHANS, EMPTY):
            assert rows(database, sql) == [], sql
        return [content for (content,) in rows(database, STORED)]


@contextmanager
def full_disk(house: House) -> Iterator[None]:
    with filled(house.directory / "data"):
        yield


@contextmanager
def limited(house: House) -> Iterator[None]:
    with no_file_may_grow(house.pid):
        yield


async def refuses_and_recovers(house: House, trouble: AbstractContextManager[None], words: tuple[str, ...]) -> None:
    async with httpx.AsyncClient(base_url=house.server.url, verify=False, timeout=30) as http:
        assert (await ask(http, "before")).status_code == 202
        await all_finished(house.database)
        with trouble:
            answer = await refused(http, LONG)
            assert answer["code"] == "SERVICE_UNAVAILABLE"
            assert any(word in answer["error"] for word in words), answer
            assert (await http.get("/api/health")).status_code == 200
        assert (await ask(http, "after")).status_code == 202
        await all_finished(house.database)
    asked = nothing_half(house)
    assert (asked[0], asked[-1], set(asked[1:-1]) <= {LONG}) == ("before", "after", True)


async def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "6m"):
        async with House(tmp_path) as house:
            await refuses_and_recovers(house, full_disk(house), ("disk is full",))


async def test_a_limit_on_the_size_of_files_is_told_and_passes(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        await refuses_and_recovers(house, limited(house), ("disk is full", "disk reported an error"))


async def test_an_answer_that_grows_while_the_disk_is_full_is_stored_whole_when_there_is_room(tmp_path: Path) -> None:
    script = Script(text=HELLO + " and" * 3000, hold_at=4)
    with small_disk(tmp_path / "data", "6m"):
        async with House(tmp_path, lambda question: script) as house:
            async with httpx.AsyncClient(base_url=house.server.url, verify=False, timeout=30) as http:
                assert (await ask(http, "Why?")).status_code == 202
                await asyncio.wait_for(script.held.wait(), 10)
                with filled(house.directory / "data"):
                    await refused(http, LONG)
                    script.resume.set()
                await all_finished(house.database)
            with closing(sqlite3.connect(house.database)) as database:
                answer = "SELECT a.content, a.state FROM message a JOIN message q ON q.id = a.parent_id"
                assert rows(database, f"{answer} WHERE q.content = 'Why?'") == [(script.text, "complete")]


async def test_a_lock_held_by_another_process_is_told_and_the_same_send_works_after_it(tmp_path: Path) -> None:
    async with House(tmp_path) as house, httpx.AsyncClient(base_url=house.server.url, timeout=30, verify=False) as http:
        session = (await ask(http, "before")).json()["session_id"]
        await all_finished(house.database)
        loop = asyncio.get_running_loop()
        async with locked(house.database):
            began = loop.time()
            answer = await ask(http, "during", session_id=session, client_id="once")
            waited_s = loop.time() - began
            assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert "in use by another program" in answer.json()["error"]
            history = await http.get("/api/chat/history", params={"session_id": session})
            assert len(history.json()["messages"]) == 2, "what is stored can be read meanwhile"
            if FULL:
                await asyncio.sleep(max(0, LOCK_HELD_S - waited_s))
        for status in (202, 200):
            again = await ask(http, "during", session_id=session, client_id="once")
            assert again.status_code == status
        await all_finished(house.database)
    measured(f"R12: a locked database is a 503 after {waited_s:.1f} s; the same send works after it, once")
    assert nothing_half(house) == ["before", "during"]


async def test_a_disk_that_becomes_read_only_is_told_what_is_there_can_be_read_and_nothing_is_half(
    tmp_path: Path,
) -> None:
    with failing_disk(tmp_path / "data", 16 * 2**20) as disk:
        async with House(tmp_path) as house:
            async with httpx.AsyncClient(base_url=house.server.url, verify=False, timeout=30) as http:
                session = (await ask(http, "before")).json()["session_id"]
                await all_finished(house.database)
                disk.fail()
                for _ in range(3):
                    answer = await ask(http, "during", client_id="once")
                    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
                    assert "disk reported an error" in answer.json()["error"]
                assert (await http.get("/api/health/ready")).status_code == 503
                history = await http.get("/api/chat/history", params={"session_id": session})
                assert [message["content"] for message in history.json()["messages"]] == ["before", HELLO]
                assert (await http.get("/api/health")).status_code == 200
            await house.kill()
            disk.repair()
            await house.start()
            async with httpx.AsyncClient(base_url=house.server.url, verify=False, timeout=30) as http:
                assert (await ask(http, "during", client_id="once")).status_code == 202
            await all_finished(house.database)
            assert nothing_half(house) == ["before", "during"]
            await house.kill()


async def test_data_that_cannot_be_written_are_one_sentence_at_the_start(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        await house.stop()
        with read_only(tmp_path / "data"):
            code, _, errors = await ended(tmp_path, PRODUCT)
            assert (code, len(errors)) == (1, 1)
            assert "cannot be" in errors[0]
        await house.start()
