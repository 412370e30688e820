"""A server process with a tiny app in place of the product, to test quart_chat.server on its own.

/ws/room echoes; /ws/flood writes as fast as its reader takes it.
STANDIN_HANGS names a method that never ends.
"""

from __future__ import annotations

import asyncio
import os
import sys

from quart import Quart, websocket

from quart_chat.config import Settings, load_settings
from quart_chat.server import serve


async def hang_if_asked(method: str) -> None:
    if os.environ.get("STANDIN_HANGS") == method:
        await asyncio.Event().wait()


class StandinServices:
    """Says on stdout what the server asked of it."""

    def __init__(self) -> None:
        self.rooms: set[object] = set()

    async def start(self) -> None:
        print("started", flush=True)

    async def engine_summary(self) -> str:
        await hang_if_asked("engine_summary")
        return "Ollama 0.0.0 at http://example.test, 3 models"

    async def drain(self) -> None:
        await hang_if_asked("drain")
        closing = [asyncio.ensure_future(room.close(1012, "restart")) for room in self.rooms]
        if closing:
            await asyncio.wait(closing, timeout=1.5)

    async def close(self) -> None:
        await hang_if_asked("close")
        print("closed", flush=True)


def build(settings: Settings) -> tuple[StandinServices, Quart]:
    services = StandinServices()
    app = Quart("standin")

    @app.get("/")
    async def index() -> str:
        return "here"

    @app.websocket("/ws/room")
    async def room() -> None:
        socket = websocket._get_current_object()
        services.rooms.add(socket)
        try:
            while True:
                await websocket.send(await websocket.receive())
        finally:
            services.rooms.discard(socket)

    @app.websocket("/ws/flood")
    async def flood() -> None:
        socket = websocket._get_current_object()
        services.rooms.add(socket)
        try:
            while True:
                await websocket.send("x" * 60_000)
        finally:
            services.rooms.discard(socket)

    return services, app


if __name__ == "__main__":
    sys.exit(serve(load_settings(os.environ), build=build))
