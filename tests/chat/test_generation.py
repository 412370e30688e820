"""How one answer comes about: what is asked of the engine, what is saved as it grows, and how it can end."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from quart_chat.chat import generation as generation_module
from quart_chat.entities import OWNER_ID, GenerationState, Message, MessageState, Parameters
from quart_chat.errors import ConflictError
from tests.chat.houses import MODEL, House, eventually, open_house
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script

DATABASE = "quart-chat.db"


def stored(data: Path, message_id: str) -> str:
    """The text of a message as another process sees it."""
    with closing(sqlite3.connect(f"file:{data / DATABASE}?mode=ro", uri=True)) as connection:
        return str(connection.execute("SELECT content FROM message WHERE id = ?", (message_id,)).fetchone()[0])


def told(house: House) -> list[tuple[str, str]]:
    """The turns of the last question that the engine was asked."""
    return [(turn["role"], turn["content"]) for turn in house.fake.questions[-1]["messages"]]


async def test_parameters_and_system_prompt_reach_the_engine(house: House) -> None:
    session = await house.new_session()
    parameters = Parameters(temperature=0.2, max_tokens=3, top_p=0.5, top_k=7, seed=42, stop=("END",))
    changes = {"parameters": parameters, "num_ctx": 2048, "system_prompt": "Be brief."}
    await house.chat.update_session(session.id, OWNER_ID, changes)
    answer = await house.ended(await house.ask(session, "Hi"))
    assert house.fake.questions[-1]["options"] == {
        "temperature": 0.2,
        "num_predict": 3,
        "top_p": 0.5,
        "top_k": 7,
        "seed": 42,
        "stop": ["END"],
        "num_ctx": 2048,
    }
    assert told(house) == [("system", "Be brief."), ("user", "Hi")]
    assert answer.statistics is not None
    assert answer.statistics.done_reason == "length"


async def test_what_is_measured_belongs_to_the_file_and_the_context_that_were_asked(house: House) -> None:
    await house.services.library.first_look.wait()
    session = await house.new_session("Hello")
    await house.ended(await house.ask(session))
    await house.chat.update_session(session.id, OWNER_ID, {"num_ctx": 2048})
    script = house.fake.answer(Script(hold_at=1))
    turn = await house.ask(session)
    await script.held.wait()
    await house.chat.update_session(session.id, OWNER_ID, {"num_ctx": 4096})
    script.resume.set()
    await house.ended(turn)
    digest = house.services.hub.shared("model")[MODEL].digest
    assert digest
    samples = await house.storage.samples(MODEL)
    assert [(sample.digest, sample.num_ctx) for sample in samples] == [(digest, 0), (digest, 2048)]


async def test_the_servers_defaults_fill_what_a_session_leaves_open(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    defaults: dict[str, Any] = {"model_default_temperature": 0.3, "model_default_max_tokens": 5}
    async with open_house(tmp_path, fake_ollama, model_default_top_p=0.9, **defaults) as house:
        await house.ended(await house.ask(await house.new_session()))
        assert fake_ollama.questions[-1]["options"] == {"temperature": 0.3, "num_predict": 5, "top_p": 0.9}


@pytest.mark.parametrize(
    ("model", "wish", "sent"),
    [(MODEL, None, False), ("think:latest", None, False), ("think:latest", True, True), ("think:latest", False, False)],
)
async def test_thinking_is_asked_for_only_where_it_is_wished_and_possible(
    house: House, model: str, wish: bool | None, sent: bool
) -> None:
    session = await house.new_session(model)
    await house.chat.update_session(session.id, OWNER_ID, {"think": wish})
    await house.ended(await house.ask(session))
    assert house.fake.questions[-1]["think"] is sent


async def test_thoughts_are_kept_beside_the_answer_and_not_told_again(house: House) -> None:
    house.fake.answer(Script(text="Blue.", thinking=["Well", ", light"]))
    session = await house.new_session("think:latest")
    await house.chat.update_session(session.id, OWNER_ID, {"think": True})
    answer = await house.ended(await house.ask(session, "Sky?"))
    assert (answer.content, answer.thinking) == ("Blue.", "Well, light")
    await house.ended(await house.ask(session, "Sure?"))
    assert told(house) == [("user", "Sky?"), ("assistant", "Blue."), ("user", "Sure?")]


@pytest.mark.parametrize(
    ("mode", "state", "code", "text"),
    [
        ("404", "failed", "NOT_FOUND", ""),
        ("500", "failed", None, ""),
        ("503", "failed", "SERVICE_UNAVAILABLE", ""),
        ("cut_mid_line", "failed", "ANSWER_CUT", "Hello! I am"),
        ("cut_without_done", "failed", "ANSWER_CUT", "Hello! I am"),
        ("in_band_error", "failed", None, "Hello! I am"),
        ("garbage", "failed", None, "Hello! I am"),
        ("wrong_types", "failed", None, "Hello! I am"),
        ("slow_drip", "complete", None, "Hello…"),
    ],
)
async def test_however_the_engine_fails_text_and_reason_are_stored(
    house: House, mode: str, state: str, code: str | None, text: str
) -> None:
    house.fake.misbehave(mode)
    turn = await house.ask(await house.new_session())
    answer = await house.ended(turn)
    assert (answer.state.value, answer.content) == (state, text)
    if state == "failed":
        assert answer.problem is not None
        assert len(answer.problem.text) > 10
        assert "Traceback" not in answer.problem.text
        assert code in (None, answer.problem.code)
    ended = await house.storage.get_generation(turn.generation.id, OWNER_ID)
    assert (ended.state.value, ended.problem) == (state, answer.problem)


async def test_an_engine_that_is_down_fails_the_answer_and_a_retry_takes_its_place(house: House) -> None:
    house.fake.misbehave("refused")
    turn = await house.ask(await house.new_session())
    failed = await house.ended(turn)
    assert failed.problem is not None
    assert (failed.state, failed.problem.code, failed.problem.retry) == ("failed", "SERVICE_UNAVAILABLE", True)
    await house.fake.listen()
    again = await house.chat.answer_again(failed.id, OWNER_ID, person="p")
    answer = await house.ended(again)
    assert (answer.id, answer.state, answer.content, answer.problem) == (failed.id, "complete", HELLO, None)


async def test_a_silent_engine_fails_the_answer_after_the_timeout(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_house(tmp_path, fake_ollama, ollama_timeout_s=0.3) as house:
        fake_ollama.misbehave("hang_mid_stream")
        answer = await house.ended(await house.ask(await house.new_session()))
        assert answer.problem is not None
        assert (answer.state, answer.content) == ("failed", "Hello! I am")


async def test_text_is_in_the_database_within_a_second_of_its_coming(house: House, tmp_path: Path) -> None:
    script = house.fake.answer(Script(text="one two three", hold_at=2))
    turn = await house.ask(await house.new_session())
    await script.held.wait()
    came = time.monotonic()
    await eventually(lambda: stored(tmp_path, turn.answer.id) == "one two")
    assert time.monotonic() - came <= 1.0
    script.resume.set()
    await house.ended(turn)


async def test_a_retry_is_another_answer_and_the_last_one_counts(house: House) -> None:
    session = await house.new_session()
    house.fake.answer("First.")
    first = await house.ended(await house.ask(session, "Q"))
    house.fake.answer("Second.")
    second = await house.ended(await house.chat.answer_again(first.id, OWNER_ID, person="p"))
    assert told(house) == [("user", "Q")]
    assert (second.content, second.parent_id) == ("Second.", first.parent_id)
    assert second.number > first.number
    await house.ended(await house.ask(session, "And?"))
    assert told(house) == [("user", "Q"), ("assistant", "Second."), ("user", "And?")]
    with pytest.raises(ConflictError):
        await house.chat.answer_again(first.id, OWNER_ID, person="p")


async def test_continue_goes_on_after_the_text_that_is_there(house: House) -> None:
    house.fake.answer(Script(text="one two three", hold_at=2))
    turn = await house.ask(await house.new_session(), "Count")
    await house.until(turn, lambda _: house.text(turn) == "one two")
    await house.chat.stop(turn.generation.id, OWNER_ID)
    house.fake.answer(" three four")
    again = await house.chat.answer_again(turn.answer.id, OWNER_ID, person="p", continues=True)
    answer = await house.ended(again)
    assert told(house) == [("user", "Count"), ("assistant", "one two")]
    assert (answer.id, answer.state, answer.content) == (turn.answer.id, "complete", "one two three four")


async def test_a_crash_leaves_the_saved_text_and_what_waited_is_answered(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    async with open_house(tmp_path / "data", fake_ollama) as house:
        script = fake_ollama.answer(Script(text="one two three", hold_at=2))
        running = await house.ask(await house.new_session(), "Running")
        await script.held.wait()
        waiting = await house.ask(await house.new_session(), "Waiting")
        await eventually(lambda: stored(tmp_path / "data", running.answer.id) == "one two")
        for file in (tmp_path / "data").glob(f"{DATABASE}*"):
            shutil.copy(file, copy)
        script.resume.set()
        await house.idle()
    async with open_house(copy, fake_ollama) as house:
        await house.idle()
        cut = await house.storage.get_message(running.answer.id, OWNER_ID)
        assert (cut.state, cut.content) == (MessageState.INTERRUPTED, "one two")
        assert cut.problem is not None
        answer = await house.storage.get_message(waiting.answer.id, OWNER_ID)
        assert (answer.state, answer.content) == (MessageState.COMPLETE, HELLO)
        fake_ollama.answer(" three")
        again = await house.chat.answer_again(cut.id, OWNER_ID, person="p", continues=True)
        assert (await house.ended(again)).content == "one two three"


async def test_a_clean_stop_interrupts_what_runs_keeps_its_text_and_lets_the_rest_wait(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama) as house:
        script = fake_ollama.answer(Script(text="one two three", hold_at=2))
        running = await house.ask(await house.new_session())
        await script.held.wait()
        await house.until(running, lambda _: house.text(running) == "one two")
        waiting = await house.ask(await house.new_session())
    await fake_ollama.until(lambda: bool(fake_ollama.aborted), within_s=1)
    async with open_house(tmp_path, fake_ollama) as house:
        await house.idle()
        cut = await house.storage.get_message(running.answer.id, OWNER_ID)
        assert (cut.state, cut.content) == (MessageState.INTERRUPTED, "one two")
        assert (await house.storage.get_message(waiting.answer.id, OWNER_ID)).state is MessageState.COMPLETE


async def test_what_waited_for_the_demo_fails_in_words_when_the_demo_is_switched_off(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_house(tmp_path, fake_ollama, demo="on") as house:
        session = await house.new_session("demo")
        house.queue._closed = True  # as at the end of a stop: accepted, not begun
        turn = await house.storage.begin_turn(
            session.id, OWNER_ID, content="Hi", client_id=None, model="demo", person="p"
        )
    async with open_house(tmp_path, fake_ollama, demo="off") as house:
        await house.idle()
        answer = await house.storage.get_message(turn.answer.id, OWNER_ID)
        assert answer.state is MessageState.FAILED
        assert answer.problem is not None
        assert "demo" in answer.problem.text


def fill_up(house: House, allowed_pages: int) -> Any:
    """Lets the database grow by so many pages and no further, as a full disk would."""

    def limit() -> None:
        from quart_chat.persistence.connection import current

        assert current.obj is not None
        used = current.obj.run("PRAGMA page_count").fetchone()[0]
        current.obj.run(f"PRAGMA max_page_count = {used + allowed_pages}")

    return house.services._database.write(limit)


async def test_an_end_that_cannot_be_stored_is_tried_again_until_it_can(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation_module, "SAVE_PAUSES_S", (0.1,) * 40)
    script = house.fake.answer(Script(tokens=["begin ", *["x" * 50_000] * 10], hold_at=1))
    turn = await house.ask(await house.new_session())
    await script.held.wait()
    await fill_up(house, 2)
    script.resume.set()
    await eventually(lambda: "could not be stored" in caplog.text)
    await fill_up(house, 10_000)
    answer = await house.ended(turn)
    assert (answer.state, len(answer.content)) == (MessageState.COMPLETE, 500_006)


async def test_a_start_that_cannot_be_stored_ends_the_answer_instead_of_leaving_it_for_ever(house: House) -> None:
    session = await house.new_session()
    script = house.fake.answer(Script(hold_at=1))
    first = await house.ask(await house.new_session())
    await script.held.wait()
    turn = await house.ask(session)

    def refuse() -> None:
        from quart_chat.persistence.connection import current

        assert current.obj is not None
        current.obj.run(
            "CREATE TRIGGER no_start BEFORE UPDATE OF state ON generation WHEN NEW.state = 'running' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    await house.services._database.write(refuse)
    script.resume.set()
    await house.ended(first)
    answer = await house.ended(turn)
    assert answer.state is MessageState.FAILED
    assert answer.problem is not None
    assert answer.problem.code == "SERVICE_UNAVAILABLE"


async def test_an_answer_that_never_ends_is_cut_off_and_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_module, "MAX_ANSWER_CHARS", 100)
    house.fake.answer(Script(count=1000))
    answer: Message = await house.ended(await house.ask(await house.new_session()))
    assert answer.problem is not None
    assert (answer.state, answer.problem.code) == (MessageState.FAILED, "ANSWER_CUT")
    assert 100 < len(answer.content) < 120


async def test_the_end_of_a_generation_frees_the_engine_for_the_next(house: House) -> None:
    house.fake.answer_always(Script(count=20))
    turns = [await house.ask(await house.new_session(), person=f"p{n}") for n in range(6)]
    await house.idle()
    assert house.fake.engine.most_active == 1
    ends = [await house.storage.get_generation(turn.generation.id, OWNER_ID) for turn in turns]
    assert {end.state for end in ends} == {GenerationState.COMPLETE}
