"""The product with one route more: how many tasks its loop has."""

from __future__ import annotations

import asyncio
import os
import sys

from hypercorn.typing import ASGIFramework
from quart import Quart

from quart_chat.config import Settings, load_settings
from quart_chat.server import Servable, build_product, serve

COMMAND = (sys.executable, "-m", "tests.reliability.watched")


def build(settings: Settings) -> tuple[Servable, ASGIFramework]:
    services, app = build_product(settings)
    assert isinstance(app, Quart)

    @app.get("/tasks")
    async def tasks() -> str:
        return str(len(asyncio.all_tasks()))

    return services, app


if __name__ == "__main__":
    sys.exit(serve(load_settings(os.environ), build=build))
