"""However the engine fails, the right error comes in time, and what had come before is kept."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from quart_chat.errors import (
    AnswerCutError,
    EngineBusyError,
    EngineUnavailableError,
    ModelError,
    ModelLoadError,
    ModelNotFoundError,
    ModelTimeoutError,
)
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.misbehaviour import HUGE_BYTES, MISBEHAVIOURS
from tests.doubles.script import HELLO, Script, split
from tests.doubles.wire import Reply, Request, WireServer
from tests.providers.helpers import Heard, ask, question

BEGINNING = "".join(split(HELLO)[:3])
OUTCOMES: dict[str, tuple[type[ModelError] | None, str]] = {
    "404": (ModelNotFoundError, ""),
    "500": (ModelLoadError, ""),
    "503": (EngineBusyError, ""),
    "hang_before_headers": (ModelTimeoutError, ""),
    "hang_mid_stream": (ModelTimeoutError, BEGINNING),
    "cut_mid_line": (AnswerCutError, BEGINNING),
    "cut_without_done": (AnswerCutError, BEGINNING),
    "in_band_error": (AnswerCutError, BEGINNING),
    "garbage": (AnswerCutError, BEGINNING),
    "wrong_types": (AnswerCutError, BEGINNING),
    "empty": (AnswerCutError, ""),
    "huge_line": (AnswerCutError, BEGINNING),
    "slow_drip": (None, "Hello…"),
}


def test_every_misbehaviour_has_an_expected_outcome() -> None:
    assert set(OUTCOMES) == set(MISBEHAVIOURS)


@pytest.mark.parametrize("mode", OUTCOMES)
async def test_a_misbehaviour_ends_in_its_error_and_the_next_answer_is_well(
    mode: str, fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    error, content = OUTCOMES[mode]
    fake_ollama.misbehave(mode, times=4 if mode == "503" else 2 if mode == "hang_before_headers" else 1)
    async with asyncio.timeout(3):
        heard = await ask(client)
    assert type(heard.error) is (error or type(None))
    assert heard.content == content
    async with asyncio.timeout(3):
        assert (await ask(client)).content == HELLO


async def test_nobody_listening_is_told_with_the_address(fake_ollama: FakeOllama, client: OllamaClient) -> None:
    fake_ollama.misbehave("refused")
    heard = await ask(client)
    assert isinstance(heard.error, EngineUnavailableError)
    assert heard.error.message == f"Ollama is not answering at {fake_ollama.url}."
    for call in (client.version, client.list_models, client.running_models):
        with pytest.raises(EngineUnavailableError):
            await call()
    with pytest.raises(EngineUnavailableError):
        await client.load_model("hello")
    await fake_ollama.listen()
    assert (await ask(client)).content == HELLO


async def test_a_restart_in_the_middle_cuts_the_answer(fake_ollama: FakeOllama, client: OllamaClient) -> None:
    script = fake_ollama.answer(Script(hold_at=2))
    asking = asyncio.create_task(ask(client))
    async with asyncio.timeout(3):
        await script.held.wait()
        fake_ollama.misbehave("restart")
        heard = await asking
        assert type(heard.error) is AnswerCutError
        assert heard.content == "".join(split(HELLO)[:2])
        assert await client.running_models() == []
        assert (await ask(client)).content == HELLO


async def test_a_restart_before_the_answer_is_an_unavailable_engine(
    fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    fake_ollama.add_model("large", load_s=30)
    asking = asyncio.create_task(ask(client, question(model="large")))
    async with asyncio.timeout(3):
        await fake_ollama.until(lambda: len(fake_ollama.questions) == 1)
        fake_ollama.misbehave("restart")
        assert type((await asking).error) is EngineUnavailableError


async def test_a_huge_line_costs_little_memory(fake_ollama: FakeOllama, client: OllamaClient) -> None:
    fake_ollama.misbehave("huge_line")
    tracemalloc.start()
    try:
        heard = await ask(client)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert type(heard.error) is AnswerCutError
    assert peak < HUGE_BYTES / 6


@pytest.mark.parametrize("token", ["word ", ""])
async def test_an_answer_may_take_longer_than_any_silence_may(token: str, fake_ollama: FakeOllama) -> None:
    client = OllamaClient(fake_ollama.url, timeout_s=0.25)
    fake_ollama.answer(Script(tokens=[token] * 6 + ["end"], rate=15))
    heard = await ask(client)
    assert heard.content == token * 6 + "end"
    assert heard.reason == "stop"
    await client.close()


async def test_a_slow_reader_is_not_the_engines_fault(fake_ollama: FakeOllama) -> None:
    client = OllamaClient(fake_ollama.url, timeout_s=0.1)
    texts: list[object] = []
    async for chunk in client.generate_response(question()):
        if not texts:
            await asyncio.sleep(0.2)
        texts.append(chunk)
    assert len(texts) == len(split(HELLO)) + 1
    await client.close()


@pytest.mark.parametrize("mode", ["cut_without_done", "cut_mid_line", "in_band_error", "garbage", None])
async def test_what_could_have_become_a_tag_is_not_lost(
    mode: str | None, fake_ollama: FakeOllama, client: OllamaClient
) -> None:
    fake_ollama.answer(Script(tokens=[" <", "thi"]))
    if mode is not None:
        fake_ollama.misbehave(mode)
    heard = await ask(client)
    assert heard.content == " <thi"
    assert (heard.error is None) is (mode is None)


async def test_an_error_as_the_first_line_is_told_like_an_error_status() -> None:
    """Older servers begin every stream with 200."""

    async def handler(request: Request, reply: Reply) -> None:
        reply.stream()
        await reply.part(b'{"error":"model requires more system memory (9 GiB) than is available"}\n')
        reply.end()

    async with WireServer(handler) as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert type(heard.error) is ModelLoadError
    assert "not enough memory for hello" in heard.error.message


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"models":[{"size":"big"}]}', b"\xff"])
async def test_an_engine_that_is_something_else_is_told_so(body: bytes) -> None:
    async def other(request: Request, reply: Reply) -> None:
        reply.whole(200, "text/html", body)

    async with WireServer(other) as server:
        client = OllamaClient(server.url)
        for call in (client.version, client.list_models, client.running_models):
            with pytest.raises(ModelError, match="does not speak like Ollama"):
                await call()
        assert type((await ask(client)).error) is AnswerCutError
        await client.close()


async def test_no_internal_word_reaches_a_person(fake_ollama: FakeOllama, client: OllamaClient) -> None:
    for mode in ("500", "cut_mid_line", "garbage", "wrong_types", "in_band_error"):
        fake_ollama.misbehave(mode)
        heard: Heard = await ask(client)
        assert heard.error is not None
        for word in ("httpx", "Error", "Traceback", "{", "peer", "JSON", "unexpected EOF"):
            assert word not in heard.error.message, mode
