"""The fake Ollama behaves as the real one was recorded to, so that what is tested against it means something."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.recordings import Replay, body_bytes, exchanges
from tests.doubles.script import HELLO, Script
from tests.providers.helpers import ask, question


@pytest.fixture
async def http(fake_ollama: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=fake_ollama.url, trust_env=False, timeout=5) as http:
        yield http


def chat(model: str = "hello", **rest: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **rest}


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.split("\n") if line]


async def test_an_answer_has_the_keys_of_a_recorded_one(http: httpx.AsyncClient) -> None:
    real = lines(body_bytes("chat-stream").decode())
    response = await http.post("/api/chat", json=chat())
    said = lines(response.text)
    recorded_headers = dict(exchanges("chat-stream")[0]["response"]["headers"])
    assert response.headers["content-type"] == recorded_headers["Content-Type"]
    assert set(said[0]) == set(real[0])
    assert set(said[-1]) == set(real[-1])
    assert "".join(str(line["message"]["content"]) for line in said) == HELLO  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "name", "body"),
    [
        ("/api/chat", "chat-missing-model", chat("nope")),
        ("/api/chat", "think-unsupported", chat(think=True)),
        ("/api/nope", "unknown-path", None),
        ("/api/ps", "ps-empty", None),
        ("/api/chat", "unload", {"model": "hello", "messages": [], "keep_alive": 0}),
        ("/api/chat", "load", {"model": "hello", "messages": []}),
    ],
)
async def test_short_answers_are_those_of_the_recordings(
    path: str, name: str, body: dict[str, object] | None, http: httpx.AsyncClient
) -> None:
    response = await (http.get(path) if body is None else http.post(path, json=body))
    recorded = exchanges(name)[0]["response"]
    assert response.status_code == recorded["status"]
    assert response.headers["content-type"].split(";")[0] == dict(recorded["headers"])["Content-Type"].split(";")[0]
    real = body_bytes(name).decode()
    if real.startswith("{"):
        value = json.loads(real)
        value.pop("created_at", None)
        assert response.json() == value
    else:
        assert response.text == real


async def test_a_loading_model_is_not_in_memory_until_it_is(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    fake_ollama.add_model("large", load_s=0.3)
    asking = asyncio.create_task(http.post("/api/chat", json=chat("large")))
    await fake_ollama.until(lambda: len(fake_ollama.questions) == 1)
    assert (await http.get("/api/ps")).json() == {"models": []}
    done = lines((await asking).text)[-1]
    assert int(str(done["load_duration"])) >= 300_000_000
    (loaded,) = (await http.get("/api/ps")).json()["models"]
    assert (loaded["name"], loaded["context_length"]) == ("large:latest", 4096)


async def test_one_answer_at_a_time_in_the_order_of_asking(fake_ollama: FakeOllama) -> None:
    client = OllamaClient(fake_ollama.url)
    order: list[int] = []

    async def one(number: int) -> None:
        await ask(client, question(str(number)))
        order.append(number)

    first = fake_ollama.answer(Script(hold_at=0))
    asking = []
    for number in range(5):
        asking.append(asyncio.create_task(one(number)))
        await fake_ollama.until(lambda wanted=number + 1: len(fake_ollama.questions) == wanted)  # type: ignore[misc]
    await first.held.wait()
    first.resume.set()
    await asyncio.gather(*asking)
    assert order == [0, 1, 2, 3, 4]
    assert fake_ollama.engine.most_active == 1
    await client.close()


async def test_another_context_loads_the_model_again(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    for context in (None, None, 2048, 2048, 8192):
        options = {} if context is None else {"num_ctx": context}
        await http.post("/api/chat", json=chat(options=options))
    assert fake_ollama.engine.loads == 3


async def test_an_unload_waits_for_the_answer_under_way(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    script = fake_ollama.answer(Script(hold_at=1))
    asking = asyncio.create_task(http.post("/api/chat", json=chat()))
    await script.held.wait()
    await http.post("/api/chat", json={"model": "hello", "messages": [], "keep_alive": 0})
    assert len((await http.get("/api/ps")).json()["models"]) == 1
    script.resume.set()
    assert lines((await asking).text)[-1]["done"] is True
    assert (await http.get("/api/ps")).json() == {"models": []}


async def test_its_pace_is_kept_on_average_and_stamps_are_fresh(fake_ollama: FakeOllama) -> None:
    client = OllamaClient(fake_ollama.url)
    fake_ollama.answer(Script(count=900, rate=3000, stamp=True))
    started = time.monotonic()
    ages_ms = []
    async for chunk in client.generate_response(question()):
        if text := getattr(chunk, "text", ""):
            ages_ms.append((time.monotonic_ns() - int(text)) / 1e6)
    took = time.monotonic() - started
    await client.close()
    assert len(ages_ms) == 900
    assert 0.29 < took < 0.9
    assert sorted(ages_ms)[450] < 50


async def test_who_leaves_is_recorded_and_frees_the_slot(fake_ollama: FakeOllama, http: httpx.AsyncClient) -> None:
    fake_ollama.answer(Script(count=10_000, rate=1000))
    async with http.stream("POST", "/api/chat", json=chat()) as response:
        await anext(response.aiter_bytes())
    await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1, within_s=1)
    assert fake_ollama.aborted[0].aborted.is_set()
    assert fake_ollama.engine.active == 0


async def test_a_replay_is_exact_to_the_byte_and_keeps_its_time() -> None:
    started = time.monotonic()
    async with Replay("chat-stream-paced", scale=0.3) as server, httpx.AsyncClient(trust_env=False) as http:
        response = await http.post(f"{server.url}/api/chat", json=chat())
    assert response.content == body_bytes("chat-stream-paced")
    assert 0.27 < time.monotonic() - started < 1.5


async def test_a_handler_that_fails_fails_the_test() -> None:
    fake = FakeOllama()
    await fake.listen()
    async with httpx.AsyncClient(base_url=fake.url, trust_env=False) as http:
        with pytest.raises(httpx.TransportError):
            await http.post("/api/show", json={"no": "model"})
    with pytest.raises(KeyError):
        await fake.__aexit__()
