"""What the fake Ollama does about downloads and files is what the real one was recorded to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.recordings import body_bytes, exchanges
from tests.doubles.registry import MISMATCH, NOT_THERE, RETRIES

LAYERS = [("weights", 2_000_000), ("projector", 500_000)]


@pytest.fixture
async def http(fake_ollama: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    fake_ollama.registry.line_s = 0.01
    async with httpx.AsyncClient(base_url=fake_ollama.url, trust_env=False, timeout=5) as http:
        yield http


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def folded(said: list[dict[str, Any]]) -> list[str]:
    """The states in their order, whatever the progress between them."""
    states = ["layer" if "digest" in line else str(line.get("status") or "error") for line in said]
    return [state for before, state in zip(["", *states], states, strict=False) if state != before]


async def pull(http: httpx.AsyncClient, name: str = "new", **rest: object) -> list[dict[str, Any]]:
    return lines((await http.post("/api/pull", json={"model": name, **rest})).text)


def read(body: bytes) -> object:
    return json.loads(body) if body else None


async def names(http: httpx.AsyncClient) -> list[str]:
    return [model["name"] for model in (await http.get("/api/tags")).json()["models"]]


async def test_a_pull_has_the_states_and_keys_of_a_recorded_one(
    fake_ollama: FakeOllama, http: httpx.AsyncClient
) -> None:
    fake_ollama.offer("new", LAYERS, rate=20_000_000, capabilities=("completion", "vision"))
    said = await pull(http)
    real = lines(body_bytes("pull-success").decode())
    assert folded(said) == folded(real)
    assert {frozenset(line) for line in said} <= {frozenset(line) for line in real} | {
        frozenset({"status", "digest", "total"})
    }
    assert all(line.get("completed", 0) <= line["total"] for line in said if "total" in line)
    assert "new:latest" in await names(http)
    shown = (await http.post("/api/show", json={"model": "new"})).json()
    assert shown["capabilities"] == ["completion", "vision"]


async def test_a_second_pull_finds_everything_there(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    fake_ollama.offer("new", LAYERS)
    await pull(http)
    said = await pull(http)
    assert folded(said) == folded(lines(body_bytes("pull-present").decode()))
    assert [(line["completed"], line["total"]) for line in said if "digest" in line] == [
        (2_000_000,) * 2,
        (500_000,) * 2,
    ]


async def test_a_held_pull_stands_still_until_it_is_let_go(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    hold = fake_ollama.offer("new", LAYERS).hold(at=1_200_000)
    pulling = asyncio.create_task(pull(http))
    await hold.held.wait()
    assert list(fake_ollama.registry.disk.values()) == [1_200_000]
    assert "new:latest" not in await names(http)
    hold.resume.set()
    assert (await pulling)[-1] == {"status": "success"}


async def test_who_leaves_stops_it_and_the_next_goes_on_there(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    hold = fake_ollama.offer("new", LAYERS).hold(at=1_200_000)
    pulling = asyncio.create_task(pull(http))
    await hold.held.wait()
    pulling.cancel()
    await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
    fake_ollama.offer("new", LAYERS, rate=10_000_000)
    said = await pull(http)
    first = next(line for line in said if "digest" in line)
    assert first["completed"] >= 1_200_000
    assert said[-1] == {"status": "success"}


async def test_two_pulls_are_one_download(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    hold = fake_ollama.offer("new", LAYERS).hold(at=1_200_000)
    first = asyncio.create_task(pull(http))
    await hold.held.wait()
    second = asyncio.create_task(pull(http))
    await fake_ollama.until(lambda: len(fake_ollama.seen("/api/pull")) == 2)
    first.cancel()
    await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
    hold.resume.set()
    assert (await second)[-1] == {"status": "success"}
    assert "new:latest" in await names(http)


@pytest.mark.parametrize(
    ("trouble", "name"),
    [
        ("registry_dies", "pull-registry-gone"),
        ("digest_mismatch", "pull-damaged"),
        ("registry_gone", "pull-no-registry"),
    ],
)
async def test_a_trouble_looks_like_its_recording(
    trouble: str, name: str, fake_ollama: FakeOllama, http: httpx.AsyncClient
) -> None:
    fake_ollama.offer("new", LAYERS, rate=20_000_000, trouble=trouble, trouble_s=0.05)
    said = await pull(http)
    assert folded(said) == folded(lines(body_bytes(name).decode()))
    assert "new:latest" not in await names(http)


async def test_a_dying_registry_repeats_its_line_and_what_came_is_kept(
    fake_ollama: FakeOllama, http: httpx.AsyncClient
) -> None:
    offer = fake_ollama.offer("new", LAYERS, trouble="registry_dies", trouble_s=0.1)
    said = await pull(http)
    assert said[-1] == {"error": RETRIES}
    assert len(said) > 5
    assert {line["completed"] for line in said if "digest" in line} == {offer.size // 2}
    offer.trouble = ""
    assert (await pull(http))[-1] == {"status": "success"}


async def test_a_stall_ends_and_a_fall_is_seen_once(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    fake_ollama.offer("new", LAYERS, trouble="stall", trouble_s=0.05)
    assert (await pull(http))[-1] == {"status": "success"}
    fake_ollama.offer("other", [("large", 4_000_000)], rate=20_000_000, trouble="falling")
    said = await pull(http, "other")
    done = [line.get("completed", 0) for line in said if "digest" in line]
    assert sum(later < earlier for earlier, later in pairwise(done)) == 1
    assert said[-1] == {"status": "success"}


async def test_a_damaged_download_has_to_begin_again(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    fake_ollama.offer("new", LAYERS, trouble="digest_mismatch")
    assert (await pull(http))[-1] == {"error": MISMATCH}
    assert list(fake_ollama.registry.disk.values()) == [500_000]


async def test_another_digest_in_the_registry_is_an_update(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    fake_ollama.offer("hello")
    assert [line.get("total") == line.get("completed") for line in await pull(http, "hello")] == [True] * 6
    fake_ollama.offer("hello", [("better", 3_000_000)], digest="b" * 64)
    assert {"status": "removing unused layers"} in await pull(http, "hello")
    model = fake_ollama.engine.models["hello:latest"]
    assert (model.digest, model.size, list(fake_ollama.registry.disk.values())) == ("b" * 64, 3_000_000, [3_000_000])


async def test_what_the_registry_does_not_have(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    assert await pull(http, "nope") == lines(body_bytes("pull-missing").decode())
    response = await http.post("/api/pull", json={"model": "nope", "stream": False})
    assert (response.status_code, response.json()) == (500, {"error": NOT_THERE})
    assert (await http.post("/api/pull", json={"model": "not a name!"})).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "name", "body"),
    [
        ("POST", "/api/copy", "copy", {"source": "hello", "destination": "hello-copy"}),
        ("POST", "/api/copy", "copy-missing", {"source": "nope", "destination": "x"}),
        ("DELETE", "/api/delete", "delete", {"model": "hello"}),
        ("DELETE", "/api/delete", "delete-missing", {"model": "nope"}),
        ("POST", "/api/create", "create-from-missing", {"model": "x", "from": "not a name!"}),
        ("POST", "/api/pull", "pull-empty-name", {"model": ""}),
    ],
)
async def test_short_answers_are_those_of_the_recordings(
    method: str, path: str, name: str, body: dict[str, object], http: httpx.AsyncClient
) -> None:
    response = await http.request(method, path, json=body)
    recorded = exchanges(name)[0]["response"]
    assert response.status_code == recorded["status"]
    assert read(response.content) == read(body_bytes(name))


async def test_what_is_created_answers_to_its_own_name(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    body = {"model": "pirate", "from": "hello", "system": "You are a pirate.", "parameters": {"temperature": 0.5}}
    said = lines((await http.post("/api/create", json=body)).text)
    assert [str(line["status"]).split(" sha256")[0] for line in said] == [
        "using existing layer",
        "creating new layer",
        "writing manifest",
        "success",
    ]
    shown = (await http.post("/api/show", json={"model": "pirate"})).json()
    assert (shown["system"], shown["parameters"].split()) == ("You are a pirate.", ["temperature", "0.5"])


async def test_a_deleted_model_stays_in_memory_and_cannot_be_unloaded(http: httpx.AsyncClient) -> None:
    await http.post("/api/chat", json={"model": "hello", "messages": []})
    await http.request("DELETE", "/api/delete", json={"model": "hello"})
    assert [model["name"] for model in (await http.get("/api/ps")).json()["models"]] == ["hello:latest"]
    unload = await http.post("/api/chat", json={"model": "hello", "messages": [], "keep_alive": 0})
    assert unload.status_code == 404


async def test_status_and_recommendations_are_what_the_test_said(
    fake_ollama: FakeOllama, http: httpx.AsyncClient
) -> None:
    fake_ollama.files.cloud_disabled = True
    assert (await http.get("/api/status")).json() == read(body_bytes("status"))
    path = "/api/experimental/model-recommendations"
    assert (await http.get(path)).json() == {"recommendations": []}
    fake_ollama.files.recommended = None
    assert (await http.get(path)).text == "404 page not found"
