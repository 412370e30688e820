"""A download is told as it goes, stops when it is left, and ends well or in words for a person."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import pytest

from quart_chat.errors import (
    DownloadError,
    EngineUnavailableError,
    ModelError,
    ModelNotFoundError,
    ModelRefusedError,
    ModelTimeoutError,
)
from quart_chat.providers.base import PullLine
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.ollama_http import SPARE
from quart_chat.providers.ollama_pull_errors import create_error, plain_status, pull_error
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.registry import TROUBLES
from tests.doubles.wire import Reply, Request, WireServer
from tests.providers.helpers import pulled

LAYERS = [("weights", 2_000_000), ("projector", 500_000)]
OUTCOMES: dict[str, tuple[type[ModelError] | None, str]] = {
    "": (None, ""),
    "stall": (None, ""),
    "falling": (None, ""),
    "registry_gone": (DownloadError, "cannot be reached"),
    "too_old": (ModelRefusedError, "new needs a newer Ollama"),
    "registry_dies": (DownloadError, "stopped answering"),
    "silent": (ModelTimeoutError, "said nothing about the download of new"),
    "disk_full": (DownloadError, "disk of Ollama's machine is full"),
    "digest_mismatch": (DownloadError, "checksum is wrong"),
}


@pytest.fixture(autouse=True)
def quick(fake_ollama: FakeOllama) -> None:
    fake_ollama.registry.line_s = 0.01


class TestADownload:
    async def test_is_there_when_it_has_ended(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.offer("new", LAYERS, rate=20_000_000)
        told = await pulled(client)
        assert told.error is None
        assert [line.status for line in told.lines[-3:]] == ["verifying sha256 digest", "writing manifest", "success"]
        assert "new:latest" in [model.name for model in await client.list_models()]
        assert [request.body for request in fake_ollama.seen("/api/pull")] == [{"model": "new", "stream": True}]

    async def test_that_was_read_to_its_end_leaves_its_connection_to_the_next(self, fake_ollama: FakeOllama) -> None:
        fake_ollama.offer("new", LAYERS)
        client = OllamaClient(fake_ollama.url)
        for _ in range(3):
            assert (await pulled(client)).error is None
        assert fake_ollama.accepted == 1
        await client.close()

    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_that_has_trouble_ends_in_its_error_and_the_next_is_well(
        self, trouble: str, fake_ollama: FakeOllama
    ) -> None:
        error, words = OUTCOMES[trouble]
        client = OllamaClient(fake_ollama.url, pull_silence_s=0.2)
        offer = fake_ollama.offer("new", LAYERS, rate=20_000_000, trouble=trouble, trouble_s=0.05)
        told = await pulled(client)
        assert type(told.error) is (error or type(None))
        assert words in told.words
        offer.trouble = ""
        assert (await pulled(client)).error is None
        await client.close()

    async def test_may_take_its_time_to_be_verified_and_between_reads(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url, pull_silence_s=0.1)
        fake_ollama.offer("new", LAYERS, verify_s=0.5)
        stream = client.pull_model("new")
        await anext(stream)
        await asyncio.sleep(0.2)
        assert [line.status async for line in stream][-1] == "success"
        await client.close()

    async def test_of_what_no_registry_has_is_not_found(self, client: OllamaClient) -> None:
        told = await pulled(client, "nope")
        assert type(told.error) is ModelNotFoundError
        assert "nope is in no registry" in told.words

    async def test_without_a_name_is_not_asked_for(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        assert type((await pulled(client, " ")).error) is ModelRefusedError
        assert fake_ollama.requests == []


class TestLeaving:
    @pytest.mark.parametrize("how", ["aclose", "cancel"])
    async def test_in_the_middle_stops_it_and_keeps_what_came(
        self, how: str, fake_ollama: FakeOllama, client: OllamaClient
    ) -> None:
        hold = fake_ollama.offer("new", LAYERS).hold(at=1_000_000)
        stream = client.pull_model("new")
        async with asyncio.timeout(1):
            await anext(stream)
            await hold.held.wait()
            if how == "aclose":
                await stream.aclose()
            else:
                reading = asyncio.ensure_future(_all(stream))
                await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait({reading})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert list(fake_ollama.registry.disk.values()) == [1_000_000]
        hold.resume.set()
        assert (await pulled(client)).error is None

    async def test_before_it_began_closes_the_connection(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave("hang_before_headers", path="/api/pull")
        pulling = asyncio.create_task(pulled(client))
        async with asyncio.timeout(1):
            await fake_ollama.until(lambda: len(fake_ollama.seen("/api/pull")) == 1)
            pulling.cancel()
            await asyncio.wait({pulling})
            await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1)
        assert pulling.cancelled()

    async def test_in_any_moment_leaves_nothing_behind(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url)
        fake_ollama.offer("new", LAYERS)
        for steps in range(60):
            pulling = asyncio.create_task(pulled(client))
            for _ in range(steps):
                await asyncio.sleep(0)
            pulling.cancel()
            if steps % 2:
                await asyncio.sleep(0)
                pulling.cancel()
            await asyncio.wait({pulling})
        assert (await pulled(client)).error is None
        await fake_ollama.until(lambda: len(fake_ollama.connections) <= SPARE, within_s=1)
        await client.close()
        await fake_ollama.until(lambda: not fake_ollama.connections, within_s=1)


class TestAnEngineThatFails:
    async def test_in_the_middle_says_that_it_can_go_on(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        hold = fake_ollama.offer("new", LAYERS).hold(at=1_000_000)
        pulling = asyncio.create_task(pulled(client))
        async with asyncio.timeout(2):
            await hold.held.wait()
            fake_ollama.misbehave("restart")
            told = await pulling
        assert type(told.error) is DownloadError
        assert told.words.startswith("The connection to Ollama broke while new was coming.")
        assert "goes on where it stopped" in told.words
        assert told.error.retry

    async def test_that_is_not_there_is_unavailable(self, fake_ollama: FakeOllama, client: OllamaClient) -> None:
        fake_ollama.misbehave("refused")
        assert isinstance((await pulled(client)).error, EngineUnavailableError)

    async def test_before_a_word_is_given_up_in_time(self, fake_ollama: FakeOllama) -> None:
        client = OllamaClient(fake_ollama.url, pull_silence_s=0.1)
        fake_ollama.misbehave("hang_before_headers", path="/api/pull")
        assert type((await pulled(client)).error) is ModelTimeoutError
        await fake_ollama.until(lambda: len(fake_ollama.aborted) == 1, within_s=1)
        await client.close()

    @pytest.mark.parametrize(
        ("body", "lines", "words"),
        [
            (b'{"status":"pulling manifest"}\n', 1, "broke off before it was whole"),
            (b"", 0, "broke off before it was whole"),
            (b'{"status":"pulling manifest"}\n<html>\n', 1, "sent something else"),
            (b'{"status":["no","text"]}\n', 0, "sent something else"),
            (b'{"status":"pulling manifest"}\n{"error":{"message":"EOF"}}\n', 1, "cannot be reached"),
        ],
    )
    async def test_without_success_is_a_failed_download(self, body: bytes, lines: int, words: str) -> None:
        async def handler(request: Request, reply: Reply) -> None:
            reply.stream()
            await reply.part(body or b"\n")
            reply.end()

        async with WireServer(handler) as server:
            client = OllamaClient(server.url)
            told = await pulled(client)
            await client.close()
        assert type(told.error) is DownloadError
        assert words in told.words
        assert len(told.lines) == lines


async def _all(stream: AsyncGenerator[PullLine, None]) -> list[PullLine]:
    return [line async for line in stream]


REGISTRY = "pull model manifest: "
PATHS = re.compile(r"/\w+/|https?:|\\")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (REGISTRY + "404: not found", ModelNotFoundError, "in no registry"),
        (REGISTRY + '401: {"error":"Invalid username or password."}', ModelRefusedError, "sign in"),
        (REGISTRY + "unauthorized: access denied", ModelRefusedError, "sign in"),
        (
            REGISTRY + '400: {"error":"The specified tag is not a valid quantization scheme."}',
            ModelRefusedError,
            "The registry does not give new. It says: The specified tag is not a valid quantization scheme.",
        ),
        (REGISTRY + "429: slow down", DownloadError, "too many requests"),
        (REGISTRY + "503: <html>", DownloadError, "fault of its own"),
        (REGISTRY + 'Get "https://r.io/v2/": net/http: TLS handshake timeout', DownloadError, "cannot be reached"),
        (REGISTRY + 'Get "https://r.io/v2/": context deadline exceeded', DownloadError, "cannot be reached"),
        (REGISTRY + "server gave HTTP response to HTTPS client", ModelRefusedError, "no https"),
        ("max retries exceeded: unexpected EOF", DownloadError, "stopped answering"),
        ("max retries exceeded: write /a/b: no space left on device", DownloadError, "is full"),
        ("write C:\\models\\x: There is not enough space on the disk.", DownloadError, "is full"),
        ("open /usr/share/ollama/.ollama/models/blobs/x: permission denied", DownloadError, "may not write"),
        ("something else in /usr/share/ollama/.ollama/models", DownloadError, "new could not be downloaded."),
        ("something else", DownloadError, "new could not be downloaded. Ollama says: something else"),
    ],
)
def test_an_error_of_a_download_is_in_words_and_names_no_path(text: str, error: type[ModelError], words: str) -> None:
    told = pull_error(text, "new")
    assert type(told) is error
    assert words in told.message
    assert PATHS.search(told.message) is None


def test_an_error_of_a_new_model_is_in_words() -> None:
    assert type(create_error("write /a/b: no space left on device", "mine")) is DownloadError
    assert create_error("unknown parameter 'x'", "mine").message == (
        "mine could not be created. Ollama says: unknown parameter 'x'"
    )


def test_a_status_names_no_path() -> None:
    assert plain_status("pulling 2e11972b8f8f") == "pulling 2e11972b8f8f"
    assert (
        plain_status("couldn't remove unused layers: open /usr/share/ollama/.ollama/x")
        == "couldn't remove unused layers"
    )
