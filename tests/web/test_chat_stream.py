"""Asking and having the answer in the same request: as events while it grows, or whole at its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from quart_chat.entities import OWNER_ID, MessageState
from quart_chat.web import answers, sse
from tests.chat.houses import MODEL, eventually
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.web.conftest import Site, open_site
from tests.web.event_streams import Event, listening

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
IDS = {"conversation_id", "message_id", "generation_id"}
WORDS = "one two three four"


def held(at: int = 2, **more: Any) -> Script:
    return Script(text=WORDS, hold_at=at, **more)


def is_token(event: Event) -> bool:
    return "token" in event.data


async def ask(site: Site, message: str = "Why?", **body: Any) -> httpx.Response:
    return await site.http.post("/api/chat", json={"message": message, **body}, timeout=10)


async def stored(site: Site, head: dict[str, Any]) -> Any:
    return await site.storage.get_message(head["message_id"], OWNER_ID)


@pytest.fixture
async def hasty(tmp_path: Path, fake_ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A site that waits half a second for a token."""
    monkeypatch.setattr(answers, "GRACE_S", 0.0)
    async with open_site(tmp_path, fake_ollama, ollama_timeout_s=0.5) as site:
        yield site


# as events


async def test_a_stream_is_a_head_then_tokens_then_the_end_with_what_it_cost(site: Site) -> None:
    async with listening(site.http, {"message": "Why?", "model": MODEL}) as events:
        await events.rest()
    assert events.response.headers["content-type"] == "text/event-stream"
    assert events.response.headers["cache-control"] == "no-cache"
    assert events.response.headers["x-accel-buffering"] == "no"
    head, end = events.seen[0], events.seen[-1]
    assert head.name == "message"
    assert set(head.data) >= {*IDS, "position"}
    assert events.text() == HELLO
    usage = end.data["usage"]
    assert (end.data["done"], end.data["done_reason"], usage["estimated"]) == (True, "stop", False)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] == end.data["tokens_used"]
    assert (await stored(site, head.data)).content == HELLO


async def test_each_token_is_told_when_it_comes(site: Site) -> None:
    script = site.fake.answer(held())
    async with listening(site.http, {"message": "Why?"}) as events:
        await events.until(lambda event: events.text() == "one two")
        script.resume.set()
        await events.rest()
        assert events.text() == WORDS


async def test_thoughts_come_as_thinking_with_their_status(site: Site) -> None:
    script = site.fake.answer(Script(text="Yes.", thinking=["Let me ", "see."], hold_at=2))
    async with listening(site.http, {"message": "Why?", "model": "think:latest", "think": True}) as events:
        assert (await events.until(lambda event: event.name == "status")).data["event"] == "thinking"
        script.resume.set()
        await events.rest()
    assert events.text("thinking") == "Let me see."
    assert events.text() == "Yes."
    assert site.fake.questions[-1]["think"] is True


async def test_loading_and_reading_are_told_as_status(site: Site) -> None:
    site.fake.engine.models[MODEL].load_s = 0.8
    site.fake.answer(Script(text="Yes.", prompt_s=0.8))
    async with listening(site.http, {"message": "Why?"}) as events:
        await events.rest()
    assert events.statuses()[-2:] == ["loading", "reading"]
    assert all({"since", "elapsed_s"} <= set(event.data) for event in events.seen if event.name == "status")


async def test_who_waits_is_told_the_place_and_the_turn(site: Site) -> None:
    first = site.fake.answer(held())
    async with listening(site.http, {"message": "first"}) as one:
        await one.until(is_token)
        async with listening(site.http, {"message": "second"}) as two:
            assert (await two.until(lambda event: "position" in event.data)).data["position"] == 1
            assert (await two.until(lambda event: event.name == "status")).data["event"] == "queued"
            first.resume.set()
            await two.rest()
            assert two.text() == HELLO


async def test_leaving_stops_nothing_and_leaves_nothing_behind(site: Site) -> None:
    script = site.fake.answer(held())
    async with listening(site.http, {"message": "Why?"}) as events:
        head = await events.until(lambda event: "position" in event.data)
        await events.until(is_token)
        assert len(site.services.hub.viewers) == 1
    await eventually(lambda: not site.services.hub.viewers)
    script.resume.set()
    await site.idle()
    message = await stored(site, head.data)
    assert (message.content, message.state) == (WORDS, MessageState.COMPLETE)


