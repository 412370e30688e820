"""Recorded Ollama traffic, played back byte for byte by a server on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from tests.doubles.wire import Reply, Request, WireServer

FOLDER = Path(__file__).parent.parent / "data" / "ollama"


def scenario(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def exchanges(name: str) -> list[dict[str, Any]]:
    recorded = scenario(name)
    single = {"request": recorded.get("request"), "response": recorded.get("response")}
    return recorded.get("exchanges") or [single]


def chunk_bytes(chunk: Any) -> bytes:
    return base64.b64decode(chunk["b64"]) if isinstance(chunk, dict) else str(chunk).encode()


def body_bytes(name: str, exchange: int = 0) -> bytes:
    return b"".join(chunk_bytes(chunk) for _, chunk in exchanges(name)[exchange]["response"]["chunks"])


async def play(response: dict[str, Any], reply: Reply, *, scale: float = 0.0) -> None:
    """`scale` 1: at the recorded pace; 0: as fast as the socket takes it."""
    started = asyncio.get_running_loop().time()
    if response["status"] is None:
        await asyncio.Event().wait()
    await _until(started, (response["headers_ms"] or 0) * scale)
    reply.head(response["status"], [tuple(pair) for pair in response["headers"]], response["reason"])
    for at_ms, chunk in response["chunks"]:
        await _until(started, at_ms * scale)
        await reply.part(chunk_bytes(chunk))
    if response["ended"] == "eof":
        reply.end()
    elif response["ended"] == "reset":
        reply.break_off()
    else:
        await asyncio.Event().wait()


class Replay(WireServer):
    """Answers each path with the recorded replies to it, in order, the last one for ever.

    Several scenarios may be given: `Replay("tags", "show-native-tools")`. A path nobody recorded is a 404 as
    Ollama gives it.
    """

    def __init__(self, *names: str, scale: float = 0.0) -> None:
        super().__init__(self._answer)
        self._scale = scale
        self._for_all: dict[str, Any] | None = None
        self._recorded: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for name in names:
            for exchange in exchanges(name):
                key = (exchange["request"]["method"], exchange["request"]["path"])
                self._recorded.setdefault(key, []).append(exchange["response"])

    def skip(self, method: str, path: str) -> None:
        """Leaves out the next recorded reply."""
        self._recorded[method, path].pop(0)

    def same_for_all(self, name: str) -> None:
        """Every path is answered with the first reply of that scenario."""
        self._for_all = exchanges(name)[0]["response"]

    def seen_chats(self) -> list[Request]:
        return [request for request in self.requests if request.path == "/api/chat"]

    async def _answer(self, request: Request, reply: Reply) -> None:
        if self._for_all is not None:
            await play(self._for_all, reply, scale=self._scale)
            return
        recorded = self._recorded.get((request.method, request.path))
        if not recorded:
            reply.whole(404, "text/plain", b"404 page not found")
            return
        response = recorded.pop(0) if len(recorded) > 1 else recorded[0]
        await play(response, reply, scale=self._scale)


async def _until(started: float, ms: float) -> None:
    delay = started + ms / 1000 - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)
