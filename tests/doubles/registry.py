"""The registry behind the fake Ollama and its disk: what can be pulled, how fast it comes, and how it goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.engine import FakeEngine, FakeModel, tagged

LINE_S = 0.06
"""The real one reports so often."""

STEP_S = 0.005
HOST = "registry.ollama.ai"
NOT_THERE = "pull model manifest: file does not exist"
NO_HOST = (
    f'pull model manifest: Get "https://{HOST}/v2/library/x/manifests/latest": dial tcp: lookup {HOST}: no such host'
)
TOO_OLD = (
    "pull model manifest: 412: \n\nThe model you are attempting to pull requires a newer version of Ollama that may be "
    "in pre-release.\n\nPlease see https://github.com/ollama/ollama/releases for more details.\n\n"
)
RETRIES = (
    f'max retries exceeded: Get "https://{HOST}/v2/library/x/blobs/sha256:0": '
    "dial tcp 1.2.3.4:443: connect: connection refused"
)
DISK_FULL = "write /usr/share/ollama/.ollama/models/blobs/sha256-0-partial-0: no space left on device"
MISMATCH = "digest mismatch, file must be downloaded again: want sha256:0, got sha256:1"
AT_MANIFEST = {"registry_gone": NO_HOST, "too_old": TOO_OLD}
TROUBLES = ("", *AT_MANIFEST, "registry_dies", "stall", "silent", "disk_full", "falling", "digest_mismatch")

Say = Callable[[dict[str, Any]], Awaitable[None]]


class PullError(Exception):
    """Its text is the `error` that Ollama would give."""


@dataclass
class Layer:
    digest: str
    size: int

    def line(self, completed: int) -> dict[str, Any]:
        line = {"status": f"pulling {self.digest[7:19]}", "digest": self.digest, "total": self.size}
        return {**line, "completed": completed} if completed else line


@dataclass
class Hold:
    """Stops a download at `at` bytes of all its layers together. `held`: it stands there; `resume`: set to go on."""

    at: int
    held: asyncio.Event = field(default_factory=asyncio.Event)
    resume: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Offer:
    """A model in the registry. `rate` bytes per second, 0: at once. `verify_s`: how long its check takes.

    `trouble`, one of TROUBLES, comes at `trouble_at` bytes (default: half) and lasts `trouble_s`, or until
    `go_on` is set: registry_dies repeats its line, then gives up; stall repeats it, then goes on; silent says
    nothing any more; falling loses a part once. Set it to "" and the next pull is well again.
    """

    name: str
    layers: list[Layer]
    rate: float
    digest: str
    details: dict[str, Any]
    trouble: str = ""
    trouble_at: int | None = None
    trouble_s: float = 0.3
    verify_s: float = 0.0
    holds: list[Hold] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    muted: bool = False

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)

    def hold(self, at: int) -> Hold:
        hold = Hold(at)
        self.holds.append(hold)
        return hold

    @property
    def troubled_at(self) -> int:
        return self.size // 2 if self.trouble_at is None else self.trouble_at

    def next_stop(self, position: int) -> int:
        """No step may pass it."""
        stops = [hold.at for hold in self.holds if not hold.resume.is_set()]
        return min((at for at in (*stops, self.troubled_at) if at > position), default=self.size)


class FakeRegistry:
    """`disk` says how much of each layer (by digest) is there. `trouble` is that of every offer that has none."""

    def __init__(self, engine: FakeEngine) -> None:
        self.offers: dict[str, Offer] = {}
        self.disk: dict[str, int] = {}
        self.trouble = ""
        self.line_s = LINE_S
        self._engine = engine
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._wanted: dict[str, int] = {}

    def offer(
        self, name: str, layers: Sequence[tuple[str, int]] = (), *, rate: float = 0.0, digest: str = "", **details: Any
    ) -> Offer:
        """Replaces an offer of that name. A layer's digest may be any word; trouble and holds as in `Offer`."""
        own = {key: details.pop(key) for key in list(details) if key in Offer.__dataclass_fields__}
        assert own.get("trouble", "") in TROUBLES
        name = tagged(name)
        wanted = [Layer(sha256(word), size) for word, size in layers or ((name, 2_000_000), (f"{name} config", 500))]
        digest = digest or FakeModel(name).digest
        self.offers[name] = Offer(name, wanted, rate, digest, details, **own)
        return self.offers[name]

    async def pull(self, name: str, say: Say) -> None:
        """Raises `PullError`. Cancelled, it keeps what came; the model is there when this returns."""
        await say({"status": "pulling manifest"})
        offer = self._manifest(tagged(name))
        before = 0
        for layer in offer.layers:
            await self._layer(offer, layer, before, say)
            before += layer.size
        await say({"status": "verifying sha256 digest"})
        await asyncio.sleep(offer.verify_s)
        if self._trouble(offer) == "digest_mismatch":
            self.disk.pop(offer.layers[0].digest)
            raise PullError(MISMATCH)
        await say({"status": "writing manifest"})
        if self._install(offer):
            await say({"status": "removing unused layers"})

    def forget_layers(self, model: FakeModel) -> None:
        """Those that no other model has."""
        kept = {digest for other in self._engine.models.values() for digest in other.layers}
        for digest in set(model.layers) - kept:
            self.disk.pop(digest, None)

    def _trouble(self, offer: Offer) -> str:
        return offer.trouble or self.trouble

    def _manifest(self, name: str) -> Offer:
        offer = self.offers.get(name)
        trouble = self.trouble if offer is None else self._trouble(offer)
        if trouble in AT_MANIFEST:
            raise PullError(AT_MANIFEST[trouble])
        if offer is None:
            raise PullError(NOT_THERE)
        offer.muted = False
        if (present := self._engine.models.get(name)) is not None and present.digest == offer.digest:
            self.disk.update((layer.digest, layer.size) for layer in offer.layers)
        return offer

    async def _layer(self, offer: Offer, layer: Layer, before: int, say: Say) -> None:
        if self.disk.get(layer.digest) == layer.size:
            await say(layer.line(layer.size))
            return
        async with self._transfer(offer, layer, before) as coming:
            while not (await asyncio.wait({coming}, timeout=self.line_s))[0]:
                if not offer.muted:
                    await say(layer.line(self.disk.get(layer.digest, 0)))
            coming.result()

    @asynccontextmanager
    async def _transfer(self, offer: Offer, layer: Layer, before: int) -> AsyncIterator[asyncio.Task[None]]:
        """One for everybody who wants the layer; the last who leaves stops it."""
        digest = layer.digest
        if digest not in self._coming:
            self._coming[digest] = asyncio.create_task(self._fetch(offer, layer, before))
        coming = self._coming[digest]
        self._wanted[digest] = self._wanted.get(digest, 0) + 1
        try:
            yield coming
        finally:
            self._wanted[digest] -= 1
            if not self._wanted[digest]:
                self._coming.pop(digest, None)
                coming.cancel()

    async def _fetch(self, offer: Offer, layer: Layer, before: int) -> None:
        clock = asyncio.get_running_loop().time
        self.disk.setdefault(layer.digest, 0)
        passed = before + self.disk[layer.digest] > offer.troubled_at
        while True:
            have = self.disk[layer.digest]
            await _stand(offer, before + have)
            if not passed and before + have >= offer.troubled_at:
                passed = True
                await self._go_wrong(offer, layer)
                continue
            if have >= layer.size:
                return
            most = min(layer.size, offer.next_stop(before + have) - before)
            if offer.rate:
                started = clock()
                await asyncio.sleep(STEP_S)
                most = min(most, have + max(1, round(offer.rate * (clock() - started))))
            self.disk[layer.digest] = most

    async def _go_wrong(self, offer: Offer, layer: Layer) -> None:
        trouble = self._trouble(offer)
        if trouble == "disk_full":
            raise PullError(DISK_FULL)
        if trouble == "falling":
            self.disk[layer.digest] -= self.disk[layer.digest] // 3
        if trouble == "silent":
            offer.muted = True
            await asyncio.Event().wait()
        if trouble in ("registry_dies", "stall"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(offer.trouble_s):
                    await offer.go_on.wait()
        if trouble == "registry_dies":
            raise PullError(RETRIES)

    def _install(self, offer: Offer) -> bool:
        """True: it took the place of another version."""
        before = self._engine.models.get(offer.name)
        layers = tuple(layer.digest for layer in offer.layers)
        details = {"size": offer.size, **offer.details}
        self._engine.models[offer.name] = FakeModel(offer.name, digest=offer.digest, layers=layers, **details)
        if before is not None:
            self.forget_layers(before)
        return before is not None and before.digest != offer.digest


async def _stand(offer: Offer, position: int) -> None:
    for hold in offer.holds:
        if hold.at <= position and not hold.resume.is_set():
            hold.held.set()
            await hold.resume.wait()


def sha256(word: str) -> str:
    return word if word.startswith("sha256:") else "sha256:" + hashlib.sha256(word.encode()).hexdigest()
