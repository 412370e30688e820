"""The fake Ollama as a process: a question is JSON that says how to answer. Says its port.

`{"count": 200, "rate": 50, "stamp": true}` are fields of the doubles' `Script`; `{"hostile": NAME}` is a text of
bench.hostile, as fast as it is read.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bench.hostile import TEXTS, pieces
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script


def author(body: dict[str, Any]) -> Script:
    asked = json.loads(body["messages"][-1]["content"])
    if "hostile" in asked:
        return Script(tokens=pieces(TEXTS[asked["hostile"]]))
    return Script(**asked)


async def main() -> None:
    async with FakeOllama() as fake:
        fake.answer_always(author)
        print(fake.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
