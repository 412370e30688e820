"""What may be said when: sends, repeats, conflicts, stops, clears and deletes, on real storage and a real socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from quart_chat.chat.manager import MAX_CLIENT_ID
from quart_chat.entities import OWNER_ID, GenerationState, MessageState, Parameters, Role
from quart_chat.errors import (
    ConflictError,
    InvalidInputError,
    ModelNotFoundError,
    NotFoundError,
    QueueFullError,
    RateLimitError,
)
from tests.chat.houses import MODEL, House, open_house
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script


def held(**more: object) -> Script:
    """An answer that stops after its first words until it is told to go on."""
    return Script(**{"text": "one two three four", "hold_at": 2, **more})  # type: ignore[arg-type]


async def test_a_question_is_answered_and_both_are_stored(house: House) -> None:
    session = await house.new_session()
    turn = await house.ask(session, "Say hello")
    answer = await house.ended(turn)
    assert (answer.state, answer.content, answer.problem) == (MessageState.COMPLETE, HELLO, None)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 22
    assert not answer.usage.estimated
    question, stored = await house.chat.get_history(session.id, OWNER_ID)
    assert (question.role, question.content, stored.id) == (Role.USER, "Say hello", answer.id)
    generation = await house.storage.get_generation(turn.generation.id, OWNER_ID)
    assert generation.state is GenerationState.COMPLETE


async def test_the_first_question_names_the_session_and_the_board_knows_it(house: House) -> None:
    session = await house.new_session()
    turn = await house.ask(session, "# Why is the sky blue?\nand more")
    await house.ended(turn)
    document = house.services.hub.loaded(session.id)
    assert document is not None
    assert document.session.title == "Why is the sky blue?"
    listed = house.services.hub.board(OWNER_ID).get("session")[session.id]
    assert (listed.title, listed.message_count) == ("Why is the sky blue?", 2)


async def test_the_same_client_id_again_is_the_same_send(house: House) -> None:
    session = await house.new_session()
    first = await house.ask(session, client_id="c1")
    await house.ended(first)
    again = await house.ask(session, client_id="c1")
    assert (again.question.id, again.generation.id, again.created) == (first.question.id, first.generation.id, False)
    assert len(house.fake.questions) == 1


async def test_the_same_client_id_at_the_same_time_is_one_send(house: House) -> None:
    session = await house.new_session()
    turns = await asyncio.gather(*(house.ask(session, client_id="c1", person=f"p{n}") for n in range(8)))
    assert len({turn.question.id for turn in turns}) == 1
    assert [turn.created for turn in turns].count(True) == 1
    await house.ended(turns[0])
    assert len(house.fake.questions) == 1


async def test_a_repeat_is_the_same_send_although_the_queue_is_full(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_house(tmp_path, fake_ollama, queue_max=2, queue_max_per_person=1) as house:
        script = fake_ollama.answer(held())
        running = await house.ask(await house.new_session(), person="a")
        await script.held.wait()
        session = await house.new_session()
        waiting = await house.ask(session, person="a", client_id="mine")
        with pytest.raises(RateLimitError):
            await house.ask(await house.new_session(), person="a")
        await house.ask(await house.new_session(), person="b")
        with pytest.raises(QueueFullError):
            await house.ask(await house.new_session(), person="c")
        again = await house.ask(session, person="a", client_id="mine")
        assert (again.generation.id, again.created) == (waiting.generation.id, False)
        script.resume.set()
        await house.ended(running)


async def test_a_full_queue_leaves_no_row(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_house(tmp_path, fake_ollama, queue_max_per_person=1) as house:
        script = fake_ollama.answer(held())
        await house.ask(await house.new_session())
        await script.held.wait()
        await house.ask(await house.new_session())
        session = await house.new_session()
        with pytest.raises(RateLimitError) as refused:
            await house.ask(session)
        assert refused.value.retry_after_s > 0
        assert await house.chat.get_history(session.id, OWNER_ID) == []
        script.resume.set()
        await house.idle()


async def test_a_second_question_while_one_is_answered_is_a_conflict(house: House) -> None:
    script = house.fake.answer(held())
    session = await house.new_session()
    turn = await house.ask(session)
    await script.held.wait()
    with pytest.raises(ConflictError):
        await house.ask(session, "And?")
    script.resume.set()
    await house.ended(turn)
    assert (await house.ask(session, "And?")).created
    await house.idle()


@pytest.mark.parametrize("content", ["", " \n\t", "x" * 32_001])
async def test_an_empty_or_endless_text_is_refused_by_its_field(house: House, content: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await house.ask(await house.new_session(), content)
    assert list(refused.value.fields) == ["content"]


@pytest.mark.parametrize("client_id", ["", "x" * (MAX_CLIENT_ID + 1)])
async def test_an_unusable_client_id_is_refused_by_its_field(house: House, client_id: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await house.ask(await house.new_session(), client_id=client_id)
    assert list(refused.value.fields) == ["client_id"]


async def test_without_a_model_the_question_is_refused_and_not_stored(house: House) -> None:
    session = await house.new_session(model="")
    with pytest.raises(InvalidInputError) as refused:
        await house.ask(session)
    assert list(refused.value.fields) == ["model"]
    assert await house.chat.get_history(session.id, OWNER_ID) == []


async def test_a_stranger_finds_nothing(house: House) -> None:
    session = await house.new_session()
    turn = await house.ask(session)
    await house.ended(turn)
    for attempt in (
        house.chat.send_message(session.id, "stranger", "x", person="p"),
        house.chat.answer_again(turn.answer.id, "stranger", person="p"),
        house.chat.stop(turn.generation.id, "stranger"),
        house.chat.get_history(session.id, "stranger"),
        house.chat.clear(session.id, "stranger"),
        house.chat.update_session(session.id, "stranger", {"title": "mine"}),
        house.chat.save_draft(session.id, "stranger", "mine"),
        house.chat.delete_session(session.id, "stranger"),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert len(await house.chat.get_history(session.id, OWNER_ID)) == 2


async def test_stopping_one_that_waits_ends_it_without_asking_the_engine(house: House) -> None:
    script = house.fake.answer(held())
    await house.ask(await house.new_session())
    await script.held.wait()
    turn = await house.ask(await house.new_session())
    assert (await house.chat.stop(turn.generation.id, OWNER_ID)).state is GenerationState.STOPPED
    answer = await house.ended(turn)
    assert (answer.state, answer.content) == (MessageState.STOPPED, "")
    assert house.queue.waiting == 0
    script.resume.set()
    await house.idle()
    assert len(house.fake.questions) == 1


async def test_stopping_one_that_runs_keeps_its_text_and_closes_the_engines_connection(house: House) -> None:
    script = house.fake.answer(held())
    turn = await house.ask(await house.new_session())
    await script.held.wait()
    await house.until(turn, lambda _: house.text(turn) == "one two")
    assert (await house.chat.stop(turn.generation.id, OWNER_ID)).state is GenerationState.STOPPED
    await house.fake.until(lambda: bool(house.fake.aborted), within_s=1.0)
    answer = await house.ended(turn)
    assert (answer.state, answer.content, answer.problem) == (MessageState.STOPPED, "one two", None)
    assert house.queue.running == 0


async def test_stopping_twice_or_after_the_end_changes_nothing(house: House) -> None:
    script = house.fake.answer(held())
    turn = await house.ask(await house.new_session())
    await script.held.wait()
    ends = await asyncio.gather(*(house.chat.stop(turn.generation.id, OWNER_ID) for _ in range(5)))
    assert {end.state for end in ends} == {GenerationState.STOPPED}
    assert (await house.chat.stop(turn.generation.id, OWNER_ID)).state is GenerationState.STOPPED
    finished = await house.ask(await house.new_session())
    await house.ended(finished)
    assert (await house.chat.stop(finished.generation.id, OWNER_ID)).state is GenerationState.COMPLETE


@pytest.mark.parametrize("steps", range(0, 14, 2))
async def test_a_stop_at_any_step_after_the_send_is_stored_and_the_session_can_go_on(house: House, steps: int) -> None:
    session = await house.new_session()
    house.fake.answer(held())
    turn = await house.ask(session)
    for _ in range(steps):
        await asyncio.sleep(0)
    assert (await house.chat.stop(turn.generation.id, OWNER_ID)).state is GenerationState.STOPPED
    assert (await house.ended(turn)).state is MessageState.STOPPED
    house.fake.answer_always("Fine.")
    house.fake._next_scripts.clear()
    assert (await house.ended(await house.ask(session, "Again?"))).content == "Fine."


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 8, 12])
async def test_a_sender_that_leaves_at_any_step_has_sent_it_whole_or_not_at_all(house: House, steps: int) -> None:
    session = await house.new_session()
    sending = asyncio.ensure_future(house.ask(session))
    for _ in range(steps):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    await house.idle()
    states = [message.state for message in await house.chat.get_history(session.id, OWNER_ID)]
    assert states in ([], [MessageState.COMPLETE, MessageState.COMPLETE])
    assert (await house.ended(await house.ask(session, "And now?"))).content == HELLO


async def test_a_sender_that_leaves_while_the_database_writes_has_sent_it(house: House) -> None:
    session = await house.new_session()
    sending = asyncio.ensure_future(house.ask(session))
    while not await house.storage.get_messages(session.id, OWNER_ID):
        if sending.done():
            break
        sending.cancel()
    await asyncio.wait([sending])
    await house.idle()
    assert await house.storage.active_generations() == []


async def test_clearing_stops_what_runs_and_leaves_nothing(house: House) -> None:
    script = house.fake.answer(held())
    session = await house.new_session()
    await house.ask(session)
    await script.held.wait()
    assert await house.chat.clear(session.id, OWNER_ID) == 2
    await house.fake.until(lambda: bool(house.fake.aborted), within_s=1.0)
    document = house.services.hub.loaded(session.id)
    assert document is not None
    assert (document.messages, await house.chat.get_history(session.id, OWNER_ID)) == ({}, [])
    assert (await house.ended(await house.ask(session))).content == HELLO


async def test_clearing_while_a_question_is_sent_leaves_no_ghost(house: House) -> None:
    for _ in range(6):
        session = await house.new_session()
        await asyncio.gather(house.ask(session), house.chat.clear(session.id, OWNER_ID), return_exceptions=True)
        await house.idle()
        document = house.services.hub.loaded(session.id)
        assert document is not None
        stored = await house.chat.get_history(session.id, OWNER_ID)
        assert list(document.messages) == [message.id for message in stored]
        assert document.running is None


async def test_deleting_stops_what_runs_and_the_session_is_gone(house: House) -> None:
    script = house.fake.answer(held())
    session = await house.new_session()
    turn = await house.ask(session)
    await script.held.wait()
    await house.chat.delete_session(session.id, OWNER_ID)
    await house.fake.until(lambda: bool(house.fake.aborted), within_s=1.0)
    assert house.queue.running == 0
    assert session.id not in house.services.hub.board(OWNER_ID).get("session")
    for attempt in (
        house.chat.get_history(session.id, OWNER_ID),
        house.chat.stop(turn.generation.id, OWNER_ID),
        house.ask(session),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    with pytest.raises(NotFoundError):
        async with house.services.hub.session(session.id, OWNER_ID):
            pass


async def test_an_empty_session_nobody_looks_at_is_taken_for_a_new_one(house: House) -> None:
    first = await house.chat.create_session(OWNER_ID, model="")
    second = await house.chat.create_session(OWNER_ID, model=MODEL)
    assert (second.id, second.model) == (first.id, MODEL)
    await house.chat.update_session(first.id, OWNER_ID, {"system_prompt": "Be rude."})
    assert (await house.chat.create_session(OWNER_ID, model=MODEL)).id != first.id


async def test_an_empty_session_with_a_draft_or_a_viewer_is_left_alone(house: House) -> None:
    drafted = await house.new_session()
    await house.chat.save_draft(drafted.id, OWNER_ID, "not yet")
    looked_at = await house.new_session()
    async with house.services.hub.session(looked_at.id, OWNER_ID):
        fresh = await house.chat.create_session(OWNER_ID, model=MODEL)
    assert fresh.id not in {drafted.id, looked_at.id}


async def test_a_draft_that_comes_after_its_own_message_is_dropped(house: House) -> None:
    session = await house.new_session()
    await house.chat.send_message(session.id, OWNER_ID, "whole", person="p", client_id="c1")
    await house.chat.save_draft(session.id, OWNER_ID, "whole", client_id="c1")
    assert (await house.storage.get_session(session.id, OWNER_ID)).draft == ""
    await house.chat.save_draft(session.id, OWNER_ID, "the next", client_id="c2")
    assert (await house.storage.get_session(session.id, OWNER_ID)).draft == "the next"


async def test_a_draft_is_kept_until_it_is_sent(house: House) -> None:
    session = await house.new_session()
    await house.chat.save_draft(session.id, OWNER_ID, "half a thou")
    assert (await house.storage.get_session(session.id, OWNER_ID)).draft == "half a thou"
    await house.ended(await house.ask(session, "a whole thought"))
    document = house.services.hub.loaded(session.id)
    assert document is not None
    assert document.session.draft == (await house.storage.get_session(session.id, OWNER_ID)).draft == ""


async def test_a_change_shows_in_the_document_and_on_the_board(house: House) -> None:
    session = await house.new_session()
    async with house.services.hub.session(session.id, OWNER_ID) as document:
        before = document.header_rev
        changes = {"title": "Weather", "parameters": Parameters(temperature=0.1)}
        await house.chat.update_session(session.id, OWNER_ID, changes)
        assert document.header_rev > before
        assert (document.session.title, document.session.parameters.temperature) == ("Weather", 0.1)
    assert house.services.hub.board(OWNER_ID).get("session")[session.id].title == "Weather"


async def test_the_demo_where_it_is_off_cannot_be_chosen(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_house(tmp_path, fake_ollama, demo="off") as house:
        session = await house.new_session()
        with pytest.raises(ModelNotFoundError):
            await house.chat.update_session(session.id, OWNER_ID, {"model": "demo"})
        with pytest.raises(ModelNotFoundError):
            await house.ask(session, model="demo")


async def test_a_growing_answer_is_in_the_history_with_the_text_it_has(house: House) -> None:
    script = house.fake.answer(held())
    session = await house.new_session()
    turn = await house.ask(session)
    await script.held.wait()
    await house.until(turn, lambda _: house.text(turn) == "one two")
    _, answer = await house.chat.get_history(session.id, OWNER_ID)
    assert (answer.state, answer.content) == (MessageState.GENERATING, "one two")
    script.resume.set()
    await house.ended(turn)


async def test_saving_other_settings_leaves_the_models_context_alone(house: House) -> None:
    one, two = await house.new_session(), await house.new_session("hello")
    await house.chat.update_session(one.id, OWNER_ID, {"num_ctx": 8192})
    await house.chat.update_session(two.id, OWNER_ID, {"parameters": Parameters(temperature=0.2)})
    for session in (one, two):
        await house.ended(await house.ask(session))
    assert [body["options"]["num_ctx"] for body in house.fake.questions] == [8192, 8192]
    await house.chat.update_session(two.id, OWNER_ID, {"num_ctx": None})
    await house.ended(await house.ask(one))
    assert "num_ctx" not in house.fake.questions[-1]["options"]


async def test_a_model_is_the_same_however_it_is_written(house: House) -> None:
    await house.services.library.first_look.wait()
    session = await house.new_session(model=MODEL.removesuffix(":latest").upper())
    turn = await house.ask(session, "Say hello")
    assert turn.generation.model == MODEL
    updated = await house.chat.update_session(session.id, OWNER_ID, {"model": "Think"})
    assert updated.model == "think:latest"
