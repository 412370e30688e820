"""The fake Ollama as a process: `python -m bench.peers.engine [MODELS]`. Says its port.

A question is JSON that says how to answer: `{"count": 200, "rate": 50, "stamp": true}` are fields of the doubles'
`Script`; `{"hostile": NAME}` is a text of bench.hostile, as fast as it is read. `MODELS` more are installed, and
`endless` can be pulled for ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bench.hostile import TEXTS, pieces
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script


def author(body: dict[str, Any]) -> Script:
    asked = json.loads(body["messages"][-1]["content"])
    if "hostile" in asked:
        return Script(tokens=pieces(TEXTS[asked["hostile"]]))
    return Script(**asked)


FAMILIES = ("llama", "qwen3", "gemma3", "bert")
ENDLESS = "endless:latest"
RATE, ENDLESS_BYTES = 30e6, 18_000_000_000


def fill(fake: FakeOllama, models: int) -> None:
    for number in range(models):
        family = FAMILIES[number % len(FAMILIES)]
        does = ("embedding",) if family == "bert" else ("completion", "tools")
        fake.add_model(f"{family}-{number}:{number % 9 + 1}b", family=family, capabilities=does)
    fake.offer(ENDLESS, [("weights", ENDLESS_BYTES)], rate=RATE)


async def main(models: int) -> None:
    async with FakeOllama() as fake:
        fill(fake, models)
        fake.answer_always(author)
        print(fake.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
