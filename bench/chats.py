"""Questions put to the product, each telling the fake engine what to answer."""

from __future__ import annotations

import json
from typing import Any

from bench.client import Http, client_id

MODEL = "hello:latest"


async def new_session(http: Http) -> str:
    """The id of an empty session."""
    status, headers, _ = await http.request("POST", "/chat")
    if "location" not in headers:
        raise RuntimeError(f"no session was made: {status}")
    return headers["location"].rpartition("/")[2]


async def ask(http: Http, session_id: str, **script: Any) -> None:
    """`script`: see bench.peers.engine. Returns when the question is committed."""
    body = {"content": json.dumps(script), "session_id": session_id, "client_id": client_id(), "model": MODEL}
    status, _, data = await http.request("POST", "/api/chat/message", body)
    if status != 202:
        raise RuntimeError(f"a question was refused: {status} {data.decode()}")


def direct(**script: Any) -> dict[str, Any]:
    """The body of the same question to the engine itself."""
    return {"model": MODEL, "messages": [{"role": "user", "content": json.dumps(script)}], "stream": True}
