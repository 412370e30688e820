"""What a client may say on its socket: hello, ack, message, stop, typing, ping. A bad frame is answered, not fatal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from quart import websocket

from quart_chat.errors import QuartChatError
from quart_chat.live.revisions import Cursor, parse_cursor
from quart_chat.live.session import SessionDocument
from quart_chat.live.viewer import Viewer
from quart_chat.services import Services
from quart_chat.web.current import address, user_id, web
from quart_chat.web.frames import body, error_frame

logger = logging.getLogger(__name__)

FLOODING = 1008
LEFT = 1000
RATE_PER_S, BURST = 20, 40


class Said(msgspec.Struct):
    """`after` is a cursor of ours; a page sends the parts of one, as it keeps a revision per document."""

    type: Literal["hello", "ack", "message", "stop", "typing", "ping"]
    payload: dict[str, Any] = {}


class Inbox:
    """Reads until the client leaves; `read` returns the close code."""

    def __init__(
        self,
        services: Services,
        viewer: Viewer,
        document: SessionDocument | None,
        hello: Callable[[Cursor | None], None],
    ) -> None:
        self._services = services
        self._viewer = viewer
        self._document = document
        self._hello = hello
        self._decoder = msgspec.json.Decoder(Said)
        self._allowance = float(BURST)
        self._last = time.monotonic()

    async def read(self) -> int:
        while True:
            data = await websocket.receive()
            if not self._within_rate():
                self._viewer.notify(error_frame("Too many messages at once.", "RATE_LIMIT"))
                return FLOODING
            await self._take(data)

    async def _take(self, data: str | bytes | None) -> None:
        try:
            said = self._decoder.decode(data or b"")
        except msgspec.MsgspecError:
            self._viewer.notify(error_frame("This frame could not be read.", "INVALID_INPUT"))
            return
        try:
            await self._act(said)
        except QuartChatError as error:
            self._viewer.notify(error_frame(error.message, error.code, retry=error.retry))

    async def _act(self, said: Said) -> None:
        payload = said.payload
        match said.type:
            case "hello":
                self._hello(parse_cursor(_text(payload, "after")))
            case "ack":
                count = payload.get("count")
                if isinstance(count, int) and count > 0:
                    self._viewer.acknowledge(count)
            case "message":
                web().limits.count_request(self._viewer.person, address())
                await self._send_message(payload)
            case "stop":
                await self._services.chat.stop(_text(payload, "generation_id"), user_id())
            case "ping":
                self._viewer.notify(body("status", {"event": "pong"}, content=""))
            case "typing":
                pass

    async def _send_message(self, payload: dict[str, Any]) -> None:
        if self._document is None:
            self._viewer.notify(error_frame("Open a session to write in it.", "INVALID_INPUT"))
            return
        await self._services.chat.send_message(
            self._document.session.id,
            user_id(),
            _text(payload, "content"),
            person=self._viewer.person,
            client_id=_text(payload, "client_id") or None,
            model=_text(payload, "model") or None,
        )

    def _within_rate(self) -> bool:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._last) * RATE_PER_S) - 1
        self._last = now
        return self._allowance >= 0


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name, "")
    return value if isinstance(value, str) else ""
