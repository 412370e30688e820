"""What browser tests may ask for: one Chromium for all of them, a stage for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.e2e.browser import Chromium, chromium
from tests.e2e.stage import Stage


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def stage(browser: Chromium, tmp_path: Path) -> AsyncIterator[Stage]:
    """With the product running in front of the fake engine."""
    async with Stage(browser, tmp_path) as stage:
        await stage.start()
        yield stage
