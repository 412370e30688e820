"""/api/health answers while the process serves; ready means that a question would be taken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from quart_chat import __version__
from tests.web.conftest import Site


async def asked(site: Site, path: str) -> tuple[int, dict[str, Any]]:
    response = await site.http.get(path)
    return response.status_code, response.json()


async def test_health_is_the_state_of_the_parts(site: Site) -> None:
    status, shape = await asked(site, "/api/health")
    assert (status, shape["status"], shape["version"]) == (200, "healthy", __version__)
    assert shape["checks"] == {"database": "ok", "engine": "connected", "queue": {"running": 0, "waiting": 0}}
    assert shape["timestamp"].endswith("Z")


async def test_without_its_engine_it_is_degraded_but_ready(site: Site) -> None:
    site.fake.misbehave("refused")
    await site.services.library.refresh()
    status, shape = await asked(site, "/api/health")
    assert (status, shape["status"], shape["checks"]["engine"]) == (200, "degraded", "disconnected")
    assert (await asked(site, "/api/health/ready"))[0] == 200


async def test_while_draining_it_is_not_ready(site: Site) -> None:
    assert (await asked(site, "/api/health/ready"))[0] == 200
    site.services.draining = True
    status, shape = await asked(site, "/api/health/ready")
    assert (status, shape["ready"], shape["draining"]) == (503, False, True)
    assert (await asked(site, "/api/health"))[0] == 200


async def test_a_database_that_cannot_be_written_is_not_ready_and_recovers(site: Site) -> None:
    path = site.services.settings.database_path
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, shape = await asked(site, "/api/health/ready")
        assert (status, shape["ready"], shape["database"]) == (503, False, "failing")
        status, shape = await asked(site, "/api/health")
        assert (status, shape["status"]) == (200, "degraded")
        other.execute("ROLLBACK")
    while (await asked(site, "/api/health/ready"))[0] != 200:
        pass
