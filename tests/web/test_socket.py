"""`/ws` for programs: snapshot, deltas, resuming without gap, errors with the socket open, and how it closes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quart_chat.entities import OWNER_ID
from tests.chat.houses import MODEL
from tests.doubles.script import HELLO, Script
from tests.web.conftest import Json, Site


class Reader:
    """A program's copy of one session, kept by the rules of the contract alone."""

    def __init__(self) -> None:
        self.messages: dict[str, Json] = {}
        self.cursor = ""
        self.snapshots = 0
        self.fresh = True
        """The frame before moved the cursor: nothing of what it told may come again."""

    def take(self, frame: Json) -> None:
        moved = self.fresh
        self.fresh = self.cursor != frame.get("cursor", self.cursor)
        self.cursor = frame.get("cursor", self.cursor)
        payload = frame["payload"]
        if frame["type"] != "message":
            return
        match payload["event"]:
            case "snapshot":
                self.snapshots += 1
                self.messages = {message["id"]: message for message in payload["messages"]}
            case "created":
                self.messages[payload["message"]["id"]] = payload["message"]
            case "completed" | "edited":
                assert payload["message"]["id"] in self.messages, "never created"
                self.messages[payload["message"]["id"]] = payload["message"]
            case "delta":
                part = "thinking" if payload.get("thinking") else "content"
                message = self.messages[payload["message_id"]]
                text = message.get(part, "")
                assert payload["offset"] <= len(text), "a gap"
                assert payload["offset"] == len(text) or not moved, "a repeat"
                message[part] = text[: payload["offset"]] + payload["text"]

    @property
    def answer(self) -> Json:
        return list(self.messages.values())[-1]


def completed(frame: Json) -> bool:
    return frame["payload"].get("event") == "completed" and frame["payload"]["message"]["role"] == "assistant"


