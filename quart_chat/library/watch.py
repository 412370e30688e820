"""`EngineWatch`: looks at the engine and keeps every board true about it: reachable or not, models, memory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial

from msgspec.structs import replace

from quart_chat.config import Settings, without_secrets
from quart_chat.entities import now_ms
from quart_chat.errors import EngineUnavailableError, ModelError
from quart_chat.events import EngineStatus
from quart_chat.live.hub import Hub
from quart_chat.model_entities import LoadedModel, ModelInfo
from quart_chat.providers.demo import DEMO_MODEL
from quart_chat.providers.ollama_models import same_model
from quart_chat.providers.registry import Providers

logger = logging.getLogger(__name__)

UNWATCHED_POLL_S = 15.0
LEAST_PAUSE_S = 0.3
"""However many tabs come at once, the engine is asked at most three times a second."""
AGED_MS = 30_000
"""So often a page shows again when the engine was looked at and how much memory is free."""
START_HINT = "Start Ollama on that machine, for example with: ollama serve"


class EngineWatch:
    """Asks the engine every `ollama_poll_s` seconds while somebody looks, else every 15 s. Owns that one task."""

    def __init__(self, providers: Providers, hub: Hub, settings: Settings) -> None:
        self._providers = providers
        self._hub = hub
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self._looking = asyncio.Lock()
        self._told_at = 0
        self.first_look = asyncio.Event()
        self.engine = EngineStatus(base_url=without_secrets(settings.ollama_base_url))
        self.models: list[ModelInfo] = []
        self.loaded: list[LoadedModel] = []
        self.demo_models: list[ModelInfo] = []

    async def start(self) -> None:
        if self._providers.demo is not None:
            self.demo_models = await self._providers.demo.list_models()
        self._publish()
        self._task = asyncio.create_task(self._watch(), name="library")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def look_now(self) -> None:
        """Somebody came or something changed: do not wait for the next round."""
        self._nudge.set()

    @property
    def offered(self) -> list[ModelInfo]:
        """What one can chat with: the engine's models, and the demo where it is offered."""
        found = [model for model in self.models if model.chats]
        if self._settings.demo == "on" or not found or self.engine.status != "connected":
            found += self.demo_models
        return found

    def default_model(self) -> str:
        """For a new session; empty if there is nothing to chat with."""
        offered = self.offered
        wanted = self._settings.ollama_default_model
        names = [model.name for model in offered]
        if wanted and (wanted in names or self.engine.status != "connected"):
            return wanted
        in_memory = [model.name for model in self.loaded if model.name in names]
        return (in_memory or names or [""])[0]

    def knows(self, name: str) -> bool:
        """False if a model is certainly gone; True while the engine cannot be asked."""
        if self.engine.status != "connected" or name == DEMO_MODEL:
            return True
        return self.installed(name) is not None

    def installed(self, name: str) -> ModelInfo | None:
        """The model of that name as last seen, whichever way it is written."""
        return next((model for model in self.models if same_model(name, model.name)), None)

    async def refresh(self) -> None:
        """Ask the engine now and tell everybody what it said. Never raises for the engine's sake."""
        async with self._looking:  # who asked later knows better
            before = self.engine
            try:
                version = await self._providers.primary.version()
                models = await self._providers.primary.list_models(early=partial(self._early, version))
                loaded = await self._providers.primary.running_models()
            except ModelError as error:
                self._lost(error)
            else:
                self.engine = EngineStatus(status="connected", base_url=before.base_url, version=version)
                self.models, self.loaded = models, loaded
            if self.engine.status != before.status:
                logger.info("engine %s", self.engine.status)
            self._publish()
            self.first_look.set()

    def _early(self, version: str, models: list[ModelInfo]) -> None:
        """The list without waiting for every description."""
        self.engine = EngineStatus(status="connected", base_url=self.engine.base_url, version=version)
        self.models = models
        self._publish()
        self.first_look.set()

    def _lost(self, error: ModelError) -> None:
        nobody = isinstance(error, EngineUnavailableError)
        self.engine = EngineStatus(
            status="disconnected" if nobody else "error",
            base_url=self.engine.base_url,
            version=self.engine.version,
            problem=error.message,
            hint=START_HINT if nobody else "",
        )
        self.loaded = []

    def _publish(self) -> None:
        engine = replace(self.engine, demo=any(m.name == DEMO_MODEL for m in self.offered))
        changed = self._hub.share("engine", {"": engine})
        models = {model.name: model for model in (*self.models, *self.offered)}
        changed = self._hub.share("model", models) or changed
        changed = self._hub.share("loaded", {model.name: model for model in self.loaded}) or changed
        self.engine = replace(engine, last_checked=now_ms())
        if self.engine.last_checked - self._told_at >= AGED_MS:
            self._told_at = self.engine.last_checked
            self._hub.share("machine", {"": self._told_at})
        if changed:
            for document in self._hub.documents():
                document.touch_header()

    async def _watch(self) -> None:
        while True:
            self._nudge.clear()  # whoever asks from here on may mean what this round sees no more
            try:
                await self.refresh()
            except Exception:
                logger.exception("the engine could not be looked at")
            pause = self._settings.ollama_poll_s if self._hub.viewers else UNWATCHED_POLL_S
            await asyncio.sleep(min(pause, LEAST_PAUSE_S))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._nudge.wait()