async def test_a_stream_that_was_left_makes_room_for_the_next_and_one_too_many_stores_nothing(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, rate_limit_streams=1) as site:
        site.fake.answer(held())
        async with listening(site.http, {"message": "first"}) as events:
            await events.until(is_token)
            rows = await site.rows()
            refused = await ask(site, "second")
            assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMIT")
            assert await site.rows() == rows
        await eventually(lambda: not site.services.hub.viewers)
        async with listening(site.http, {"message": "third"}) as events:
            assert events.response.status_code == 200


async def test_a_stop_by_a_person_ends_the_stream_in_order(site: Site) -> None:
    site.fake.answer(held())
    async with listening(site.http, {"message": "Why?"}) as events:
        head = await events.until(lambda event: "generation_id" in event.data)
        await events.until(lambda event: events.text() == "one two")
        await site.http.delete(f"/api/generations/{head.data['generation_id']}")
        end = (await events.rest())[-1]
    assert (end.data["done"], end.data["done_reason"], events.text()) == (True, "stopped", "one two")
    assert end.data["usage"]["estimated"] is True


@pytest.mark.parametrize(("mode", "code"), [("cut_without_done", "ANSWER_CUT"), ("500", "MODEL_LOAD_FAILED")])
async def test_an_engine_that_fails_is_an_error_event_and_the_end(site: Site, mode: str, code: str) -> None:
    site.fake.misbehave(mode)
    async with listening(site.http, {"message": "Why?"}) as events:
        end = (await events.rest())[-1]
    assert (end.name, end.data["code"]) == ("error", code)
    assert end.data["error"]


async def test_a_conversation_that_is_deleted_meanwhile_ends_its_stream(site: Site) -> None:
    site.fake.answer(held())
    async with listening(site.http, {"message": "Why?"}) as events:
        head = await events.until(lambda event: "conversation_id" in event.data)
        await events.until(is_token)
        await site.http.delete(f"/api/history/{head.data['conversation_id']}")
        last = await events.until(lambda event: event.name == "error" or "done" in event.data)
        assert last.data.get("code", "NOT_FOUND") == "NOT_FOUND"
        assert await events.next() is None


async def test_in_silence_there_is_a_comment_so_that_nobody_takes_it_for_dead(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.05)
    script = site.fake.answer(held())
    async with listening(site.http, {"message": "Why?"}) as events:
        await events.until(is_token)
        await events.until(lambda event: event.name == ": keep-alive")
        script.resume.set()
        await events.until(lambda event: "done" in event.data)


async def test_a_restart_ends_every_stream_with_an_error_at_once(site: Site) -> None:
    site.fake.answer(held())
    async with listening(site.http, {"message": "Why?"}) as events:
        await events.until(is_token)
        waiting = asyncio.create_task(ask(site, "second"))
        await eventually(lambda: len(site.services.hub.viewers) == 2)
        async with asyncio.timeout(1):
            await site.services.drain()
            last = (await events.rest())[-1]
            answer = await waiting
    assert (last.name, last.data["code"]) == ("error", "SERVICE_UNAVAILABLE")
    assert (answer.status_code, set(answer.json()) >= IDS) == (503, True)
    assert not site.services.hub.viewers


async def test_a_stream_outlives_the_time_that_other_answers_have(site: Site) -> None:
    site.app.config["RESPONSE_TIMEOUT"] = 0.2
    site.fake.answer(Script(text=WORDS, rate=8))
    async with listening(site.http, {"message": "Why?"}) as events:
        assert (await events.rest())[-1].data["done"] is True
    assert events.text() == WORDS


# coming back


async def test_who_comes_back_with_the_last_id_gets_the_rest_alone_and_nothing_is_asked_again(site: Site) -> None:
    script = site.fake.answer(held())
    body = {"message": "Why?", "client_id": "once"}
    async with listening(site.http, body) as before:
        last = await before.until(lambda event: before.text() == "one two" and bool(event.id))
    async with listening(site.http, body, last_event_id=last.id) as after:
        head = await after.until(lambda event: "offset" in event.data)
        script.resume.set()
        await after.rest()
    assert (head.data["offset"], after.text()) == (len("one two"), " three four")
    assert {head.data[name] == before.seen[0].data[name] for name in IDS} == {True}
    assert len(site.fake.questions) == 1


