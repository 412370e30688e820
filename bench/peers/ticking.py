"""The product with a clock in its event loop: `GET /bench/stall` tells the longest time for which it stood still."""

from __future__ import annotations

import os
import sys

from quart import Response, jsonify

from bench.ticker import Ticker
from quart_chat.app import create_app
from quart_chat.config import Settings, load_settings
from quart_chat.server import serve
from quart_chat.services import Services, build_services


class Ticking:
    """The product's services, ticking from start to close."""

    def __init__(self, services: Services, ticker: Ticker) -> None:
        self._services = services
        self._ticker = ticker
        self.drain = services.drain
        self.engine_summary = services.engine_summary

    async def start(self) -> None:
        await self._services.start()
        self._ticker.start()

    async def close(self) -> None:
        await self._ticker.stop()
        await self._services.close()


def build(settings: Settings) -> tuple[Ticking, object]:
    services = build_services(settings)
    ticker = Ticker()
    app = create_app(services)

    @app.get("/bench/stall")
    async def stall() -> Response:
        """Milliseconds; counted anew from here."""
        return jsonify(ticker.take_ms())

    return Ticking(services, ticker), app


if __name__ == "__main__":
    sys.exit(serve(load_settings(os.environ), build=build))  # type: ignore[arg-type]
