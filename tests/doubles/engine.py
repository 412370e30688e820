"""The models of the fake Ollama: installed, being loaded, in memory, answering one request at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

DEFAULT_CONTEXT = 4096


@dataclass
class FakeModel:
    name: str
    size: int = 2_000_000_000
    capabilities: tuple[str, ...] = ("completion",)
    context_length: int = 8192
    load_s: float = 0.0
    family: str = "llama"
    parameter_size: str = "3.2B"
    license: str = "MIT"
    template: str = "{{ .Prompt }}"
    digest: str = ""
    layers: tuple[str, ...] = ()
    system: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def __post_init__(self) -> None:
        self.digest = self.digest or hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def details(self) -> dict[str, Any]:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": "Q4_K_M",
        }

    def as_tag(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": "2026-11-21T06:34:56.672429845Z",
            "size": self.size,
            "digest": self.digest,
            "details": {**self.details, "context_length": self.context_length},
            "capabilities": ["completion"],  # as the real one: incomplete, only show is right
        }

    def as_show(self) -> dict[str, Any]:
        set_here = [f"{key:<30} {json.dumps(value)}" for key, value in self.parameters.items()]
        return {
            **({"parameters": "\n".join(set_here)} if set_here else {}),
            **({"system": self.system} if self.system else {}),
            "license": self.license,
            "template": self.template,
            "details": self.details,
            "model_info": {
                "general.architecture": self.family,
                f"{self.family}.context_length": self.context_length,
            },
            "tensors": [{"name": "blk.0", "type": "Q4_K", "shape": [320, 320]}],
            "capabilities": list(self.capabilities),
            "modified_at": "2026-11-21T06:34:56.672429845Z",
        }


@dataclass
class Loaded:
    model: FakeModel
    context: int
    keep_alive: Any = None
    active: int = 0
    unload_when_idle: bool = False

    def as_ps(self) -> dict[str, Any]:
        forever = isinstance(self.keep_alive, int) and self.keep_alive < 0
        expires = "2319-03-03T07:27:06.5Z" if forever else _later(minutes=5)
        return {
            "name": self.model.name,
            "model": self.model.name,
            "size": self.model.size,
            "digest": self.model.digest,
            "details": self.model.details,
            "expires_at": expires,
            "size_vram": 0,
            "context_length": self.context,
        }


class FakeEngine:
    """One model loads at a time; each has one slot, and requests wait for it in the order they came."""

    def __init__(self) -> None:
        self.models: dict[str, FakeModel] = {}
        self.loaded: dict[str, Loaded] = {}
        self.leaked: set[str] = set()
        self.loads = 0
        self.unloads = 0
        self.active = 0
        self.most_active = 0
        self._loading = asyncio.Lock()

    def find(self, name: str) -> FakeModel | None:
        return self.models.get(tagged(name))

    @asynccontextmanager
    async def slot(self, model: FakeModel, context: int | None, keep_alive: Any) -> AsyncIterator[float]:
        """Waits for memory, then for the slot; gives the seconds the first took."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        loaded = await self._in_memory(model, context)
        load_s = clock() - asked
        if keep_alive is not None:
            loaded.keep_alive = keep_alive
            loaded.unload_when_idle = keep_alive == 0
        loaded.active += 1
        try:
            async with model.slots:
                self.active += 1
                self.most_active = max(self.most_active, self.active)
                try:
                    yield load_s
                finally:
                    self.active -= 1
        finally:
            loaded.active -= 1
            self._let_go(loaded)

    async def load(self, model: FakeModel, context: int | None, keep_alive: Any) -> None:
        loaded = await self._in_memory(model, context)
        loaded.keep_alive = loaded.keep_alive if keep_alive is None else keep_alive

    def unload(self, model: FakeModel) -> None:
        """At once when idle, else when its last request ends. Frees a leaked slot."""
        self.unloads += 1
        if model.name in self.leaked:
            self.leaked.discard(model.name)
            model.slots = asyncio.Semaphore(1)
            self.loaded.pop(model.name, None)
        elif (loaded := self.loaded.get(model.name)) is not None:
            loaded.unload_when_idle = True
            self._let_go(loaded)

    def forget(self) -> None:
        """As after a restart."""
        self.loaded.clear()
        self.leaked.clear()

    async def _in_memory(self, model: FakeModel, context: int | None) -> Loaded:
        async with self._loading:
            loaded = self.loaded.get(model.name)
            if loaded is not None and context in (None, loaded.context):
                return loaded
            self.loaded.pop(model.name, None)
            await asyncio.sleep(model.load_s)
            self.loads += 1
            fresh = Loaded(model, context or min(DEFAULT_CONTEXT, model.context_length))
            self.loaded[model.name] = fresh
            return fresh

    def _let_go(self, loaded: Loaded) -> None:
        if loaded.unload_when_idle and not loaded.active and self.loaded.get(loaded.model.name) is loaded:
            del self.loaded[loaded.model.name]


def tagged(name: str) -> str:
    name = name.lower()
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _later(*, minutes: int) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
