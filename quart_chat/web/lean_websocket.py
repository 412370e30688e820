"""Quart's WebSocket without what each frame would cost again: an accept that happened, a turn of the loop."""

from __future__ import annotations

from quart.wrappers import Websocket


class LeanWebsocket(Websocket):
    """Whoever sends has called `accept()` before, and waits for something between its frames."""

    async def send(self, data: str | bytes) -> None:
        await self._send(data)
