"""A client of the fake Ollama with short patience."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from quart_chat.providers.ollama import OllamaClient
from tests.doubles.fake_ollama import FakeOllama


@pytest.fixture
async def client(fake_ollama: FakeOllama) -> AsyncIterator[OllamaClient]:
    client = OllamaClient(fake_ollama.url, timeout_s=0.6, stuck_after_s=0.1, backoff_s=0.02)
    yield client
    await client.close()
