"""`/api/health`: that the process serves, and how its parts are."""

from __future__ import annotations

import asyncio
import time

from quart import Blueprint, Response

from quart_chat import __version__
from quart_chat.entities import now_ms
from quart_chat.errors import StorageError
from quart_chat.web.current import services
from quart_chat.web.responses import json_response
from quart_chat.web.times import rfc3339

STARTED = time.monotonic()
PROBE_S = 2.0
"""A database that takes longer, because another program locks it for example, counts as failing."""

blueprint = Blueprint("api_health", __name__)


@blueprint.get("/api/health")
async def health() -> Response:
    """200 while the process serves; `degraded` while the engine or the database cannot be used."""
    database = await _database()
    engine = services().library.engine.status
    queue = services().queue
    healthy = database == "ok" and engine == "connected"
    shape = {
        "status": "healthy" if healthy else "degraded",
        "timestamp": rfc3339(now_ms()),
        "version": __version__,
        "uptime_s": round(time.monotonic() - STARTED, 1),
        "checks": {
            "database": database,
            "engine": engine,
            "queue": {"running": queue.running, "waiting": queue.waiting},
        },
    }
    return json_response(shape)


@blueprint.get("/api/health/ready")
async def ready() -> Response:
    """503 while the server drains or its database can not be read or written."""
    draining = services().draining
    database = await _database()
    is_ready = database == "ok" and not draining
    return json_response({"ready": is_ready, "draining": draining, "database": database}, 200 if is_ready else 503)


async def _database() -> str:
    try:
        async with asyncio.timeout(PROBE_S):
            await services().storage.probe()
    except (StorageError, TimeoutError):
        return "failing"
    return "ok"
