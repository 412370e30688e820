"""The ways in which the fake Ollama can fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from tests.doubles.script import Speaker
from tests.doubles.wire import Reply

HUGE_BYTES = 100 * 1024 * 1024
RUNNER_DIED = "an error was encountered while running the model: unexpected EOF"
BUSY = "server busy, please try again.  maximum pending requests exceeded"

Misbehaviour = Callable[[Speaker, Reply], Awaitable[None]]


async def hang_before_headers(speaker: Speaker, reply: Reply) -> None:
    await asyncio.Event().wait()


async def hang_mid_stream(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    await asyncio.Event().wait()


async def cut_mid_line(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    await reply.part(speaker.line("never whole")[:40])
    reply.break_off()


async def cut_without_done(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    reply.end()


async def in_band_error(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    await reply.part(json.dumps({"error": RUNNER_DIED}).encode() + b"\n")
    reply.end()


async def garbage(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    await reply.part(b"\x00\xff<html>what?\n" * 3)
    reply.end()


async def wrong_types(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    await reply.part(b'{"message":["no","object"],"done":"perhaps"}\n')
    reply.end()


async def empty(speaker: Speaker, reply: Reply) -> None:
    reply.stream()
    reply.end()


async def huge_line(speaker: Speaker, reply: Reply) -> None:
    await speaker.say(3)
    piece = b"x" * 65_536
    await reply.part(b'{"message":{"role":"assistant","content":"')
    for _ in range(HUGE_BYTES // len(piece)):
        await reply.part(piece)
    await reply.part(b'"},"done":false}\n')
    reply.end()


async def slow_drip(speaker: Speaker, reply: Reply) -> None:
    """A whole answer, one byte at a time."""
    reply.stream()
    lines = [speaker.line("Hel"), speaker.line("lo…"), speaker.line("", done=True, done_reason="stop")]
    for byte in b"".join(lines):
        await reply.part(bytes([byte]))
        await asyncio.sleep(0)
    reply.end()


def refusing(status: int, text: str) -> Misbehaviour:
    async def refuse(speaker: Speaker, reply: Reply) -> None:
        reply.json({"error": text}, status)

    return refuse


MISBEHAVIOURS: dict[str, Misbehaviour] = {
    "404": refusing(404, "model 'gone' not found"),
    "500": refusing(500, "llama-server process has terminated: exit status 1"),
    "503": refusing(503, BUSY),
    "hang_before_headers": hang_before_headers,
    "hang_mid_stream": hang_mid_stream,
    "cut_mid_line": cut_mid_line,
    "cut_without_done": cut_without_done,
    "in_band_error": in_band_error,
    "garbage": garbage,
    "wrong_types": wrong_types,
    "empty": empty,
    "huge_line": huge_line,
    "slow_drip": slow_drip,
}
