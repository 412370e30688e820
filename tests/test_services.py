"""The composition root: what starts, in which order it ends, and that ending twice is ending once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from quart_chat.config import Settings
from quart_chat.entities import OWNER_ID
from quart_chat.errors import StorageError
from quart_chat.live.viewer import Viewer
from quart_chat.services import RESTARTED, build_services
from tests.chat.houses import MODEL, open_house, settings_for
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script


async def test_a_database_that_cannot_be_opened_is_a_storage_error_and_closing_still_works(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    (tmp_path / "quart-chat.db").write_bytes(b"not a database, certainly not" * 100)
    services = build_services(settings_for(tmp_path, fake_ollama))
    with pytest.raises(StorageError):
        await services.start()
    await services.close()
    await services.close()


async def test_services_that_never_started_can_be_closed(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    await build_services(settings_for(tmp_path, fake_ollama)).close()


async def test_starting_does_not_wait_for_a_silent_engine(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    fake_ollama.misbehave("hang_before_headers", path="/api/version", times=50)
    async with asyncio.timeout(2), open_house(tmp_path, fake_ollama) as house:
        assert not house.services.library.first_look.is_set()


@pytest.mark.parametrize(("models", "said"), [(True, "2 models"), (False, "0 models")])
async def test_the_console_is_told_which_engine_was_found(tmp_path: Path, models: bool, said: str) -> None:
    async with FakeOllama(models=models) as fake, open_house(tmp_path, fake) as house:
        assert await house.services.engine_summary() == f"Ollama 0.33.0 at {fake.url}, {said}"


async def test_the_console_is_told_that_no_engine_answers(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    fake_ollama.stop_listening()
    async with open_house(tmp_path, fake_ollama) as house:
        summary = await house.services.engine_summary()
        assert "does not answer" in summary
        assert "demo is offered" in summary
        await fake_ollama.listen()


async def test_draining_tells_every_viewer_and_ends_when_they_have_left(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama) as house:
        hub, viewer = house.services.hub, Viewer("program", paced=False)
        viewer.follow(hub.board(OWNER_ID), None)
        hub.join(viewer)
        draining = asyncio.ensure_future(house.services.drain())
        async with asyncio.timeout(1):
            while viewer.close_code is None:
                viewer.wake.clear()
                await viewer.wake.wait()
        assert viewer.close_code == RESTARTED
        hub.leave(viewer)
        async with asyncio.timeout(1):
            await draining
        assert house.services.draining


async def test_closing_while_answers_run_and_wait_leaves_no_task_behind(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    before = asyncio.all_tasks()
    async with open_house(tmp_path, fake_ollama) as house:
        script = fake_ollama.answer(Script(hold_at=2))
        await house.ask(await house.new_session())
        await script.held.wait()
        await house.ask(await house.new_session())
        house.services.library.begin_load("think", by=OWNER_ID)
    left = {
        task for task in asyncio.all_tasks() - before if "generation" in task.get_name() or "load" in task.get_name()
    }
    assert left == set()


async def test_history_in_memory_is_gone_afterwards(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_house(tmp_path, fake_ollama, history_storage_type="memory") as house:
        await house.ended(await house.ask(await house.new_session()))
        _, total = await house.storage.list_sessions(OWNER_ID)
        assert total == 1
    assert os.listdir(tmp_path) == []
    async with open_house(tmp_path, fake_ollama, history_storage_type="memory") as house:
        assert await house.storage.list_sessions(OWNER_ID) == ([], 0)


def test_the_default_model_of_the_tests_is_one_of_the_fake() -> None:
    assert Settings().ollama_default_model == ""
    assert MODEL.endswith(":latest")
