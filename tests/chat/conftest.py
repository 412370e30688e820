"""One house for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chat.houses import House, open_house
from tests.doubles.fake_ollama import FakeOllama


@pytest.fixture
async def house(tmp_path: Path, fake_ollama: FakeOllama) -> AsyncIterator[House]:
    async with open_house(tmp_path, fake_ollama) as house:
        yield house
