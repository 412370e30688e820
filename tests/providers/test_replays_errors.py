"""Every way in which a real Ollama was recorded to fail becomes the right error, in words."""

from __future__ import annotations

import pytest

from quart_chat.errors import (
    AnswerCutError,
    EngineBusyError,
    ModelError,
    ModelLoadError,
    ModelNotFoundError,
    ModelRefusedError,
)
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.ollama_errors import UnknownRequestError
from tests.doubles.recordings import Replay
from tests.providers.helpers import ask

COUNT = " ".join(f"word{n}" for n in range(1, 21))


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
        ("root", UnknownRequestError, "does not know this request"),
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
