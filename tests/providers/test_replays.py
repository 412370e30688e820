"""Everything a real Ollama was recorded to say to a chat client is understood as it was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quart_chat.errors import (
    AnswerCutError,
    EngineBusyError,
    EngineUnavailableError,
    ModelError,
    ModelLoadError,
    ModelNotFoundError,
    ModelRefusedError,
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


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("chat-missing-model", ModelNotFoundError, "hello is not on this machine"),
        ("chat-invalid-name", ModelRefusedError, "not the name of a model"),
        ("chat-empty-name", ModelRefusedError, "not the name of a model"),
        ("chat-no-body", ModelRefusedError, "did not accept"),
        ("chat-malformed-json", ModelRefusedError, "did not accept"),
        ("chat-wrong-type", ModelRefusedError, "did not accept"),
        ("chat-option-type", ModelRefusedError, "temperature"),
        ("chat-stop-type", ModelRefusedError, "stop"),
        ("chat-image-unsupported", ModelRefusedError, "images"),
        ("chat-image-data-uri", ModelRefusedError, "did not accept"),
        ("chat-embedding-model", ModelRefusedError, "hello cannot chat"),
        ("format-invalid", ModelRefusedError, "format"),
        ("keep-alive-invalid", ModelRefusedError, "missing unit"),
        ("think-invalid", ModelRefusedError, "invalid think value"),
        ("tools-unsupported", ModelRefusedError, "hello cannot use tools"),
        ("prompt-too-long-native", ModelRefusedError, "6,629 tokens, it can read 4,096."),
        ("truncate-false-rendered", ModelRefusedError, "7,450 tokens, it can read 4,096."),
        ("truncate-false-native", ModelRefusedError, "7,434 tokens, it can read 4,096."),
        ("prompt-too-long-shift-false", ModelRefusedError, "too long for the model"),
        ("busy-503", EngineBusyError, "too much to do"),
        ("load-fails", ModelLoadError, "Download it again"),
        ("load-crashes", ModelLoadError, "damaged or does not fit"),
        ("load-killed", ModelLoadError, "memory ran out"),
        ("runner-killed-nonstream", ModelError, "crashed while it answered"),
        ("root", ModelError, "does not know this request"),
    ],
)
async def test_a_refusal_says_what_is_wrong_in_words(name: str, error: type[ModelError], words: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url, retries=0)
        heard = await ask(client)
        await client.close()
    assert type(heard.error) is error
    assert words in heard.error.message
    assert '{"' not in heard.error.message
    assert heard.chunks == []


@pytest.mark.parametrize("name", ["chat-repeats-no-done", "chat-repeats-no-done-nonstream"])
async def test_an_end_without_done_is_a_cut_answer(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert heard.content == "ha" * 31
    assert type(heard.error) is AnswerCutError


@pytest.mark.parametrize(("name", "words"), [("runner-killed", "crashed"), ("server-killed", "connection")])
async def test_what_came_before_a_crash_is_kept(name: str, words: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        heard = await ask(client)
        await client.close()
    assert heard.content == COUNT
    assert type(heard.error) is AnswerCutError
    assert words in heard.error.message


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


async def test_tags_are_completed_from_show() -> None:
    async with Replay("tags", "show-native-tools") as server:
        client = OllamaClient(server.url)
        models = {model.name: model for model in await client.list_models()}
        await client.close()
    assert len(models) == 14
    assert "tools" in models["native-tool:latest"].capabilities
    assert models["loop:latest"].size == 2_576_744
    assert models["loop:latest"].context_length == 8192
    assert all(model.digest and model.modified_at and model.family for model in models.values())


async def test_no_models_are_an_empty_list() -> None:
    async with Replay("tags-empty") as server:
        client = OllamaClient(server.url)
        assert await client.list_models() == []
        await client.close()


@pytest.mark.parametrize(
    ("name", "model", "capability"),
    [
        ("show-plain", "hello", "completion"),
        ("show-thinking", "think", "thinking"),
        ("show-tools", "tool", "tools"),
        ("show-embedding", "embed", "embedding"),
        ("show-native", "native", "completion"),
        ("show-native-tools", "native-tool", "tools"),
        ("show-native-thinking", "native-think", "thinking"),
    ],
)
async def test_show_tells_abilities_and_context(name: str, model: str, capability: str) -> None:
    async with Replay("tags", name) as server:
        client = OllamaClient(server.url)
        info = await client.get_model_info(model)
        await client.close()
    assert info.name == f"{model}:latest"
    assert capability in info.capabilities
    assert info.context_length == 8192
    assert info.chats is (capability != "embedding")
    assert info.thinks is (capability == "thinking")
    assert info.template


async def test_show_of_a_missing_model_is_not_found() -> None:
    async with Replay("tags-empty", "show-missing") as server:
        client = OllamaClient(server.url)
        with pytest.raises(ModelNotFoundError):
            await client.get_model_info("nope")
        await client.close()


async def test_ps_tells_what_is_in_memory() -> None:
    for name, count, forever in (
        ("ps-empty", 0, False),
        ("ps-loaded", 1, False),
        ("ps-keep-alive-forever", 1, True),
    ):
        async with Replay(name) as server:
            client = OllamaClient(server.url)
            loaded = await client.running_models()
            await client.close()
        assert len(loaded) == count
        for model in loaded:
            assert (model.name, model.size_vram, model.context_length) == ("hello:latest", 0, 4096)
            assert model.forever is forever


async def test_a_model_is_loaded_used_and_unloaded() -> None:
    async with Replay("load-unload-flow") as server:
        client = OllamaClient(server.url)
        assert await client.running_models() == []
        assert await client.load_model("hello", keep_alive=-1) >= 0
        assert (await client.running_models())[0].forever
        assert (await ask(client)).content == HELLO
        assert len(await client.running_models()) == 1
        await client.unload_model("hello")
        assert await client.running_models() == []
        await client.unload_model("hello")
        await client.close()
    assert [request.body.get("keep_alive") for request in server.seen_chats()] == [-1, None, 0, 0]


@pytest.mark.parametrize("name", ["load", "slow-load-preload"])
async def test_a_load_is_timed_by_ourselves(name: str) -> None:
    async with Replay(name, scale=0.05) as server:
        client = OllamaClient(server.url)
        assert 10 <= await client.load_model("hello") < 3000
        await client.close()


async def test_a_load_that_somebody_else_aborted_is_only_a_longer_wait() -> None:
    async with Replay("load-aborted", scale=0.05) as server:
        server.skip("POST", "/api/chat")
        client = OllamaClient(server.url)
        assert (await ask(client)).content == HELLO
        await client.close()


async def test_a_reload_with_another_context_is_an_answer_like_any() -> None:
    async with Replay("reload-num-ctx", scale=0.02) as server:
        client = OllamaClient(server.url)
        before = await client.running_models()
        assert (await ask(client)).content == HELLO
        await client.close()
    assert before[0].context_length == 4096


async def test_unload_is_understood() -> None:
    async with Replay("unload") as server:
        client = OllamaClient(server.url)
        await client.unload_model("hello")
        await client.close()


async def test_the_version_may_have_a_suffix() -> None:
    async with Replay("version") as server:
        client = OllamaClient(server.url)
        assert await client.version() == "0.33.0-rc2"
        await client.close()


@pytest.mark.parametrize("name", ["foreign-host", "foreign-origin"])
async def test_an_empty_403_says_that_our_address_was_refused(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        with pytest.raises(EngineUnavailableError, match="refused our request"):
            await client.list_models()
        await client.close()


@pytest.mark.parametrize("name", ["unknown-path", "wrong-method"])
async def test_a_404_or_405_in_plain_text_means_an_older_ollama(name: str) -> None:
    async with Replay(name) as server:
        server.same_for_all(name)
        client = OllamaClient(server.url)
        with pytest.raises(ModelError, match="older Ollama") as caught:
            await client.version()
        await client.close()
    assert type(caught.value) is ModelError
    assert not caught.value.retry


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
    text = Path(__file__).read_text("utf-8")
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    assert len(names) > 100
    elsewhere = {"status", "think-unsupported"}
    missing = [
        name
        for name in names
        if f'"{name}"' not in text and name not in elsewhere and not name.startswith(NOT_FOR_A_CHAT_CLIENT)
    ]
    assert missing == []
