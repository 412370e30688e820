"""The composition root: builds every part once and starts and stops them in one visible order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Mapping

from quart_chat import rendering
from quart_chat.chat.board import publish_queue
from quart_chat.chat.contexts import Contexts
from quart_chat.chat.estimates import Estimates
from quart_chat.chat.generation import GenerationRunner
from quart_chat.chat.manager import ChatManager
from quart_chat.chat.opening import Openings
from quart_chat.chat.queue import GenerationQueue
from quart_chat.chat.shelf import Shelf
from quart_chat.config import Settings
from quart_chat.entities import OWNER_ID
from quart_chat.errors import StorageError
from quart_chat.library.library import Library
from quart_chat.live.hub import Hub
from quart_chat.metrics import LoopLag
from quart_chat.model_entities import Measurements
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager
from quart_chat.providers.base import Provider
from quart_chat.providers.demo import DemoProvider
from quart_chat.providers.ollama import OllamaClient
from quart_chat.providers.registry import Providers

logger = logging.getLogger(__name__)

RESTARTED = 1012
DRAIN_S = 1.5
WARM_AFTER_S = 1.0
EMPTY_KEPT_MS = 24 * 3600 * 1000


class Services:
    """Everything that the web layer may use. `start()` once; `drain()` and `close()` may be called again."""

    def __init__(self, settings: Settings, *, provider: Provider, demo: Provider, database: Database) -> None:
        self.settings = settings
        self._database = database
        self.storage = storage = StorageManager(database)
        self.providers = Providers(provider, demo, settings.demo)  # type: ignore[arg-type]
        self.hub = Hub(storage)
        self.estimates = Estimates(storage, on_change=self._publish_speeds)
        self.library = self._build_library()
        self.contexts = Contexts(storage, settings)
        self.shelf = Shelf(storage, self.hub)
        runner = GenerationRunner(storage, self.hub, self.providers, self.estimates, self.contexts, self.shelf)
        self.generations = runner.counts
        self.loop_lag = LoopLag()
        self.queue = GenerationQueue(
            self.providers,
            runner.run,
            on_change=self._publish_queue,
            duration_s=self.estimates.duration_s,
            max_waiting=settings.queue_max,
            max_waiting_per_person=settings.queue_max_per_person,
        )
        self.chat = ChatManager(
            storage,
            self.hub,
            self.queue,
            self.providers,
            self.estimates,
            self.contexts,
            self.shelf,
            settings,
        )
        self.openings = Openings(self.chat, storage)
        self.draining = False
        self.warm_ups: list[Callable[[], None]] = [rendering.warm_up]
        """Done in a thread when the first page is out, not when the first word comes."""
        self._warming: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Opens the database, ends what a crash left running, queues again what waited. Raises StorageError."""
        if self.settings.shows_metrics:
            self.loop_lag.start()
        await self._database.open()
        _, waiting = await self.storage.recover()
        await self.storage.delete_empty_sessions(EMPTY_KEPT_MS)
        await self.contexts.start()
        await self.estimates.start()
        await self.shelf.refresh(OWNER_ID)
        await self.library.start()
        for generation in waiting:
            await self.chat.resume(generation)
        self._warming = asyncio.create_task(self._warm_up(), name="warm up")

    async def drain(self) -> None:
        """Tell every viewer to come back after the restart; returns when they have left or after 1.5 s."""
        self.draining = True
        self.hub.close_viewers(RESTARTED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self.hub.empty.wait()

    async def close(self) -> None:
        """Stop what runs (its text is kept, marked interrupted), then the engine's connections, the database last."""
        if self._closed:
            return
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        self.loop_lag.close()
        await self.queue.close()
        await self.library.close()
        self.hub.close()
        await self.providers.close()
        await self._database.close()

    async def engine_summary(self) -> str:
        """One line about the engine for the console; waits for the first look at it."""
        await self.library.first_look.wait()
        engine = self.library.engine
        if engine.status == "connected":
            count = len(self.library.models)
            return f"Ollama {engine.version} at {engine.base_url}, {count} model{'' if count == 1 else 's'}"
        offer = "; the demo is offered meanwhile" if engine.demo else ""
        return f"Ollama does not answer at {engine.base_url}{offer}; it will be used as soon as it appears"

    def _build_library(self) -> Library:
        return Library(
            self.providers,
            self.hub,
            self.settings,
            self.storage,
            load_s=self.estimates.load_s,
            on_load=self._measured_load,
            busy=self._busy_models,
        )

    async def _warm_up(self) -> None:
        await asyncio.sleep(WARM_AFTER_S)
        for warm_up in self.warm_ups:
            await asyncio.to_thread(warm_up)
        gc.freeze()  # what is there now stays: a full collection that looks at it again stops the loop for 30 ms

    def _publish_queue(self) -> None:
        entries = self.queue.entries()
        publish_queue(self.hub, entries)
        self.library.note_queue(entries)

    def _publish_speeds(self, known: Mapping[str, Measurements]) -> None:
        self.hub.share("speed", dict(known))

    async def _measured_load(self, model: str) -> None:
        try:
            await self.estimates.refresh(model)
        except StorageError as error:
            logger.warning("what a load took is not known yet: %s", error.message)

    def _busy_models(self) -> set[str]:
        return {entry.model for entry in self.queue.entries() if not entry.position}


def build_services(settings: Settings, *, provider: Provider | None = None, demo: Provider | None = None) -> Services:
    """Everything from the settings; tests pass their own provider."""
    provider = provider or OllamaClient(
        settings.ollama_base_url,
        timeout_s=settings.ollama_timeout_s,
        retries=settings.ollama_retries,
        slots=settings.ollama_num_parallel,
    )
    in_memory = settings.history_storage_type == "memory"
    database = Database(None if in_memory else settings.database_path)
    return Services(settings, provider=provider, demo=demo or DemoProvider(), database=database)
