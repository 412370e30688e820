"""What the fake Ollama does with models as files: pull, delete, copy, create, and what it recommends."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from tests.doubles.engine import FakeEngine, tagged
from tests.doubles.registry import FakeRegistry, PullError, Say
from tests.doubles.wire import JSON, Reply, Request

NAME = re.compile(r"[\w][\w.:/-]*")
ROUTES = {
    ("POST", "/api/pull"): "pull",
    ("POST", "/api/create"): "create",
    ("POST", "/api/copy"): "copy",
    ("DELETE", "/api/delete"): "delete",
    ("GET", "/api/status"): "status",
    ("GET", "/api/experimental/model-recommendations"): "recommend",
}


class ModelFiles:
    """`recommended` None: a server too old to have an opinion. `cloud_disabled` is what /api/status tells."""

    def __init__(self, engine: FakeEngine, registry: FakeRegistry) -> None:
        self.recommended: list[dict[str, Any]] | None = []
        self.cloud_disabled = False
        self._engine = engine
        self._registry = registry

    async def handle(self, request: Request, reply: Reply) -> bool:
        """False: it is not about that."""
        name = ROUTES.get((request.method, request.path))
        if name is None or (name == "recommend" and self.recommended is None):
            return False
        await getattr(self, f"_{name}")(request.body, reply)
        return True

    async def _pull(self, body: dict[str, Any], reply: Reply) -> None:
        name = str(body.get("model") or body.get("name") or "")

        async def work(say: Say) -> None:
            await self._registry.pull(name, say)

        await _told(body, reply, work, valid=name)

    async def _create(self, body: dict[str, Any], reply: Reply) -> None:
        name, source = str(body.get("model", "")), str(body.get("from", ""))

        async def work(say: Say) -> None:
            if self._engine.find(source) is None:
                await self._registry.pull(source, say)
            await self._make(name, source, body, say)

        await _told(body, reply, work, valid=name if NAME.fullmatch(source) else "")

    async def _make(self, name: str, source: str, body: dict[str, Any], say: Say) -> None:
        base = self._engine.find(source)
        assert base is not None
        for digest in base.layers or (f"sha256:{base.digest}",):
            await say({"status": f"using existing layer {digest}"})
        own = {"system": body.get("system", ""), "parameters": body.get("parameters") or {}}
        digest = hashlib.sha256(json.dumps([base.digest, own]).encode()).hexdigest()
        model = dataclasses.replace(base, name=tagged(name), digest=digest, slots=asyncio.Semaphore(1), **own)
        await say({"status": f"creating new layer sha256:{digest}"})
        await say({"status": "writing manifest"})
        self._engine.models[model.name] = model

    async def _copy(self, body: dict[str, Any], reply: Reply) -> None:
        source, destination = str(body["source"]), str(body["destination"])
        model = self._engine.find(source)
        if not NAME.fullmatch(destination):
            reply.json({"error": f'destination "{destination}" is invalid'}, 400)
        elif model is None:
            reply.json({"error": f'model "{source}" not found'}, 404)
        else:
            copied = dataclasses.replace(model, name=tagged(destination), slots=asyncio.Semaphore(1))
            self._engine.models[copied.name] = copied
            reply.whole(200, "", b"")

    async def _delete(self, body: dict[str, Any], reply: Reply) -> None:
        """A loaded copy stays in memory, as with the real one."""
        name = str(body.get("model") or body.get("name"))
        model = self._engine.models.pop(tagged(name), None)
        if model is None:
            reply.json({"error": f"model '{name}' not found"}, 404)
        else:
            self._registry.forget_layers(model)
            reply.whole(200, "", b"")

    async def _status(self, body: dict[str, Any], reply: Reply) -> None:
        source = "env" if self.cloud_disabled else "none"
        reply.json({"cloud": {"disabled": self.cloud_disabled, "source": source}})

    async def _recommend(self, body: dict[str, Any], reply: Reply) -> None:
        reply.json({"recommendations": self.recommended})


async def _told(body: dict[str, Any], reply: Reply, work: Callable[[Say], Awaitable[None]], *, valid: str) -> None:
    """`work` line by line, ending in `success` or an error; as one object when no stream is wanted."""
    if not NAME.fullmatch(valid):
        reply.json({"error": "invalid model name"}, 400)
        return
    streamed = body.get("stream", True)

    async def say(line: dict[str, Any]) -> None:
        if streamed:
            if not reply.begun:
                reply.stream()
            await reply.part(json.dumps(line).encode() + b"\n")

    last, status = {"status": "success"}, 200
    try:
        await work(say)
    except PullError as error:
        last, status = {"error": str(error)}, 500
    await say(last)
    if streamed:
        reply.end()
    else:
        reply.whole(status, JSON.partition(";")[0], json.dumps(last).encode())
