"""One house whose library looks at the engine only when it is told to, and whose downloads lose no time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.library.downloads import Pace
from quart_chat.library.library import Library
from quart_chat.model_entities import Job
from tests.chat.houses import House, open_house
from tests.doubles.fake_ollama import FakeOllama

LONG_POLL_S = 3600.0
QUICK = Pace(stalled_after_s=0.05, retry_after_s=(0.05, 0.05, 0.05), tick_s=0.02, save_every_s=0.05)


class Stock(House):
    """A house, and short words for its library."""

    @property
    def library(self) -> Library:
        return self.services.library

    def pull(self, name: str) -> Job:
        return self.library.pull(name, by=OWNER_ID).job

    def on_board(self, kind: str) -> dict[str, Job]:
        return self.services.hub.board(OWNER_ID).get(kind)

    async def until_job(self, job: Job, condition: Callable[[Job], bool], kind: str = "job") -> Job:
        """The job on the board when it fulfils `condition`."""
        await self.until_board(lambda board: job.id in board.get(kind) and condition(board.get(kind)[job.id]))
        return self.on_board(kind)[job.id]


async def open_stock(data: Path, fake: FakeOllama, pace: Pace = QUICK) -> AsyncIterator[Stock]:
    fake.registry.line_s = 0.01
    async with open_house(data, fake, ollama_poll_s=LONG_POLL_S) as house:
        house.services.library.pulls.pace = pace
        await house.services.library.first_look.wait()
        yield Stock(house.services, fake)


@pytest.fixture
async def stock(tmp_path: Path, fake_ollama: FakeOllama) -> AsyncIterator[Stock]:
    async for house in open_stock(tmp_path, fake_ollama):
        yield house