async def test_a_long_answer_is_told_in_pieces_and_only_the_last_has_an_id(site: Site) -> None:
    text = "Ä long answer. " * 5000
    site.fake.answer(Script(tokens=[text[:25_000], text[25_000:]]))
    async with listening(site.http, {"message": "Why?", "client_id": "once"}) as before:
        await before.rest()
    async with listening(site.http, {"message": "Why?", "client_id": "once"}) as after:
        await after.rest()
    assert before.text() == after.text() == text
    pieces = [event for event in after.seen if is_token(event)]
    assert max(len(event.data["token"]) for event in pieces) <= answers.PIECE
    assert [bool(event.id) for event in after.seen] == [False] * len(pieces) + [False, True]


@pytest.mark.parametrize("last_id", ["", "rubbish", "00000000.5."])
async def test_who_comes_back_without_a_usable_id_gets_the_whole_answer(site: Site, last_id: str) -> None:
    body = {"message": "Why?", "client_id": "once"}
    async with listening(site.http, body) as before:
        await before.rest()
    async with listening(site.http, body, last_event_id=last_id) as after:
        await after.rest()
    assert (after.seen[0].data["offset"], after.text()) == (0, HELLO)
    assert len(site.fake.questions) == 1


async def test_an_answer_that_is_no_longer_in_memory_is_told_from_the_database(
    site: Site, fake_ollama: FakeOllama
) -> None:
    body = {"message": "Why?", "client_id": "once"}
    conversation = (await ask(site, client_id="once")).json()["conversation_id"]
    for number in range(21):
        await ask(site, f"more {number}", conversation_id=conversation)
    site.services.hub.forget(conversation)
    fake_ollama.stop_listening()
    fake_ollama.drop_connections()
    await site.services.library.refresh()
    async with listening(site.http, {**body, "conversation_id": conversation}) as events:
        end = (await events.rest())[-1]
    assert (events.text(), end.data["done"]) == (HELLO, True)


# whole


async def test_a_whole_answer_has_the_shape_of_the_contract(site: Site) -> None:
    response = await ask(site, model=MODEL, provider="ollama")
    assert response.status_code == 200
    shape = response.json()
    assert set(shape) == {*IDS, "response", "timestamp", "model", "provider", "done_reason", "tokens_used", "usage"}
    assert (shape["response"], shape["model"], shape["provider"]) == (HELLO, MODEL, "ollama")
    assert TIME.fullmatch(shape["timestamp"])
    assert set(shape["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens", "estimated"}
    again = await ask(site, "And?", conversation_id=shape["conversation_id"])
    assert again.json()["conversation_id"] == shape["conversation_id"]
    assert len(site.fake.questions[-1]["messages"]) == 3


async def test_what_a_question_sets_reaches_the_engine_and_stays_with_the_conversation(site: Site) -> None:
    site.fake.answer(Script(text="Yes.", thinking=["Hm."]))
    more: dict[str, Any] = {
        "system_prompt": "Be brief.",
        "parameters": {"temperature": 0, "max_tokens": 9},
        "think": True,
    }
    shape = (await ask(site, model="think:latest", **more)).json()
    assert (shape["thinking"], shape["response"]) == ("Hm.", "Yes.")
    asked = site.fake.questions[-1]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert asked["options"] == {"temperature": 0, "num_predict": 9}
    conversation = (await site.http.get(f"/api/history/{shape['conversation_id']}")).json()
    assert (conversation["system_prompt"], conversation["think"]) == ("Be brief.", True)


async def test_whole_answers_wait_for_their_turn(site: Site) -> None:
    answers = await asyncio.gather(*(ask(site, f"question {number}") for number in range(3)))
    assert [answer.json()["response"] for answer in answers] == [HELLO] * 3
    assert site.fake.engine.most_active == 1


async def test_an_engine_without_counts_gives_an_estimate_that_says_so(site: Site) -> None:
    script = site.fake.answer(held(3))
    asking = asyncio.create_task(ask(site))
    await script.held.wait()
    running = (await site.http.get("/api/queue")).json()["running"]
    await site.http.delete(f"/api/generations/{running[0]['generation_id']}")
    usage = (await asking).json()["usage"]
    assert (usage["total_tokens"], usage["estimated"]) == (round(3 * 1.3), True)


async def test_leaving_a_whole_answer_stops_nothing(site: Site) -> None:
    script = site.fake.answer(held())
    asking = asyncio.create_task(ask(site))
    await script.held.wait()
    asking.cancel()
    await eventually(lambda: not site.services.hub.viewers)
    script.resume.set()
    await site.idle()
    (session,) = (await site.storage.list_sessions(OWNER_ID, limit=5, offset=0))[0]
    assert (await site.storage.get_messages(session.id, OWNER_ID))[-1].content == WORDS


async def test_without_a_token_for_long_it_is_504_and_the_answer_goes_on_as_it_says(hasty: Site) -> None:
    hasty.fake.engine.models[MODEL].load_s = 0.8
    response = await ask(hasty)
    assert (response.status_code, response.json()["code"]) == (504, "TIMEOUT")
    assert "goes on" in response.json()["error"]
    await hasty.idle()
    assert (await stored(hasty, response.json())).content == HELLO


async def test_the_time_in_the_queue_is_not_the_engines(hasty: Site) -> None:
    site = hasty
    site.fake.answer(Script(text=WORDS, rate=4))
    first, second = await asyncio.gather(ask(site, "first"), ask(site, "second"))
    assert (first.status_code, second.status_code) == (200, 200)


async def test_an_answer_that_fails_is_its_status_with_the_reason(site: Site) -> None:
    site.fake.misbehave("cut_mid_line")
    response = await ask(site)
    assert (response.status_code, response.json()["code"]) == (500, "ANSWER_CUT")
    assert set(response.json()) >= IDS


# refused: nothing is stored


BOTH = pytest.mark.parametrize("path", ["/api/chat", "/api/chat/stream"])


@BOTH
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": " "}, "message"),
        ({"message": "x" * 32_001}, "message"),
        ({"message": "x", "client_id": ""}, "client_id"),
        ({"message": "x", "parameters": {"temperature": 3}}, "temperature"),
        ({"message": "x", "system_prompt": "x" * 20_001}, "system_prompt"),
        ({"message": "x", "think": "much"}, "think"),
        ({"message": "x", "provider": "openai"}, "provider"),
        ({"message": "x", "attachments": ["file"]}, "attachments"),
    ],
)
async def test_what_does_not_fit_is_400_by_its_field(site: Site, path: str, body: Any, field: str) -> None:
    rows = await site.rows()
    response = await site.http.post(path, json=body)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT")
    assert list(response.json()["fields"]) == [field]
    assert await site.rows() == rows


