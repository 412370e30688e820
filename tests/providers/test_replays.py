"""Everything a real Ollama was recorded to say to a chat client is understood as it was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quart_chat.errors import (
    AnswerCutError,
)
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.recordings import FOLDER, Replay, body_bytes
from tests.providers.helpers import ask, question

HELLO = "Hello! I am a tiny model."
ANSWER = "The answer is 42."
THOUGHT = "Let me see: six times seven"
COUNT = " ".join(f"word{n}" for n in range(1, 21))


def recorded(name: str, key: str, exchange: int = 0) -> str:
    """The texts of a recording joined by the plainest means, as a second opinion."""
    lines = [json.loads(line) for line in body_bytes(name, exchange).split(b"\n") if line.strip()]
    return "".join((line.get("message") or {}).get(key) or "" for line in lines)


PLAIN = [
    "chat-stream",
    "chat-stream-paced",
    "chat-nonstream",
    "chat-multi-turn",
    "chat-options",
    "chat-length",
    "chat-logprobs",
    "chat-native-logprobs",
    "chat-native-stream",
    "chat-markdown",
    "chat-unicode",
    "chat-unicode-nonstream",
    "chat-unicode-pieces",
    "format-json",
    "format-json-schema",
    "think-false",
    "think-unsupported-false",
    "tools-not-sent",
    "prompt-too-long-rendered",
    "history-too-long",
    "history-too-long-native",
]


@pytest.mark.parametrize("name", PLAIN)
async def test_a_whole_answer_arrives_letter_by_letter(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert heard.content == recorded(name, "content")
    assert heard.content
    assert heard.thinking == ""
    assert heard.reason == ("length" if name == "chat-length" else "stop")
    assert heard.final.statistics.output_tokens > 0


async def test_the_counts_of_an_answer_are_milliseconds_and_tokens() -> None:
    async with Replay("chat-stream-paced") as server:
        client = OllamaClient(server.url)
        counts = (await ask(client)).final.statistics
        await client.close()
    assert (counts.prompt_tokens, counts.output_tokens) == (10, 61)
    assert (counts.load_ms, counts.prompt_ms, counts.output_ms) == (1, 14, 914)
    assert 66 < counts.tokens_per_s < 67


async def test_unicode_survives_every_way_it_was_sent() -> None:
    for name in ("chat-unicode", "chat-unicode-nonstream", "chat-unicode-pieces"):
        async with Replay(name) as server:
            client = OllamaClient(server.url)
            heard = await ask(client)
            await client.close()
        for piece in (
            "世界! 🦙",
            "👩\u200d💻",
            "NEL\x85after\u2028line\u2029para\xa0<b>bold</b> &",
            "\ufeff 🇩🇪",
        ):
            assert piece in heard.content, name


@pytest.mark.parametrize(
    "name",
    [
        "think-true",
        "think-unset",
        "think-level",
        "think-nonstream",
        "think-native-true",
        "think-native-false",
    ],
)
async def test_thinking_is_kept_apart_from_the_answer_even_unasked(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert (heard.thinking, heard.content, heard.reason) == (THOUGHT, ANSWER, "stop")


async def test_leaked_tags_are_folded_into_thinking() -> None:
    async with Replay("think-false-leaks-tags") as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert (heard.thinking, heard.content) == (THOUGHT, ANSWER)


@pytest.mark.parametrize(
    ("name", "calls"),
    [("tools-rendered", 1), ("tools-native", 1), ("tools-rendered-nonstream", 1), ("tools-two-calls", 2)],
)
async def test_tool_calls_are_read_from_every_line(name: str, calls: int) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert len(heard.tool_calls) == calls
    assert heard.tool_calls[0].name == "get_weather"
    assert heard.tool_calls[0].arguments == {"city": "Paris"}
    assert heard.tool_calls[0].id
    assert heard.reason == "stop"


@pytest.mark.parametrize("name", ["tools-rendered", "tools-native"])
async def test_the_answer_after_a_tool_call_is_plain(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        await ask(client)
        heard = await ask(client)
        await client.close()
    assert heard.content == recorded(name, "content", exchange=1)
    assert not heard.tool_calls


async def test_after_a_crash_asking_again_is_enough() -> None:
    async with Replay("runner-killed-then") as server:
        client = OllamaClient(server.url)
        assert type((await ask(client)).error) is AnswerCutError
        assert [model.name for model in await client.running_models()] == ["slow:latest"]
        assert (await ask(client)).reason == "length"
        await client.close()


async def test_a_slow_load_is_only_silence_until_its_answer() -> None:
    async with Replay("slow-load", scale=0.05) as server:
        client = OllamaClient(server.url, timeout_s=5)
        assert (await ask(client)).content == HELLO
        await client.close()


@pytest.mark.parametrize(("name", "exchange"), [("busy-queue", 0), ("one-slot-two-clients", 0)])
async def test_a_wait_for_a_slot_is_only_silence_until_its_answer(name: str, exchange: int) -> None:
    async with Replay(name, scale=0.05) as server:
        client = OllamaClient(server.url, timeout_s=5)
        heard = await ask(client)
        await client.close()
    assert heard.content == recorded(name, "content", exchange)


async def test_a_client_that_leaves_finds_the_model_well() -> None:
    async with Replay("client-closes") as server:
        client = OllamaClient(server.url)
        stream = client.generate_response(question())
        for _ in range(12):
            await anext(stream)
        await stream.aclose()
        await server.until(lambda: len(server.aborted) == 1)
        assert [model.name for model in await client.running_models()] == ["slow:latest"]
        assert (await ask(client)).reason == "length"
        await client.close()


NOT_FOR_A_CHAT_CLIENT = ("pull-", "create-", "copy", "delete", "embed", "blob-", "v1-")


def test_every_recording_of_a_chat_clients_traffic_is_replayed_here() -> None:
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_replays*.py"))
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    assert len(names) > 100
    elsewhere = {"status", "think-unsupported"}
    missing = [
        name
        for name in names
        if f'"{name}"' not in text and name not in elsewhere and not name.startswith(NOT_FOR_A_CHAT_CLIENT)
    ]
    assert missing == []
