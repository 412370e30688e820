"""The yardstick for the first token: the least that a Quart page on Hypercorn can do between a question and an answer.

One row committed to the disk, one request over httpx, every line of the answer to every socket: no queue, no sessions,
no documents. `DATA_DIR=… OLLAMA_BASE_URL=… python -m bench.peers.relay PORT`
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, request, websocket

from bench.chats import MODEL

app = Quart(__name__)
sockets: set[asyncio.Queue[str]] = set()
tasks: set[asyncio.Task[None]] = set()
writer = ThreadPoolExecutor(1)
database: sqlite3.Connection
engine = httpx.AsyncClient(base_url=os.environ.get("OLLAMA_BASE_URL", ""), trust_env=False, timeout=30)


@app.post("/api/chat/message")
async def ask() -> tuple[dict[str, Any], int]:
    content = (await request.get_json())["content"]
    await asyncio.get_running_loop().run_in_executor(writer, _commit, content)
    task = asyncio.create_task(_answer(content))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return {}, 202


@app.websocket("/ws")
async def live() -> None:
    own: asyncio.Queue[str] = asyncio.Queue()
    await websocket.accept()
    sockets.add(own)
    try:
        while True:
            await websocket.send(await own.get())
    finally:
        sockets.discard(own)


async def _answer(content: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}], "stream": True}
    async with engine.stream("POST", "/api/chat", json=body) as response:
        async for line in response.aiter_lines():
            _tell(line)
    _tell("end")


def _tell(text: str) -> None:
    for each in sockets:
        each.put_nowait(text)


def _open() -> None:
    global database
    folder = Path(os.environ["DATA_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "relay.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE message (content TEXT)")


def _commit(content: str) -> None:
    database.execute("INSERT INTO message VALUES (?)", (content,))


if __name__ == "__main__":
    writer.submit(_open).result()
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.errorlog = None
    asyncio.run(serve(app, config))
