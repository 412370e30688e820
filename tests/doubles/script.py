"""What the fake Ollama says, and at which pace."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.doubles.wire import Reply

HELLO = "Hello! I am a fake model and I say this to everybody."
FINEST_SLEEP_S = 0.001
"""The event loop wakes no finer than this; several tokens that are due by then go out together."""


@dataclass
class Script:
    """One answer. `text`, or `tokens`, or `count` tokens; `rate` per second, 0: as fast as the reader reads.

    `stamp`: each token becomes the monotonic nanosecond at which it was written, and a space.
    `prompt_s`: time before the first token.
    `hold_at` n: stops before token n until `resume` is set; `held` says that it stands there.
    """

    text: str = HELLO
    tokens: Sequence[str] = ()
    count: int = 0
    rate: float = 0.0
    thinking: Sequence[str] = ()
    stamp: bool = False
    prompt_s: float = 0.0
    prompt_tokens: int = 22
    done_reason: str = "stop"
    tool_calls: Sequence[dict[str, Any]] = ()
    hold_at: int | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    resume: asyncio.Event = field(default_factory=asyncio.Event)

    def content(self) -> Iterator[str]:
        if self.count:
            yield from (f"word{n} " for n in range(self.count))
        else:
            yield from self.tokens or split(self.text)

    def messages(self) -> Iterator[dict[str, Any]]:
        for thought in self.thinking:
            yield {"role": "assistant", "content": "", "thinking": thought}
        for token in self.content():
            yield {"role": "assistant", "content": token}
        if self.tool_calls:
            yield {"role": "assistant", "content": "", "tool_calls": list(self.tool_calls)}


def split(text: str) -> list[str]:
    """Words with the white space before them, as tokenisers like it."""
    return re.findall(r"\s*\S+|\s+$", text)


class Speaker:
    """Writes one script to one reply; the counts of its last line are what really happened."""

    def __init__(self, model: str, script: Script, reply: Reply, *, limit: int | None = None) -> None:
        self._model = model
        self._script = script
        self._reply = reply
        self._limit = limit
        self.said = 0
        self._clock = asyncio.get_running_loop().time

    async def speak(self, *, asked: float, load_s: float) -> None:
        prompt_started = self._clock()
        await asyncio.sleep(self._script.prompt_s)
        prompt_s = self._clock() - prompt_started
        started = self._clock()
        reason = await self.say(None)
        await self._reply.part(
            self.line("", done=True, done_reason=reason, **self._counts(asked, load_s, prompt_s, started))
        )
        self._reply.end()

    async def say(self, most: int | None) -> str:
        """Head and tokens, at most `most`; the reason for stopping."""
        self._reply.stream()
        started = self._clock()
        for message in self._script.messages():
            if self.said == most or self.said == self._limit:
                return "length"
            await self._wait_for(self.said, started)
            if self._script.stamp:
                message = {**message, "content": f"{time.monotonic_ns()} "}
            await self._reply.part(self.line_of(message))
            self.said += 1
        return self._script.done_reason

    def line(self, content: str, **rest: Any) -> bytes:
        return self.line_of({"role": "assistant", "content": content}, **rest)

    def line_of(self, message: dict[str, Any], done: bool = False, **rest: Any) -> bytes:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {"model": self._model, "created_at": now, "message": message, "done": done, **rest}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    async def _wait_for(self, number: int, started: float) -> None:
        if number == self._script.hold_at:
            self._script.held.set()
            await self._script.resume.wait()
        if not self._script.rate:
            return
        early_s = started + number / self._script.rate - self._clock()
        if early_s >= FINEST_SLEEP_S:
            await asyncio.sleep(early_s)

    def _counts(self, asked: float, load_s: float, prompt_s: float, started: float) -> dict[str, int]:
        now = self._clock()
        return {
            "total_duration": _ns(now - asked),
            "load_duration": _ns(load_s),
            "prompt_eval_count": self._script.prompt_tokens,
            "prompt_eval_duration": _ns(prompt_s),
            "eval_count": self.said,
            "eval_duration": _ns(now - started),
        }


def _ns(seconds: float) -> int:
    return max(1, round(seconds * 1e9))
