"""A process full of viewers: `python -m bench.viewers PORT SESSION COUNT page|program|raw`.

Says `ready`, then takes lines: `reset` zeroes the counts, `ended` waits until all have seen the end of an answer;
both answer with a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

from bench.viewer import Kind, Viewer

AT_ONCE = 20
READ_EVERY_S = 0.02


def read_in_rounds() -> None:
    """Reads what has come 50 times a second. Woken by each frame, a process of the same machine would make the
    sender pay for its waking, which viewers elsewhere do not."""
    time.sleep(READ_EVERY_S)
    asyncio.get_running_loop().call_later(0.001, read_in_rounds)


async def main(port: int, session_id: str, count: int, kind: Kind) -> None:
    viewers: list[Viewer] = []
    while len(viewers) < count:
        some = [Viewer(kind) for _ in range(min(AT_ONCE, count - len(viewers)))]
        viewers += await asyncio.gather(*(viewer.open(port, session_id) for viewer in some))
    print("ready", flush=True)
    read_in_rounds()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async for command in commands:
        if command.strip() == b"reset":
            for viewer in viewers:
                viewer.reset()
        else:
            await asyncio.gather(*(viewer.ended.wait() for viewer in viewers))
        counts = {"frames": sum(v.frames for v in viewers), "bytes": sum(v.bytes for v in viewers)}
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), cast(Kind, sys.argv[4])))
