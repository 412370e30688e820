"""Whoever leaves while the database commits: what was asked for is done whole, and the tabs know it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from quart_chat.chat.whole import whole
from quart_chat.entities import OWNER_ID, MessageState
from tests.chat.houses import House, eventually
from tests.doubles.script import Script


async def leave_during_the_commit(house: House, work: Coroutine[Any, Any, Any]) -> None:
    """Cancels `work` after its write has run in the writer's thread and before the loop has heard of it."""
    database = house.services._database
    loop, began, gate = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold() -> None:
        loop.call_soon_threadsafe(began.set)
        gate.wait(5)

    holding = asyncio.ensure_future(database.write(hold))
    await began.wait()
    task = asyncio.ensure_future(work)
    await eventually(lambda: bool(database._writes._units.qsize()))
    leaving = asyncio.ensure_future(database.write(lambda: loop.call_soon_threadsafe(task.cancel) and None))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(holding, leaving)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_sent_question_is_answered(house: House) -> None:
    session = await house.new_session()
    async with house.services.hub.session(session.id, OWNER_ID) as document:
        await leave_during_the_commit(house, house.ask(session))
        await house.idle()
        states = [message.state for message in await house.chat.get_history(session.id, OWNER_ID)]
        assert states == [MessageState.COMPLETE] * 2
        assert [live.message.state for live in document.messages.values()] == states


async def test_an_answer_asked_for_again_comes(house: House) -> None:
    turn = await house.ask(await house.new_session())
    await house.ended(turn)
    await leave_during_the_commit(house, house.chat.answer_again(turn.answer.id, OWNER_ID, person="p"))
    await house.idle()
    history = await house.chat.get_history(turn.question.session_id, OWNER_ID)
    assert [message.state for message in history] == [MessageState.COMPLETE] * 3


async def test_a_stopped_question_shows_as_stopped(house: House) -> None:
    script = house.fake.answer(Script(hold_at=1))
    await house.ask(await house.new_session())
    await script.held.wait()
    turn = await house.ask(await house.new_session())
    await leave_during_the_commit(house, house.chat.stop(turn.generation.id, OWNER_ID))
    document = house.services.hub.loaded(turn.question.session_id)
    assert document is not None
    assert document.messages[turn.answer.id].message.state is MessageState.STOPPED
    script.resume.set()
    await house.idle()


async def test_a_cleared_session_shows_as_empty(house: House) -> None:
    turn = await house.ask(await house.new_session())
    await house.ended(turn)
    await leave_during_the_commit(house, house.chat.clear(turn.question.session_id, OWNER_ID))
    document = house.services.hub.loaded(turn.question.session_id)
    assert document is not None
    assert document.messages == {}


async def test_a_deleted_session_is_gone(house: House) -> None:
    session = await house.new_session()
    async with house.services.hub.session(session.id, OWNER_ID) as document:
        await leave_during_the_commit(house, house.chat.delete_session(session.id, OWNER_ID))
        assert document.deleted_rev is not None
    assert house.services.hub.loaded(session.id) is None


async def test_a_renamed_session_shows_its_name(house: House) -> None:
    session = await house.new_session()
    async with house.services.hub.session(session.id, OWNER_ID) as document:
        change = house.chat.update_session(session.id, OWNER_ID, {"title": "New"})
        await leave_during_the_commit(house, change)
        assert document.session.title == "New"


async def test_whole_gives_the_result_and_the_error_of_its_work() -> None:
    async def work(fails: bool) -> int:
        if fails:
            raise KeyError("no")
        return 7

    assert await whole(work(False)) == 7
    with pytest.raises(KeyError):
        await whole(work(True))


async def test_whole_outlasts_any_number_of_cancels_and_hides_no_other_failure_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    go_on, ended = asyncio.Event(), False

    async def work() -> None:
        nonlocal ended
        await go_on.wait()
        ended = True
        raise KeyError("too late")

    task = asyncio.ensure_future(whole(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended
    assert "too late" in caplog.text
