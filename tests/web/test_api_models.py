"""The models over HTTP: listed, described, measured, loaded, copied, made, deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.chat.houses import MODEL
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script
from tests.web.conftest import Json, Site, open_site

THINK = "think:latest"
LISTS = ("/api/models", "/api/models/list", "/api/providers/ollama/models", "/api/models/running")
JOB = {"id", "kind", "model", "state", "phase", "since", "created_at", "ended_at", "expected_s", "elapsed_s"}


async def models(site: Site) -> dict[str, Json]:
    shape = (await site.http.get("/api/models/list")).json()
    return {model["name"]: model for model in shape["models"]}


async def test_both_addresses_of_the_list_say_the_same(site: Site) -> None:
    one, other = [(await site.http.get(path)).json() for path in LISTS[1:3]]
    assert one == other
    assert one["total"] == len(one["models"]) == 2


async def test_what_is_in_memory_says_who_used_it_last_and_not_in_which_session(site: Site) -> None:
    session = await site.new_session()
    await site.ended(await site.ask(session))
    await site.until_board(lambda board: not board.get("queue").get("") and bool(board.get("use")))
    [loaded] = (await site.http.get("/api/models/running")).json()["models"]
    assert set(loaded["used"]) == {"who", "at"}
    assert (await models(site))[MODEL]["loaded"]["used"] == loaded["used"]
    assert session.id not in str(loaded)


async def test_a_list_is_what_the_engine_says_now(site: Site) -> None:
    assert THINK in await models(site)
    assert (await site.http.delete(f"/api/models/{THINK}")).status_code == 200
    assert THINK not in await models(site)
    assert (await site.http.post("/api/models/copy", json={"source": MODEL, "destination": "b"})).status_code == 200
    assert "b:latest" in await models(site)


async def test_many_who_ask_at_once_ask_the_engine_once(site: Site) -> None:
    before = len(site.fake.seen("/api/tags"))
    await asyncio.gather(*(site.http.get("/api/models") for _ in range(30)))
    assert len(site.fake.seen("/api/tags")) - before <= 3


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_without_an_engine_is_503(site: Site, path: str) -> None:
    site.fake.misbehave("refused")
    response = await site.http.get(path)
    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    await site.fake.listen()


@pytest.mark.parametrize(
    ("mode", "status", "code"), [("garbage", 500, "MODEL_FAILED"), ("hang_before_headers", 504, "TIMEOUT")]
)
async def test_a_list_that_makes_no_sense_is_500_and_one_that_does_not_come_504(
    site: Site, monkeypatch: pytest.MonkeyPatch, mode: str, status: int, code: str
) -> None:
    monkeypatch.setattr("quart_chat.providers.ollama_shelf.LIST_S", 0.2)
    site.fake.misbehave(mode, path="/api/tags", times=5)
    response = await site.http.get("/api/models")
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_what_one_could_have_is_offered_with_whether_it_fits(site: Site) -> None:
    site.fake.files.recommended = [{"model": "own:1b", "description": "Ours.", "vram_bytes": 1_000_000_000}]
    shape = (await site.http.get("/api/models/available")).json()
    offers = {offer["name"]: offer for offer in shape["models"]}
    assert shape["total"] == len(offers) > 20
    assert offers["own:1b"]["recommended"] is True
    some = next(offer for offer in shape["models"] if offer["size"])
    assert {"name", "description", "size", "parameter_size", "capabilities", "fits"} <= set(some)
    assert set(some["fit"]) == {"memory", "disk", "words"}
    assert set(shape["machine"]) == {"local", "memory", "memory_free", "disk_free"}


async def test_what_is_here_is_not_offered(site: Site) -> None:
    first = (await site.http.get("/api/models/available")).json()["models"][0]["name"]
    site.fake.add_model(first)
    site.services.library.look_now()
    await site.until_board(lambda board: any(name.startswith(first) for name in board.get("model")))
    names = [offer["name"] for offer in (await site.http.get("/api/models/available")).json()["models"]]
    assert first not in names


async def test_a_load_is_a_job(site: Site) -> None:
    site.fake.engine.models[MODEL].load_s = 0.1
    response = await site.http.post("/api/models/load", json={"model": MODEL})
    assert response.status_code == 202
    job = response.json()["job"]
    assert set(job) >= JOB
    assert (job["kind"], job["model"], job["state"], job["phase"]) == ("load", MODEL, "running", "loading")
    joined = await site.http.post("/api/models/load", json={"model": "hello", "wait": True})
    assert joined.status_code == 200
    assert joined.json()["job"]["id"] == job["id"]
    assert joined.json()["load_ms"] >= 100
    assert (await site.http.get(f"/api/jobs/{job['id']}")).json()["state"] == "complete"
    assert site.fake.engine.loads == 1


async def test_a_load_that_takes_too_long_is_504(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, ollama_timeout_s=0.3) as site:
        fake_ollama.engine.models[MODEL].load_s = 60
        response = await site.http.post("/api/models/load", json={"model": MODEL, "wait": True})
        assert (response.status_code, response.json()["code"]) == (504, "TIMEOUT")


@pytest.mark.parametrize(("given", "sent"), [(-1, -1), (60, 60), ("10m", "10m"), ("1h30m", "1h30m")])
async def test_how_long_it_stays_is_told_to_the_engine(site: Site, given: Any, sent: Any) -> None:
    body = {"model": MODEL, "keep_alive": given, "wait": True}
    assert (await site.http.post("/api/models/load", json=body)).status_code == 200
    assert site.fake.engine.loaded[MODEL].keep_alive == sent


@pytest.mark.parametrize("given", ["-1", "soon", "5", "m" * 50, 10**12, 1.5, [], True])
async def test_a_time_that_is_none_is_400(site: Site, given: Any) -> None:
    response = await site.http.post("/api/models/load", json={"model": MODEL, "keep_alive": given})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT")
    assert site.fake.engine.loads == 0


async def test_deleting_unloads_first_and_says_what_is_freed(site: Site) -> None:
    await site.http.post("/api/models/load", json={"model": MODEL, "wait": True})
    response = await site.http.delete("/api/models/hello")
    assert response.status_code == 200
    assert (response.json()["model"], response.json()["freed"]) == ("hello", 2_000_000_000)
    assert site.fake.engine.loaded == {}
    assert MODEL not in await models(site)
    again = await site.http.delete("/api/models/hello")
    assert (again.status_code, again.json()["code"]) == (404, "NOT_FOUND")


async def test_a_model_of_another_host_is_deleted_by_its_whole_name(site: Site) -> None:
    name = "hf.co/somebody/model:q4"
    site.fake.add_model(name)
    site.services.library.look_now()
    await site.until_board(lambda board: name in board.get("model"))
    assert (await site.http.delete(f"/api/models/{name}")).status_code == 200
    assert name not in site.fake.engine.models


async def test_a_model_is_copied_and_renamed(site: Site) -> None:
    copied = await site.http.post("/api/models/copy", json={"source": MODEL, "destination": "mine"})
    assert (copied.status_code, copied.json()["model"]) == (200, "mine")
    renamed = await site.http.post("/api/models/rename", json={"source": "mine", "destination": "yours"})
    assert (renamed.status_code, renamed.json()["model"]) == (200, "yours")
    found = await models(site)
    assert set(found) == {MODEL, THINK, "yours:latest"}
    assert found["yours:latest"]["digest"] == found[MODEL]["digest"]


@pytest.mark.parametrize("path", ["/api/models/copy", "/api/models/rename"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"source": MODEL}, 400),
        ({"source": MODEL, "destination": "a b"}, 400),
        ({"source": "nothing", "destination": "new"}, 404),
    ],
)
async def test_what_cannot_be_copied_or_renamed_is_refused(site: Site, path: str, body: Any, status: int) -> None:
    assert (await site.http.post(path, json=body)).status_code == status
    assert set(site.fake.engine.models) == {MODEL, THINK}


async def test_a_name_that_is_taken_is_409(site: Site) -> None:
    for path in ("copy", "rename"):
        response = await site.http.post(f"/api/models/{path}", json={"source": MODEL, "destination": "think"})
        assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")
    made = await site.http.post("/api/models/create", json={"model": "think", "from": MODEL})
    assert made.status_code == 409
    assert len({model.digest for model in site.fake.engine.models.values()}) == 2


async def test_what_answers_is_not_deleted(site: Site) -> None:
    script = site.fake.answer(Script(text="one two three", hold_at=2))
    await site.ask(await site.new_session())
    await script.held.wait()
    response = await site.http.delete(f"/api/models/{MODEL}")
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")
    script.resume.set()
    await site.idle()


async def test_an_assistant_is_made_of_a_model(site: Site) -> None:
    body = {"model": "poet", "from": MODEL, "system": " Rhyme. ", "parameters": {"temperature": 0.2, "stop": ["x"]}}
    response = await site.http.post("/api/models/create", json=body)
    assert (response.status_code, response.json()["model"]) == (201, "poet")
    made = site.fake.engine.models["poet:latest"]
    assert (made.system, made.parameters["temperature"]) == ("Rhyme.", 0.2)
    assert "poet:latest" in await models(site)


@pytest.mark.parametrize(
    "change",
    [{"from": ""}, {"parameters": {"temperature": 9}}, {"system": "x" * 20_001}, {"model": "a b"}, {"system": 1}],
)
async def test_an_assistant_that_does_not_fit_is_400(site: Site, change: Any) -> None:
    response = await site.http.post("/api/models/create", json={"model": "poet", "from": MODEL, **change})
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT")
    assert set(site.fake.engine.models) == {MODEL, THINK}


async def test_an_assistant_of_what_is_not_here_is_404(site: Site) -> None:
    response = await site.http.post("/api/models/create", json={"model": "poet", "from": "nothing"})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


async def test_speed_is_measured_by_every_answer(site: Site) -> None:
    session = await site.new_session()
    for _ in range(3):
        await site.ended(await site.ask(session))
    shape = (await site.http.get("/api/models/metrics", params={"model": "hello"})).json()
    assert (shape["model"], shape["count"], len(shape["series"])) == (MODEL, 3, 3)
    assert shape["last"] == shape["series"][-1]
    assert {"tokens_per_s", "first_token_ms", "load_ms", "prompt_tokens_per_s", "wait_ms"} <= set(shape["median"])
    assert {"at", "tokens_per_s", "first_token_ms", "load_ms", "output_tokens"} <= set(shape["last"])
    assert [sample["at"] for sample in shape["series"]] == sorted(sample["at"] for sample in shape["series"])
    two = (await site.http.get("/api/models/metrics", params={"model": MODEL, "limit": 2})).json()
    assert two["series"] == shape["series"][1:]
    every = (await site.http.get("/api/models/metrics")).json()["models"]
    assert [(model["model"], model["count"]) for model in every] == [(MODEL, 3)]


async def test_what_was_never_used_has_no_figures_and_what_is_not_here_is_404(site: Site) -> None:
    shape = (await site.http.get("/api/models/metrics", params={"model": THINK})).json()
    assert (shape["count"], shape["last"], shape["series"]) == (0, None, [])
    assert set(shape["median"].values()) == {None}
    assert (await site.http.get("/api/models/metrics", params={"model": "nothing"})).status_code == 404
    assert (await site.http.get("/api/models/metrics", params={"model": MODEL, "limit": 501})).status_code == 400


async def test_the_provider_says_where_it_is_and_how_but_no_key(site: Site) -> None:
    shape = (await site.http.get("/api/providers")).json()
    assert set(shape) == {"ollama"}
    ollama = shape["ollama"]
    assert (ollama["name"], ollama["enabled"], ollama["status"]) == ("Ollama", True, "connected")
    assert (ollama["base_url"], ollama["model"], ollama["version"]) == (site.fake.url, MODEL, "0.33.0")
    assert ollama["last_checked"].endswith("Z")
    assert not any("key" in name for name in ollama)
    site.fake.misbehave("refused")
    site.services.library.look_now()
    await site.until_board(lambda board: board.get("engine")[""].status == "disconnected")
    gone = (await site.http.get("/api/providers")).json()["ollama"]
    assert (gone["status"], bool(gone["problem"])) == ("disconnected", True)
    await site.fake.listen()