async def test_the_first_frames_are_a_snapshot_and_the_state_of_the_machine(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    async with site.socket(f"?session={session.id}") as socket:
        first, second = await socket.receive(), await socket.receive()
        assert (first["type"], first["payload"]["event"]) == ("message", "snapshot")
        assert [message["content"] for message in first["payload"]["messages"]] == ["Why?", HELLO]
        assert first["payload"]["status"] == {"event": "idle"}
        assert (second["type"], second["payload"]["event"]) == ("status", "ready")
        assert second["payload"]["engine"]["status"] == "connected"
        assert {model["name"] for model in second["payload"]["models"]} == {MODEL, "think:latest"}
        assert second["cursor"].startswith(first["cursor"].split(".")[0])


async def test_a_snapshot_has_the_last_forty_messages_whole(site: Site) -> None:
    session = await site.new_session()
    for number in range(21):
        await site.ended(await site.ask(session, f"Q{number}"))
    async with site.socket(f"?session={session.id}") as socket:
        messages = (await socket.receive())["payload"]["messages"]
        assert [message["number"] for message in messages] == list(range(3, 43))


async def test_an_answer_comes_in_pieces_with_offsets_in_code_points(site: Site) -> None:
    text = "Grün 👩‍👩‍👧 und 𝕏 → fertig"
    site.fake.answer(Script(tokens=list(text), thinking=["Ä", "🙂 ", "so"], rate=400))
    session = await site.new_session("think:latest")
    await site.chat.update_session(session.id, OWNER_ID, {"think": True})
    reader = Reader()
    async with site.socket(f"?session={session.id}&after=") as socket:
        await site.ask(session)
        while not completed(frame := await socket.receive()):
            reader.take(frame)
        assert (reader.answer["content"], reader.answer["thinking"]) == (text, "Ä🙂 so")
        assert frame["payload"]["message"]["content"] == text
        assert (await socket.event("idle"))["message_id"] == reader.answer["id"]
        events = [frame["payload"].get("event") for frame in socket.frames]
        assert events.count("delta") > 3
        assert "thinking" in events
        assert "writing" in events


async def test_a_failed_answer_is_told_as_an_error_with_its_reason(site: Site) -> None:
    site.fake.misbehave("cut_without_done")
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after=") as socket:
        turn = await site.ask(session)
        frame = await socket.until(lambda frame: frame["type"] == "error")
        assert frame["payload"]["code"] == "ANSWER_CUT"
        assert frame["payload"]["message_id"] == turn.answer.id


@pytest.mark.parametrize("by_hello", [False, True])
async def test_a_program_that_drops_off_again_and_again_misses_nothing_and_reads_nothing_twice(
    site: Site, by_hello: bool
) -> None:
    text = " ".join(f"word{n}🙂" for n in range(120))
    site.fake.answer(Script(text=text, rate=200))
    session, reader = await site.new_session(), Reader()
    turn = await site.ask(session)
    while not reader.messages or reader.answer["state"] == "generating":
        query = f"?session={session.id}" + ("" if by_hello else f"&after={reader.cursor}")
        async with site.socket(query) as socket:
            if by_hello:
                await socket.say("hello", after=reader.cursor)
            for _ in range(4):
                frame = await socket.receive()
                reader.take(frame)
                if completed(frame):
                    break
    assert reader.snapshots == 1
    assert reader.answer["content"] == text == (await site.ended(turn)).content


async def test_every_frame_of_a_batch_can_be_the_last_one_read(site: Site) -> None:
    """What came while a program was away is told in several frames; a cut between any two loses none of it."""
    site.fake.answer(Script(text="Blue.", thinking=["Well", ", light"]))
    session = await site.new_session("think:latest")
    async with site.socket(f"?session={session.id}&after=") as socket:
        before = (await socket.receive())["cursor"]
    await site.ended(await site.ask(session))
    await site.chat.update_session(session.id, OWNER_ID, {"title": "Later"})
    expected: set[str] = set()
    cut_at = 0
    while True:
        cut_at += 1
        seen: list[str] = []
        async with site.socket(f"?session={session.id}&after={before}") as socket:
            for _ in range(cut_at):
                frame = await socket.receive()
                seen.append(told_by(frame))
            cursor = frame["cursor"]
            if frame["type"] == "status" and frame["payload"]["event"] in {"ready", "queue"}:
                break
        async with site.socket(f"?session={session.id}&after={cursor}") as socket:
            await socket.say("ping")
            while (frame := await socket.receive())["payload"].get("event") != "pong":
                seen.append(told_by(frame))
        expected = expected or set(seen)
        assert set(seen) >= expected, f"cut after {cut_at}"
    assert cut_at > 3


def told_by(frame: Json) -> str:
    payload = frame["payload"]
    return f"{frame['type']} {payload.get('event')} {payload.get('message', {}).get('id', '')}"


@pytest.mark.parametrize("cursor", ["nonsense", "0.1.2", "deadbeef.99999999.1", "..", "x" * 100])
async def test_a_cursor_that_is_not_ours_gives_a_snapshot(site: Site, cursor: str) -> None:
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after={cursor}") as socket:
        assert (await socket.receive())["payload"]["event"] == "snapshot"


async def test_a_revision_of_the_future_gives_a_snapshot(site: Site) -> None:
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after=") as socket:
        epoch = (await socket.receive())["cursor"].split(".")[0]
    async with site.socket(f"?session={session.id}&after={epoch}.999999.") as socket:
        assert (await socket.receive())["payload"]["event"] == "snapshot"


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "null", '{"type":"unknown"}', '{"payload":{}}', '{"type":"message","payload":7}', b"\x00\xff"],
)
async def test_a_frame_that_cannot_be_read_is_an_error_and_the_socket_stays_open(site: Site, frame: Any) -> None:
    async with site.socket("?after=") as socket:
        await socket.connection.send(frame)
        answer = await socket.until(lambda frame: frame["type"] == "error")
        assert answer["payload"]["code"] == "INVALID_INPUT"
        await socket.say("ping")
        await socket.event("pong")


