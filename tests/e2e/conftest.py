"""What browser tests may ask for: one Chromium for all of them, a stage for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.browser import Chromium, chromium
from tests.e2e.stage import Stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def empty_stage(browser: Chromium, tmp_path: Path) -> AsyncIterator[Stage]:
    """With the fake engine; the product is not started yet."""
    async with Stage(browser, tmp_path) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(empty_stage: Stage) -> Stage:
    """With the product running in front of the fake engine."""
    await empty_stage.start()
    return empty_stage


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def impatient_product(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(browser, tmp_path_factory.mktemp("failing")) as stage:
        await stage.start(OLLAMA_TIMEOUT="1", OLLAMA_RETRIES="1")
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def failing_stage(impatient_product: Stage) -> AsyncIterator[Stage]:
    """One product for many failures, impatient: a token within a second, one retry."""
    yield impatient_product
    await impatient_product.clear()
