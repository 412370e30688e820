"""Short words for downloads that stand still where a test wants them to."""

from __future__ import annotations

from typing import Any

from tests.doubles.registry import Hold, Offer
from tests.web.conftest import Json, Site

NEW = "new:1b"
"""Not in the catalogue, so that nobody knows its size before the registry says it."""
WHOLE = 2_000_000
HALF = WHOLE // 2
PULL = "/api/providers/ollama/pull"


def offered(site: Site, name: str = NEW, **more: Any) -> Offer:
    site.fake.registry.line_s = 0.005
    return site.fake.offer(name, [(f"{name} weights", WHOLE)], rate=50e6, **more)


def held(site: Site, name: str = NEW, **more: Any) -> Hold:
    """It comes to half of its bytes and stands there."""
    return offered(site, name, **more).hold(at=HALF)


async def begun(site: Site, name: str = NEW) -> Json:
    """The job of a download that has been asked for and is not waited for."""
    response = await site.http.post(PULL, json={"model": name, "stream": True})
    assert response.status_code == 202, response.text
    job: Json = response.json()["job"]
    return job


async def at_half(site: Site, job_id: str) -> None:
    """The board says where a held one stands."""
    await site.until_board(lambda board: board.get("job")[job_id].completed == HALF)


async def job(site: Site, job_id: str) -> Json:
    shape: Json = (await site.http.get(f"/api/jobs/{job_id}")).json()["job"]
    return shape


async def ended(site: Site, job_id: str) -> Json:
    """The job when it has come to its end."""
    await site.until_board(lambda board: board.get("job")[job_id].ended)
    return await job(site, job_id)
