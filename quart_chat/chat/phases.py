"""The phase line of one generation: loading, reading, thinking, writing, stalled; derived, never guessed silently."""

from __future__ import annotations

import asyncio

from quart_chat.chat.estimates import Estimates
from quart_chat.chat.progress import Progress
from quart_chat.entities import Generation, now_ms
from quart_chat.errors import ModelError
from quart_chat.events import Phase
from quart_chat.live.session import SessionDocument
from quart_chat.providers.base import Provider
from quart_chat.providers.ollama_models import same_model

FIRST_LOOK_S = 0.05
"""The question itself goes first: an engine that answers at once need not be asked what it is doing."""
POLL_S = 0.5
SPEED_S = 1.0
STALLED_MS = 10_000


class PhaseLine:
    """Before the first token the engine is silent, so `/api/ps` is asked: absent from memory means loading, present
    means that it reads the prompt. After it, the chunks themselves tell."""

    def __init__(
        self,
        document: SessionDocument,
        generation: Generation,
        progress: Progress,
        provider: Provider,
        estimates: Estimates,
        prompt_tokens: int,
    ) -> None:
        self._document = document
        self._generation = generation
        self._progress = progress
        self._provider = provider
        self._estimates = estimates
        self._prompt_tokens = prompt_tokens
        self._kind = ""
        self._since = 0
        self._in_memory: set[str] | None = None
        self._leaving = ""

    async def watch(self) -> None:
        """Keeps the line true until it is cancelled."""
        await asyncio.sleep(FIRST_LOOK_S)
        while self._progress.first_at is None:
            await self._look()
            await asyncio.sleep(POLL_S)
        while True:
            self.show()
            await asyncio.sleep(SPEED_S)

    def show(self) -> None:
        """Say what the chunks tell right now."""
        progress = self._progress
        if progress.first_at is None:
            return
        if now_ms() - progress.last_at > STALLED_MS:
            self._set("stalled", progress.last_at)
        elif progress.writing_at is not None:
            speed = progress.tokens_per_s()
            self._set("writing", progress.writing_at, tokens_per_s=speed and round(speed, 1))
        elif progress.thinking_at is not None:
            self._set("thinking", progress.thinking_at)

    async def _look(self) -> None:
        try:
            names = {model.name for model in await self._provider.running_models()}
        except ModelError:
            return  # the generation itself will say what is wrong with the engine
        if self._progress.first_at is not None:
            return
        before, self._in_memory = self._in_memory, names
        if any(same_model(name, self._generation.model) for name in names):
            expected = self._estimates.reading_s(self._generation.model, self._prompt_tokens)
            self._set("reading", self._begin("reading"), tokens=self._prompt_tokens, expected_s=expected)
            return
        if before is not None and before - names:
            self._leaving = min(before - names)
        expected = self._estimates.load_s(self._generation.model)
        kind = "making_room" if self._leaving else "loading"
        self._set(kind, self._begin("loading"), expected_s=expected, leaving=self._leaving)

    def _begin(self, kind: str) -> int:
        if kind != self._kind:
            self._kind, self._since = kind, now_ms() if self._kind else self._progress.asked_at
        return self._since

    def _set(self, kind: str, since: int, **details: object) -> None:
        phase = Phase(kind=kind, since=since, model=self._generation.model, **details)  # type: ignore[arg-type]
        self._document.set_phase(self._generation.message_id, phase)
