"""The yardstick for start and memory: a Quart page on Hypercorn in one process. `python -m bench.peers.hello PORT`"""

from __future__ import annotations

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

app = Quart(__name__)


@app.get("/")
async def hello() -> str:
    return "<!doctype html><title>hello</title><p>hello"


if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.errorlog = None
    asyncio.run(serve(app, config))
