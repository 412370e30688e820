"""How far one download is, from the engine's lines and a clock. Arithmetic only.

An engine names the layers as it reaches them, never the whole: `total` grows. What it says of a layer may fall (a part
that failed is fetched again) and a layer that came quickly is never mentioned. What is shown never falls: neither the
bytes nor the share, which waits for the bytes where a layer turns up that nobody knew of.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct
from msgspec.structs import replace

from quart_chat.model_entities import Job
from quart_chat.providers.base import PullLine

STALLED_AFTER_S = 10.0
SPEED_OVER_MS = 5_000
SPEED_FROM_MS = 400
"""A speed over less than this is noise."""
SAMPLE_MS = 200
SHORT_DIGEST = 12


class _Layer(Struct):
    total: int = 0
    completed: int = 0
    """The most it ever was."""
    said: int | None = None
    """What the last line of this attempt said."""


class Progress:
    """All moments are milliseconds of one clock that never goes back. `expected`: bytes of the whole as far as it is
    known beforehand, or 0. Stalled: nothing came for longer than `stalled_after_s`."""

    def __init__(self, now: int, *, expected: int = 0, stalled_after_s: float = STALLED_AFTER_S) -> None:
        self.phase = "manifest"
        self.since = now
        self.layer = ""
        self.completed = 0
        self.total = 0
        self.share = 0.0
        self._expected = expected
        self._stalled_after_ms = stalled_after_s * 1000
        self._layers: dict[str, _Layer] = {}
        self._moved_at = now
        self._flowed = 0
        self._samples: deque[tuple[int, int]] = deque([(now, 0)])

    def take(self, line: PullLine, now: int) -> None:
        if line.digest or line.total:
            self._take_layer(line, now)
        elif line.status.startswith("pulling manifest"):
            self._enter("manifest", now)
        elif line.status.startswith("verifying"):
            self._all_here()
            self._enter("verifying", now)
        elif line.status.startswith(("writing", "removing", "success")):
            self._all_here()
            self._enter("writing", now)
        self._count()

    def again(self, now: int) -> None:
        """A new attempt: the first line of each layer only says where it goes on."""
        for layer in self._layers.values():
            layer.said = None
        self._moved_at = now
        self._enter("manifest", now)

    def halt(self) -> None:
        """The attempt is over, another one will follow: nothing moves until then."""
        self.phase, self.since = "stalled", self._moved_at

    def finish(self, now: int) -> None:
        """It is here whole."""
        self._all_here()
        self._enter("writing", now)
        self._count()

    @property
    def fetching(self) -> bool:
        """Bytes have come and more are to come."""
        return bool(self._layers) and self.phase in ("manifest", "downloading", "stalled")

    @property
    def reached(self) -> int:
        """Bytes that are here, as the engine counts them."""
        return sum(layer.completed for layer in self._layers.values())

    def shown_on(self, job: Job, now: int) -> Job:
        """The job as it stands now. As long as no layer is known it keeps the bytes that it had."""
        if self.phase == "downloading" and now - self._moved_at > self._stalled_after_ms:
            self.halt()
        speed = self._speed(now) if self.phase == "downloading" else 0.0
        shown = replace(
            job,
            phase=self.phase,
            since=self.since,
            layer=self.layer,
            bytes_per_s=round(speed),
            eta_s=round((self.total - self.completed) / speed, 1) if speed else None,
        )
        if not self._layers:
            return shown
        return replace(shown, completed=self.completed, total=self.total, most_share=self.share)

    def _take_layer(self, line: PullLine, now: int) -> None:
        key = line.digest or line.status
        said = max(0, line.completed)
        if key not in self._layers:
            self._all_here()  # they come one after the other
        layer = self._layers.setdefault(key, _Layer())
        moved = layer.said is not None and said > layer.said
        if moved:
            self._flowed += said - (layer.said or 0)
        first, layer.said = layer.said is None, said
        layer.total = max(layer.total, line.total, said)
        layer.completed = max(layer.completed, said)
        self.layer = line.digest.removeprefix("sha256:")[:SHORT_DIGEST]
        if moved or first:
            self._moved_at = now
        if self.phase != "downloading" and (moved or first or self.phase != "stalled"):
            self._enter("downloading", now)
            self._samples = deque([(now, self._flowed)])

    def _all_here(self) -> None:
        for layer in self._layers.values():
            layer.completed = layer.total

    def _count(self) -> None:
        if not self._layers:
            return
        known = sum(layer.total for layer in self._layers.values())
        whole = self.phase in ("verifying", "writing")
        self.completed = max(self.completed, self.reached)
        self.total = known if whole else max(known, self._expected, self.total)
        self.share = max(self.share, self.completed / self.total) if self.total else 0.0

    def _enter(self, phase: str, now: int) -> None:
        if phase != self.phase:
            self.phase, self.since = phase, now

    def _sample(self, now: int) -> None:
        if now - self._samples[-1][0] >= SAMPLE_MS:
            self._samples.append((now, self._flowed))
        while len(self._samples) > 2 and now - self._samples[1][0] >= SPEED_OVER_MS:
            self._samples.popleft()

    def _speed(self, now: int) -> float:
        """Bytes a second over the last few seconds; 0 until that can be said."""
        self._sample(now)
        began, before = self._samples[0]
        return (self._flowed - before) * 1000 / (now - began) if now - began >= SPEED_FROM_MS else 0.0
