"""An Ollama without a language model, on a real socket: it says what a test told it to, and fails on request.

`async with FakeOllama() as fake:` then `fake.url`. By hand: `python -m tests.doubles.fake_ollama`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tests.doubles.engine import FakeEngine, FakeModel, tagged
from tests.doubles.misbehaviour import MISBEHAVIOURS
from tests.doubles.model_files import ModelFiles
from tests.doubles.registry import FakeRegistry, Offer
from tests.doubles.script import Script, Speaker
from tests.doubles.wire import TEXT, Reply, Request, WireServer

Author = Callable[[dict[str, Any]], Script]
"""Writes the answer to a request's body."""


class FakeOllama(WireServer):
    """Has the models `hello` (plain) and `think` (can think) unless told otherwise.

    `requests` are all that were seen, with `body`; `aborted` those whose client left before the end. `engine`
    shows what is in memory and how many answers ran at once (`most_active`); `registry` and `files` what can be
    pulled, what of it is on the disk, and what is recommended.
    """

    def __init__(self, *, port: int = 0, version: str = "0.33.0", models: bool = True) -> None:
        super().__init__(self._route, port=port)
        self.version = version
        self.engine = FakeEngine()
        self.registry = FakeRegistry(self.engine)
        self.files = ModelFiles(self.engine, self.registry)
        self._author: Author = lambda body: Script()
        self._next_scripts: deque[Script] = deque()
        self._misbehave: deque[tuple[str, str]] = deque()
        self._leaks_again: dict[str, int] = {}
        if models:
            self.add_model("hello")
            self.add_model("think", capabilities=("completion", "thinking"))

    # what it knows and says

    def add_model(self, name: str, **details: Any) -> FakeModel:
        model = FakeModel(tagged(name), **details)
        self.engine.models[model.name] = model
        return model

    def remove_model(self, name: str) -> None:
        self.registry.forget_layers(self.engine.models.pop(tagged(name)))

    def offer(self, name: str, layers: Sequence[tuple[str, int]] = (), **rest: Any) -> Offer:
        """What the registry has and a pull will bring; see `FakeRegistry.offer` and `Offer`."""
        return self.registry.offer(name, layers, **rest)

    def answer(self, script: Script | str) -> Script:
        """The next answer; call several times for several."""
        script = Script(text=script) if isinstance(script, str) else script
        self._next_scripts.append(script)
        return script

    def answer_always(self, author: Author | Script | str) -> None:
        """Every answer for which none was lined up by `answer`."""
        if isinstance(author, str):
            author = Script(text=author)
        if isinstance(author, Script):
            script = author
            self._author = lambda body: script
        else:
            self._author = author

    # how it fails

    def misbehave(self, mode: str, *, times: int = 1, path: str = "/api/chat") -> None:
        """The next `times` requests to `path` that mean an answer (not a load) go wrong in that way.

        `restart` (drops everybody, forgets what is in memory) and `refused` (the same, and listens no more
        until `listen`) happen at once. `slot_leak`: every loaded model keeps silent until it is unloaded, and
        `times` - 1 times again after that.
        """
        if mode in ("restart", "refused"):
            self._go_down(keep_listening=mode == "restart")
        elif mode == "slot_leak":
            for name in self.engine.loaded or self.engine.models:
                self.engine.leaked.add(name)
                self._leaks_again[name] = times - 1
        elif mode in MISBEHAVIOURS:
            self._misbehave.extend([(mode, path)] * times)
        else:
            raise ValueError(f"unknown: {mode}")

    def behave(self) -> None:
        self._misbehave.clear()
        self.engine.leaked.clear()
        self._leaks_again.clear()

    def _go_down(self, *, keep_listening: bool) -> None:
        if not keep_listening:
            self.stop_listening()
        self.drop_connections()
        self.engine.forget()

    # what it saw

    def seen(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The bodies of the chats that were no loads or unloads."""
        return [body for request in self.seen("/api/chat") if (body := request.body).get("messages")]

    # what it does

    async def _route(self, request: Request, reply: Reply) -> None:
        route = (request.method, request.path)
        if request.path != "/api/chat" and (mode := self._mode_for(request.path)) is not None:
            await MISBEHAVIOURS[mode](Speaker("", Script(), reply), reply)
        elif route == ("GET", "/api/version"):
            reply.json({"version": self.version})
        elif route == ("GET", "/api/tags"):
            reply.json({"models": [model.as_tag() for model in self.engine.models.values()]})
        elif route == ("GET", "/api/ps"):
            reply.json({"models": [loaded.as_ps() for loaded in self.engine.loaded.values()]})
        elif route == ("POST", "/api/show"):
            self._with_model(request, reply, lambda model: reply.json(model.as_show()))
        elif route == ("POST", "/api/chat"):
            await self._chat(request, reply)
        elif not await self.files.handle(request, reply):
            reply.whole(404, TEXT, b"404 page not found")

    def _with_model(self, request: Request, reply: Reply, then: Callable[[FakeModel], None]) -> None:
        name = str(request.body["model"])
        model = self.engine.find(name)
        if model is None:
            reply.json({"error": f"model '{name}' not found"}, 404)
        else:
            then(model)

    async def _chat(self, request: Request, reply: Reply) -> None:
        body: dict[str, Any] = request.body
        model = self.engine.find(str(body["model"]))
        if model is None:
            reply.json({"error": f"model '{body['model']}' not found"}, 404)
        elif body.get("think") and "thinking" not in model.capabilities:
            reply.json({"error": f'"{body["model"]}" does not support thinking'}, 400)
        elif body.get("messages"):
            await self._answer(request, reply, model, body)
        else:
            await self._load_or_unload(reply, model, body)

    async def _load_or_unload(self, reply: Reply, model: FakeModel, body: dict[str, Any]) -> None:
        unload = body.get("keep_alive") == 0
        if unload:
            self.engine.unload(model)
            if self._leaks_again.get(model.name, 0):
                self._leaks_again[model.name] -= 1
                self.engine.leaked.add(model.name)
        else:
            await self.engine.load(model, _context(body), body.get("keep_alive"))
        message = {"role": "assistant", "content": ""}
        reason = "unload" if unload else "load"
        reply.json({"model": body["model"], "message": message, "done": True, "done_reason": reason})

    async def _answer(self, request: Request, reply: Reply, model: FakeModel, body: dict[str, Any]) -> None:
        script = self._next_scripts.popleft() if self._next_scripts else self._author(body)
        limit = (body.get("options") or {}).get("num_predict")
        speaker = Speaker(str(body["model"]), script, reply, limit=limit)
        mode = self._mode_for("/api/chat")
        if mode in ("404", "500", "503"):
            await MISBEHAVIOURS[mode](speaker, reply)
            return
        async with self.engine.slot(model, _context(body), body.get("keep_alive")) as load_s:
            if model.name in self.engine.leaked:
                await asyncio.Event().wait()
            if mode is not None:
                await MISBEHAVIOURS[mode](speaker, reply)
            else:
                await speaker.speak(asked=request.at, load_s=load_s)

    def _mode_for(self, path: str) -> str | None:
        for index, (mode, wanted) in enumerate(self._misbehave):
            if wanted == path:
                del self._misbehave[index]
                return mode
        return None


def _context(body: dict[str, Any]) -> int | None:
    return (body.get("options") or {}).get("num_ctx")


async def _serve(port: int, rate: float, load_s: float) -> None:
    async with FakeOllama(port=port) as fake:
        for model in fake.engine.models.values():
            model.load_s = load_s
        fake.answer_always(lambda body: Script(rate=rate))
        fake.offer("llama3.2:1b", [("weights", 1_300_000_000), ("licence", 8_000)], rate=30e6)
        fake.offer("qwen3:4b", [("more weights", 2_500_000_000)], rate=30e6, capabilities=("completion", "thinking"))
        print(f"fake Ollama at {fake.url}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="An Ollama without a language model.")
    parser.add_argument("--port", type=int, default=11434)
    parser.add_argument("--rate", type=float, default=30, help="tokens a second, 0: as fast as possible")
    parser.add_argument("--load", type=float, default=0, help="seconds the first load of a model takes")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, options.rate, options.load))


if __name__ == "__main__":
    main()
