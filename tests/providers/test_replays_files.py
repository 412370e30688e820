"""What a real Ollama was recorded to do with models as files is understood, and its failures are told in words."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from quart_chat.entities import Parameters
from quart_chat.errors import DownloadError, ModelError, ModelLoadError, ModelNotFoundError, ModelRefusedError
from quart_chat.providers.base import PullLine
from quart_chat.providers.ollama import OllamaClient
from tests.doubles.recordings import FOLDER, Replay, body_bytes
from tests.providers.helpers import pulled

NOT_FOR_PEOPLE = re.compile(r"127\.0\.0\.1|https?:|sha256|[{}]|/\w+/|llama-server|tensor")
KINDS = ("pull-*", "load*", "show-*", "ps-*", "tags*", "copy*", "delete*", "create-*", "unload")


def recorded_lines(name: str, exchange: int = 0) -> list[PullLine]:
    """Errors left out."""
    lines = [json.loads(line) for line in body_bytes(name, exchange).decode().split("\n") if line]
    return [PullLine(**line) for line in lines if "error" not in line]


@pytest.mark.parametrize("kind", KINDS)
def test_every_recording_about_models_is_replayed_by_a_test(kind: str) -> None:
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    recorded = [file.stem for file in FOLDER.glob(f"{kind}.json")]
    assert recorded
    assert [name for name in recorded if f'"{name}"' not in tests] == []


@pytest.mark.parametrize("name", ["pull-success", "pull-present", "pull-nonstream", "pull-registry-back"])
async def test_a_whole_download_is_told_line_by_line(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        told = await pulled(client)
        await client.close()
    assert told.error is None
    assert told.lines == recorded_lines(name)
    assert told.lines[-1].status == "success"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("pull-missing", ModelNotFoundError, "new is in no registry"),
        ("pull-missing-nonstream", ModelNotFoundError, "new is in no registry"),
        ("pull-invalid-name", ModelRefusedError, "not the name of a model"),
        ("pull-empty-name", ModelRefusedError, "not the name of a model"),
        ("pull-no-registry", DownloadError, "cannot be reached from Ollama's machine"),
        ("pull-registry-dies", DownloadError, "cannot be reached from Ollama's machine"),
        ("pull-registry-gone", DownloadError, "stopped answering while new was coming"),
        ("pull-damaged", DownloadError, "checksum is wrong. Download it again"),
    ],
)
async def test_a_failed_download_says_why_after_what_came(name: str, error: type[ModelError], words: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        told = await pulled(client)
        await client.close()
    assert type(told.error) is error
    assert words in told.words
    assert NOT_FOR_PEOPLE.search(told.words) is None
    if name != "pull-missing-nonstream" and "name" not in name:
        assert told.lines == recorded_lines(name)


async def test_a_download_that_was_left_goes_on_where_it_stopped() -> None:
    before = recorded_lines("pull-resume")
    async with Replay("pull-resume") as server:
        client = OllamaClient(server.url)
        first = client.pull_model("new")
        assert [await anext(first) for _ in before] == before
        await first.aclose()
        await server.until(lambda: len(server.aborted) == 1, within_s=1)
        again = (await pulled(client)).lines
        await client.close()
    assert again == recorded_lines("pull-resume", 1)
    assert next(line for line in again if line.digest).completed >= before[-1].completed > 0


async def test_two_who_download_the_same_both_see_it() -> None:
    async with Replay("pull-two-clients") as server:
        client = OllamaClient(server.url)
        both = await asyncio.gather(pulled(client), pulled(client))
        await client.close()
    assert [told.error for told in both] == [None, None]
    assert {len(told.lines) for told in both} == {len(recorded_lines("pull-two-clients", n)) for n in (0, 1)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("load-fails", "damaged or does not fit this Ollama. Download it again"),
        ("load-crashes", "damaged or does not fit this Ollama. Download it again"),
        ("load-killed", "memory ran out"),
    ],
)
async def test_a_failed_load_says_why(name: str, words: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        with pytest.raises(ModelLoadError) as caught:
            await client.load_model("hello")
        await client.close()
    assert words in caught.value.message
    assert NOT_FOR_PEOPLE.search(caught.value.message) is None


async def test_a_model_is_deleted_by_a_body_and_answered_by_nothing() -> None:
    async with Replay("delete") as server:
        client = OllamaClient(server.url)
        await client.delete_model("hello-copy")
        await client.close()
    assert [request.body for request in server.requests] == [{"model": "hello-copy"}]


async def test_a_copy_is_answered_by_nothing() -> None:
    async with Replay("copy") as server:
        client = OllamaClient(server.url)
        await client.copy_model("hello", "hello-copy")
        await client.close()
    assert [request.body for request in server.requests] == [{"source": "hello", "destination": "hello-copy"}]


@pytest.mark.parametrize("name", ["delete-missing", "copy-missing"])
async def test_what_is_not_there_cannot_be_deleted_or_copied(name: str) -> None:
    async with Replay(name) as server:
        client = OllamaClient(server.url)
        with pytest.raises(ModelNotFoundError, match="nope is not on this machine"):
            await (client.delete_model("nope") if "delete" in name else client.copy_model("nope", "x"))
        await client.close()


async def test_a_model_is_created_from_another() -> None:
    async with Replay("tags", "show-plain", "create-from") as server:
        client = OllamaClient(server.url)
        await client.create_model(
            "pirate", source="hello", system="You are a pirate.", parameters=Parameters(temperature=0.5, max_tokens=9)
        )
        await client.close()
    assert server.requests[-1].body == {
        "model": "pirate",
        "from": "hello",
        "stream": False,
        "system": "You are a pirate.",
        "parameters": {"temperature": 0.5, "num_predict": 9},
    }


async def test_a_name_that_cannot_be_one_cannot_be_created() -> None:
    async with Replay("tags", "show-plain", "create-from-missing") as server:
        client = OllamaClient(server.url)
        with pytest.raises(ModelRefusedError, match="not the name of a model"):
            await client.create_model("not a name!", source="hello", system="", parameters=Parameters())
        await client.close()
