"""What every test may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.doubles.fake_ollama import FakeOllama


@pytest.fixture
async def fake_ollama() -> AsyncIterator[FakeOllama]:
    async with FakeOllama() as fake:
        yield fake