@BOTH
@pytest.mark.parametrize("more", [{"conversation_id": "nothing"}, {"model": "nothing:latest"}])
async def test_an_unknown_conversation_or_model_is_404(site: Site, path: str, more: dict[str, str]) -> None:
    rows = await site.rows()
    response = await site.http.post(path, json={"message": "Why?", **more})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert await site.rows() == rows


@BOTH
async def test_an_engine_that_is_down_is_503(site: Site, path: str) -> None:
    site.fake.misbehave("refused")
    await site.services.library.refresh()
    rows = await site.rows()
    response = await site.http.post(path, json={"message": "Why?", "model": MODEL}, timeout=10)
    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert await site.rows() == rows


@BOTH
async def test_a_full_queue_is_503(tmp_path: Path, fake_ollama: FakeOllama, path: str) -> None:
    async with open_site(tmp_path, fake_ollama, queue_max=1) as site:
        fake_ollama.answer(held())
        async with listening(site.http, {"message": "runs"}), listening(site.http, {"message": "waits"}):
            rows = await site.rows()
            response = await site.http.post(path, json={"message": "one too many"})
            assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert await site.rows() == rows


@BOTH
async def test_a_second_question_while_the_first_is_answered_is_409(site: Site, path: str) -> None:
    site.fake.answer(held())
    async with listening(site.http, {"message": "first"}) as events:
        head = await events.until(lambda event: "conversation_id" in event.data)
        body = {"message": "second", "conversation_id": head.data["conversation_id"]}
        assert (await site.http.post(path, json=body)).status_code == 409


async def test_the_longest_message_is_taken_however_it_is_written(site: Site) -> None:
    body = '{"message": "%s"}' % ("\\ud83d\\ude00" * 32_000)
    assert (await site.http.post("/api/chat", content=body, timeout=10)).status_code == 200


def test_an_event_is_one_line_of_json_with_its_name_and_id() -> None:
    assert sse.event({"a": "b\nc"}, name="n", id="1") == b'event: n\nid: 1\ndata: {"a":"b\\nc"}\n\n'