@pytest.mark.parametrize(
    ("type_", "payload", "code"),
    [
        ("message", {"content": ""}, "INVALID_INPUT"),
        ("message", {"content": 7}, "INVALID_INPUT"),
        ("message", {"content": "x" * 33_000}, "INVALID_INPUT"),
        ("stop", {"generation_id": "nothing"}, "NOT_FOUND"),
        ("stop", {}, "NOT_FOUND"),
    ],
)
async def test_a_wish_that_is_refused_is_an_error_event(site: Site, type_: str, payload: Json, code: str) -> None:
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after=") as socket:
        await socket.say(type_, **payload)
        answer = await socket.until(lambda frame: frame["type"] == "error")
        assert answer["payload"]["code"] == code
        assert answer["payload"]["error"]


async def test_a_message_over_the_socket_is_answered_and_can_be_stopped_there(site: Site) -> None:
    site.fake.answer(Script(text="one two three", hold_at=2))
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after=") as socket:
        await socket.say("message", content="Count", client_id="c1")
        created = await socket.event("created")
        assert (created["message"]["content"], created["message"]["client_id"]) == ("Count", "c1")
        generation = (await socket.event("writing"))["generation_id"]
        await socket.say("message", content="More")
        assert (await socket.until(lambda frame: frame["type"] == "error"))["payload"]["code"] == "CONFLICT"
        await socket.say("stop", generation_id=generation)
        stopped = await socket.until(completed)
        assert stopped["payload"]["message"]["state"] == "stopped"
        assert (await socket.event("stopped"))["message_id"] == stopped["payload"]["message"]["id"]


async def test_a_socket_without_a_session_follows_the_machine_alone(site: Site) -> None:
    async with site.socket("?after=") as socket:
        assert (await socket.receive())["payload"]["event"] == "ready"
        turn = await site.ask(await site.new_session())
        await site.ended(turn)
        queue = await socket.until(lambda frame: bool(frame["payload"].get("running")))
        assert queue["payload"]["running"][0]["generation_id"] == turn.generation.id
        assert {frame["type"] for frame in socket.frames} == {"status"}
        await socket.say("message", content="x")
        assert (await socket.until(lambda frame: frame["type"] == "error"))["payload"]["code"] == "INVALID_INPUT"


async def test_a_model_that_comes_into_memory_is_told(site: Site) -> None:
    async with site.socket("?after=") as socket:
        await socket.receive()
        await site.http.post("/api/models/load", json={"model": MODEL})
        assert (await socket.event("model_loaded"))["model"] == MODEL
        await site.http.post("/api/models/unload", json={"model": MODEL})
        assert (await socket.event("model_unloaded"))["model"] == MODEL


async def test_flooding_closes_with_1008(site: Site) -> None:
    async with site.socket("?after=", max_queue=None) as socket:
        await asyncio.gather(*(socket.say("ping") for _ in range(60)), return_exceptions=True)
        assert await socket.closed() == 1008


async def test_an_unknown_session_closes_with_4404(site: Site) -> None:
    async with site.socket("?session=nothing") as socket:
        assert await socket.closed() == 4404


@pytest.mark.parametrize("view", ["", "&view=html"])
async def test_deleting_a_session_tells_whoever_looks_at_it_4404(site: Site, view: str) -> None:
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after={view}") as socket:
        await socket.receive()
        await site.chat.delete_session(session.id, OWNER_ID)
        assert await socket.closed() == 4404


async def test_a_frame_beyond_the_limit_closes_with_1009_and_is_not_fatal_for_others(site: Site) -> None:
    async with site.socket("?after=") as other, site.socket("?after=") as socket:
        await socket.connection.send("x" * 70_000)
        assert await socket.closed() == 1009
        await other.say("ping")
        await other.event("pong")


async def test_clearing_is_a_snapshot_without_messages(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    async with site.socket(f"?session={session.id}&after=") as socket:
        await socket.event("snapshot")
        await site.chat.clear(session.id, OWNER_ID)
        assert (await socket.event("snapshot"))["messages"] == []


async def test_everybody_who_leaves_is_forgotten(site: Site) -> None:
    async with site.socket("?after=") as socket:
        await socket.receive()
        assert len(site.services.hub.viewers) == 1
    async with asyncio.timeout(5):
        await site.services.hub.empty.wait()
