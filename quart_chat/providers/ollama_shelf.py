"""The models of one Ollama: listed, described, in memory, loaded and unloaded."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TypeVar

from quart_chat.errors import ModelError, ModelTimeoutError
from quart_chat.model_entities import LoadedModel, ModelInfo
from quart_chat.providers.base import Early
from quart_chat.providers.ollama_chat import ChatLine, load_body, show_body
from quart_chat.providers.ollama_errors import error_from_words, words_of_value
from quart_chat.providers.ollama_http import OllamaWire
from quart_chat.providers.ollama_models import (
    Ps,
    Show,
    ShownModel,
    Tags,
    Version,
    loaded_from_ps,
    model_from_show,
    model_from_tags,
    normalise,
    read_show,
    with_shown,
)
from quart_chat.providers.owned_tasks import OwnedTasks, outcome

log = logging.getLogger(__name__)

T = TypeVar("T")

QUICK_S = 5.0
LIST_S = 20.0
"""The first list after Ollama's start reads the head of every model file."""

SHOWN_AT_ONCE = 4
EARLY_S = 1.0
KNOWN_FOR_S = 60.0


class OllamaShelf:
    """What `show` says is kept per digest, for as long as the list has that digest."""

    def __init__(self, wire: OllamaWire, *, load_timeout_s: float) -> None:
        self._wire = wire
        self._load_timeout_s = load_timeout_s
        self._shown: dict[str, ShownModel] = {}
        self._known: dict[str, ModelInfo] = {}
        self._known_at = float("-inf")
        self._asking = OwnedTasks()
        self._asking_ps: asyncio.Task[list[LoadedModel]] | None = None

    async def version(self) -> str:
        return (await self._quick("/api/version", Version, QUICK_S)).version

    async def models(self, early: Early | None = None) -> list[ModelInfo]:
        """A model whose description cannot be had is listed all the same, with what the list says of it.

        When describing them takes longer than a second, `early` gets the list with what is known until then.
        """
        models = await self._tags()
        describing = asyncio.ensure_future(self._describe(models))
        try:
            done, _ = await asyncio.wait({describing}, timeout=EARLY_S)
            if early is not None and not done:
                early([self._as_known(model) for model in models])
            described = await describing
        finally:
            describing.cancel()
        self._known = {normalise(model.name): model for model in described}
        self._known_at = time.monotonic()
        return described

    async def _describe(self, models: list[ModelInfo]) -> list[ModelInfo]:
        gate = asyncio.Semaphore(SHOWN_AT_ONCE)
        return list(await asyncio.gather(*(self._described(model, gate) for model in models)))

    def _as_known(self, model: ModelInfo) -> ModelInfo:
        shown = self._shown.get(model.digest)
        return model if shown is None else with_shown(model, shown)

    async def info(self, name: str) -> ModelInfo:
        wanted = normalise(name)
        for model in await self._tags():
            if normalise(model.name) == wanted:
                return with_shown(model, await self._show(model.name, model.digest), texts=True)
        return model_from_show(name, await self._show(name, ""))

    async def thinks(self, name: str) -> bool:
        """False also when it cannot be found out: asking a model to think that cannot is an error."""
        recent = time.monotonic() - self._known_at < KNOWN_FOR_S
        if recent and (known := self._known.get(normalise(name))) is not None:
            return known.thinks
        try:
            return (await self.info(name)).thinks
        except ModelError as error:
            log.info("asking without thinking, the abilities of %s are unknown: %s", name, error.message)
            return False

    async def running(self) -> list[LoadedModel]:
        """However many ask, one request is under way; all get its answer."""
        if self._asking_ps is None or self._asking_ps.done():
            self._asking_ps = self._asking.start(self._ps())
        return await outcome(self._asking_ps)

    async def load(self, name: str, *, num_ctx: int | None, keep_alive: int | str | None) -> int:
        body = load_body(name, num_ctx=num_ctx, keep_alive=keep_alive)
        started = time.monotonic()
        try:
            line = await self._wire.retried(lambda: self._load(name, body))
        except TimeoutError:
            raise ModelTimeoutError(f"{name} took too long to load.") from None
        _raise_error(line, name)
        return round((time.monotonic() - started) * 1000)

    async def unload(self, name: str) -> None:
        body = load_body(name, num_ctx=None, keep_alive=0)
        try:
            line = await self._wire.post("/api/chat", body, ChatLine, timeout_s=QUICK_S, model=name)
        except TimeoutError:
            raise self._wire.silent() from None
        _raise_error(line, name)

    async def close(self) -> None:
        await self._asking.cancel()

    async def _load(self, name: str, body: bytes) -> ChatLine:
        timeout_s = self._load_timeout_s
        return await self._wire.post_long("/api/chat", body, ChatLine, timeout_s=timeout_s, model=name)

    async def _tags(self) -> list[ModelInfo]:
        tags = await self._quick("/api/tags", Tags, LIST_S)
        models = [model_from_tags(tag) for tag in tags.models or ()]
        listed = {model.digest for model in models}
        self._shown = {digest: shown for digest, shown in self._shown.items() if digest in listed}
        return models

    async def _ps(self) -> list[LoadedModel]:
        ps = await self._quick("/api/ps", Ps, QUICK_S)
        return [loaded_from_ps(model) for model in ps.models or ()]

    async def _described(self, model: ModelInfo, gate: asyncio.Semaphore) -> ModelInfo:
        if model.remote:
            return model  # a stub: describing it may need the network
        try:
            async with gate:
                return with_shown(model, await self._show(model.name, model.digest))
        except ModelError as error:
            log.info("%s stays without its description: %s", model.name, error.message)
            return model

    async def _show(self, name: str, digest: str) -> ShownModel:
        if digest and (shown := self._shown.get(digest)) is not None:
            return shown
        try:
            show = await self._wire.post("/api/show", show_body(name), Show, timeout_s=LIST_S, model=name)
        except TimeoutError:
            raise self._wire.silent() from None
        shown = read_show(show)
        if digest:
            self._shown[digest] = shown
        return shown

    async def _quick(self, path: str, shape: type[T], timeout_s: float) -> T:
        try:
            return await self._wire.get(path, shape, timeout_s=timeout_s)
        except TimeoutError:
            raise self._wire.silent() from None


def _raise_error(line: ChatLine, name: str) -> None:
    if line.error is not None:
        raise error_from_words(words_of_value(line.error), name)
