"""The JSON routes: shapes and status codes of the contract."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from quart_chat.entities import OWNER_ID
from tests.chat.houses import MODEL
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import HELLO, Script
from tests.web.conftest import Site, open_site

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def held() -> Script:
    return Script(text="one two three", hold_at=2)


async def send(site: Site, **body: Any) -> Any:
    return await site.http.post("/api/chat/message", json={"content": "Why?", **body})


async def test_a_message_is_accepted_with_its_place_and_answered(site: Site) -> None:
    response = await send(site, model=MODEL)
    assert response.status_code == 202
    shape = response.json()
    assert set(shape) == {"session_id", "message", "generation"}
    assert set(shape["generation"]) == {"id", "message_id", "state", "position", "eta_s"}
    message = shape["message"]
    assert (message["role"], message["content"], message["state"]) == ("user", "Why?", "complete")
    assert TIME.fullmatch(message["timestamp"])
    await site.idle()
    history = (await site.http.get("/api/chat/history", params={"session_id": shape["session_id"]})).json()
    assert history["session_id"] == shape["session_id"]
    question, answer = history["messages"]
    assert (answer["content"], answer["state"], answer["parent_id"]) == (HELLO, "complete", question["id"])
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]


async def test_the_same_client_id_again_is_200_with_the_same_answer(site: Site) -> None:
    first = await send(site, client_id="c")
    again = await send(site, client_id="c", session_id=first.json()["session_id"])
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["generation"]["id"] == first.json()["generation"]["id"]
    await site.idle()


async def test_the_same_client_id_without_a_session_is_the_same_send_in_the_same_new_session(site: Site) -> None:
    answers = await asyncio.gather(*(send(site, client_id="first") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 202]
    assert len({answer.json()["generation"]["id"] for answer in answers}) == 1
    assert (await site.http.get("/api/history")).json()["total"] == 1
    await site.idle()


async def test_a_refused_first_message_leaves_no_session_behind(site: Site) -> None:
    assert (await send(site, parameters={"temperature": 9})).status_code == 400
    assert (await send(site, content="")).status_code == 400
    assert (await site.http.get("/api/history")).json()["total"] == 0


async def test_messages_without_a_session_at_the_same_time_begin_sessions_of_their_own(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, queue_max_per_person=10) as site:
        await site.new_session()
        answers = await asyncio.gather(*(send(site) for _ in range(4)))
        assert [answer.status_code for answer in answers] == [202] * 4
        assert len({answer.json()["session_id"] for answer in answers}) == 4
        await site.idle()


async def test_parameters_of_a_message_reach_the_engine(site: Site) -> None:
    assert (await send(site, parameters={"temperature": 0, "seed": 3})).status_code == 202
    await site.idle()
    assert site.fake.questions[-1]["options"] == {"temperature": 0, "seed": 3}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": "x" * 32_001}, "content"),
        ({"content": 7}, "content"),
        ({}, "content"),
        ({"content": "x", "client_id": ""}, "client_id"),
        ({"content": "x", "parameters": {"temperature": 3}}, "temperature"),
        ({"content": "x", "parameters": {"max_tokens": 0}}, "max_tokens"),
        ({"content": "x", "parameters": {"stop": ["x"] * 9}}, "stop"),
        ({"content": "x", "parameters": {"top_p": "much"}}, "parameters.top_p"),
    ],
)
async def test_what_does_not_fit_is_400_by_its_field_and_writes_no_row(site: Site, body: Any, field: str) -> None:
    rows = await site.rows()
    response = await site.http.post("/api/chat/message", json=body)
    assert response.status_code == 400
    shape = response.json()
    assert shape["code"] == "INVALID_INPUT"
    assert list(shape["fields"]) == [field]
    assert await site.rows() == rows


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'"text"', b"null", b'{"content": "\\ud800"}'])
async def test_what_is_no_object_is_400(site: Site, body: bytes) -> None:
    response = await site.http.post("/api/chat/message", content=body)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/history/nothing", None),
        ("PUT", "/api/history/nothing", {"title": "x"}),
        ("DELETE", "/api/history/nothing", None),
        ("GET", "/api/chat/history?session_id=nothing", None),
        ("DELETE", "/api/chat/clear?session_id=nothing", None),
        ("DELETE", "/api/generations/nothing", None),
        ("POST", "/api/chat/message", {"content": "x", "session_id": "nothing"}),
        ("GET", "/api/models/info?model=nothing", None),
        ("GET", "/api/nothing", None),
    ],
)
async def test_what_is_not_there_is_404(site: Site, method: str, path: str, body: Any) -> None:
    response = await site.http.request(method, path, json=body)
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


async def test_what_is_somebody_elses_is_404(site: Site) -> None:
    session = await site.new_session()

    def give_away() -> None:
        from quart_chat.persistence.tables import SessionRow, UserRow

        UserRow.insert(id="stranger", name="S", created_at=1).execute()
        SessionRow.update(user_id="stranger").where(SessionRow.id == session.id).execute()

    await site.services._database.write(give_away)
    for method, path in (
        ("GET", f"/api/history/{session.id}"),
        ("DELETE", f"/api/history/{session.id}"),
        ("GET", f"/chat/{session.id}"),
        ("POST", f"/chat/{session.id}/clear"),
    ):
        assert (await site.http.request(method, path)).status_code == 404, path
    assert (await site.storage.get_session(session.id, "stranger")).id == session.id


async def test_a_second_question_in_a_session_is_409(site: Site) -> None:
    script = site.fake.answer(held())
    first = (await send(site)).json()
    await script.held.wait()
    response = await send(site, session_id=first["session_id"])
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")
    script.resume.set()
    await site.idle()


async def test_too_many_of_one_person_is_429_with_retry_after_and_a_full_queue_503(
    tmp_path: Path, fake_ollama: FakeOllama
) -> None:
    async with open_site(tmp_path, fake_ollama, queue_max=2, queue_max_per_person=1) as site:
        script = fake_ollama.answer(held())
        await send(site)
        await script.held.wait()
        assert (await send(site)).status_code == 202
        refused = await send(site)
        assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMIT")
        assert int(refused.headers["Retry-After"]) > 0
        site.http.cookies.set("qc_person", "b" * 16)
        await site.ask(await site.new_session(), person="c")
        full = await send(site)
        assert (full.status_code, full.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        script.resume.set()
        await site.idle()


async def test_a_body_of_a_megabyte_is_413(site: Site) -> None:
    response = await send(site, content="x" * 1_000_000)
    assert (response.status_code, response.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_wrong_method_is_405(site: Site) -> None:
    response = await site.http.patch("/api/history")
    assert (response.status_code, response.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_the_queue_says_who_runs_who_waits_and_what_is_mine(site: Site) -> None:
    script = site.fake.answer(held())
    running = (await send(site)).json()
    await script.held.wait()
    waiting = (await send(site)).json()
    assert waiting["generation"]["position"] == 1
    other = await site.ask(await site.new_session(), person="somebody")
    queue = (await site.http.get("/api/queue")).json()
    assert [entry["generation_id"] for entry in queue["running"]] == [running["generation"]["id"]]
    assert [(entry["generation_id"], entry["position"], entry["mine"]) for entry in queue["waiting"]] == [
        (other.generation.id, 1, False),
        (waiting["generation"]["id"], 2, True),
    ]
    assert "person" not in queue["waiting"][0]
    script.resume.set()
    await site.idle()


async def test_stopping_is_idempotent_and_says_the_state(site: Site) -> None:
    script = site.fake.answer(held())
    generation = (await send(site)).json()["generation"]
    await script.held.wait()
    for _ in range(2):
        response = await site.http.delete(f"/api/generations/{generation['id']}")
        assert (response.status_code, response.json()) == (200, {"state": "stopped"})


async def test_clearing_says_how_many_messages_there_were(site: Site) -> None:
    session_id = (await send(site)).json()["session_id"]
    await site.idle()
    response = await site.http.delete("/api/chat/clear", params={"session_id": session_id})
    assert response.json() == {"message": "Conversation cleared", "deleted": 2}
    assert (await site.http.get("/api/chat/history", params={"session_id": session_id})).json()["messages"] == []


async def test_history_pages_backwards(site: Site) -> None:
    session = await site.new_session()
    for _ in range(3):
        await site.ended(await site.ask(session))
    params: dict[str, Any] = {"session_id": session.id, "limit": 2}
    last = (await site.http.get("/api/chat/history", params=params)).json()["messages"]
    before = (await site.http.get("/api/chat/history", params={**params, "before": last[0]["number"]})).json()
    assert [m["number"] for m in before["messages"] + last] == [3, 4, 5, 6]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1", "limit=1e1", "offset=9999999999"])
async def test_a_list_out_of_bounds_is_400(site: Site, query: str) -> None:
    assert (await site.http.get(f"/api/history?{query}")).status_code == 400


async def test_conversations_are_listed_newest_first_with_total(site: Site) -> None:
    ids = []
    for number in range(3):
        session = await site.new_session()
        await site.ended(await site.ask(session, f"Number {number} zebra" if number == 1 else f"Number {number}"))
        ids.append(session.id)
    shape = (await site.http.get("/api/history", params={"limit": 2})).json()
    assert (shape["total"], shape["limit"], shape["offset"]) == (3, 2, 0)
    assert [c["id"] for c in shape["conversations"]] == ids[:0:-1]
    assert set(shape["conversations"][0]) == {"id", "title", "created_at", "updated_at", "message_count", "model"}
    found = (await site.http.get("/api/history", params={"q": "zebra"})).json()
    assert [c["id"] for c in found["conversations"]] == [ids[1]]


async def test_a_conversation_is_read_changed_and_deleted(site: Site) -> None:
    session = await site.new_session()
    path = f"/api/history/{session.id}"
    change = {"title": " New ", "system_prompt": "Be.", "parameters": {"top_k": 5}, "think": True}
    changed = (await site.http.put(path, json=change)).json()
    assert changed == (await site.http.get(path)).json()
    assert (changed["title"], changed["parameters"], changed["think"]) == ("New", {"top_k": 5}, True)
    assert changed["messages"] == []
    response = await site.http.delete(path)
    assert response.json() == {"message": "Conversation deleted successfully"}
    assert (await site.http.get(path)).status_code == 404
    assert (await site.http.get(f"/chat/{session.id}")).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"title": "x" * 201},
        {"unknown": 1},
        {"parameters": {"top_p": 2}},
        {"model": ""},
        {"think": "yes"},
        {"title": None},
    ],
)
async def test_a_change_that_does_not_fit_is_400_and_changes_nothing(site: Site, change: Any) -> None:
    session = await site.new_session()
    assert (await site.http.put(f"/api/history/{session.id}", json=change)).status_code == 400
    assert (await site.storage.get_session(session.id, OWNER_ID)).title == ""


async def test_models_are_listed_described_loaded_and_unloaded(site: Site) -> None:
    models = (await site.http.get("/api/models")).json()["models"]
    assert {"name": MODEL, "modified_at": models[0]["modified_at"], "size": "2.0GB"} in models
    job = await site.http.post("/api/models/load", json={"model": MODEL, "wait": True})
    assert (job.status_code, job.json()["model"]) == (200, MODEL)
    shape = (await site.http.get("/api/models/list")).json()
    assert shape["total"] == len(shape["models"]) == 2
    assert [m["name"] for m in shape["models"] if "loaded" in m] == [MODEL]
    assert set(shape["models"][0]["details"]) == {
        "format", "family", "families", "parameter_size", "quantization_level",
    }  # fmt: skip
    info = (await site.http.get("/api/models/info", params={"model": "think"})).json()
    assert "thinking" in info["capabilities"]
    running = (await site.http.get("/api/models/running")).json()["models"]
    assert [model["name"] for model in running] == [MODEL]
    assert (await site.http.post("/api/models/unload", json={"model": MODEL})).status_code == 200
    assert (await site.http.get("/api/models/running")).json() == {"models": []}
    later = await site.http.post("/api/models/load", json={"model": MODEL})
    assert later.status_code == 202
    assert later.json()["job"]["model"] == MODEL
    await site.until_board(lambda board: MODEL in board.get("loaded"))


async def test_loading_what_is_not_there_is_404(site: Site) -> None:
    response = await site.http.post("/api/models/load", json={"model": "nothing", "wait": True})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


async def test_models_without_an_engine_are_503_and_health_is_degraded(site: Site) -> None:
    assert (await site.http.get("/api/health")).json()["status"] == "healthy"
    site.fake.misbehave("refused")
    for path in ("/api/models", "/api/models/list", "/api/models/running"):
        response = await site.http.get(path)
        assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    site.services.library.look_now()
    await site.until_board(lambda board: board.get("engine")[""].status == "disconnected")
    health = await site.http.get("/api/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert (await site.http.get("/api/health/ready")).status_code == 200
    await site.fake.listen()


async def test_ready_is_503_while_it_drains(site: Site) -> None:
    site.services.draining = True
    assert (await site.http.get("/api/health/ready")).status_code == 503
