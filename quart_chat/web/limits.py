"""How much one person may ask for: requests that change something a minute, sockets and streams at a time."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quart_chat.config import Settings
from quart_chat.edge.addresses import counted_as
from quart_chat.edge.bodies import DEFAULT_BYTES
from quart_chat.errors import RateLimitError

MINUTE_S = 60.0
PEOPLE_PER_ADDRESS = 10
"""A cookie costs nothing: however many people an address claims to be, it gets what ten may have."""
FORGET_ABOVE = 10_000
RETRY_S = 10
LONG_PATHS = ("/chat/", "/api/chat", "/api/history/", "/models/create")
"""Below these go messages, drafts and system prompts."""
BYTES_PER_CHARACTER = 12
"""The worst case: one outside the BMP as four `%XX` in a form or two `\\\\uXXXX` in JSON."""
LONGEST_SYSTEM_PROMPT = 20_000
FORM_BYTES = 16 * 1024


def body_limit(settings: Settings) -> Callable[[str, str], int]:
    """Bytes that the body of a request may have: 64 KiB; for messages what the longest one takes, however encoded."""
    prefixes = tuple(settings.base_path + path for path in LONG_PATHS)
    characters = max(settings.max_message_chars, LONGEST_SYSTEM_PROMPT)
    long = max(DEFAULT_BYTES, BYTES_PER_CHARACTER * characters + FORM_BYTES)

    def limit_of(method: str, path: str) -> int:
        return long if path.startswith(prefixes) else DEFAULT_BYTES

    return limit_of


class Rates:
    """A bucket a name: `per_minute` at once, refilled evenly."""

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """0 if it may; else the seconds after which it may again."""
        now = time.monotonic()
        tokens = self._tokens(name, now)
        if tokens < 1:
            return (1 - tokens) * MINUTE_S / self._most
        if len(self._buckets) >= FORGET_ABOVE:
            self._buckets = {key: kept for key, kept in self._buckets.items() if self._tokens(key, now) < self._most}
        self._buckets[name] = (tokens - 1, now)
        return 0.0

    def _tokens(self, name: str, now: float) -> float:
        tokens, then = self._buckets.get(name, (self._most, now))
        return min(self._most, tokens + (now - then) * self._most / MINUTE_S)


class Limits:
    """`person` as in `current.person`; `address` the client's. Nothing is limited where RATE_LIMIT_ENABLED is off."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.rate_limit_enabled
        self._people = Rates(settings.rate_limit_requests)
        self._addresses = Rates(settings.rate_limit_requests * PEOPLE_PER_ADDRESS)
        self._most = {"socket": settings.sockets_max_per_person, "stream": settings.rate_limit_streams}
        self._open: Counter[tuple[str, str]] = Counter()

    def count_request(self, person: str, address: str) -> None:
        """Raises RateLimitError if this one is too many."""
        if not self._on:
            return
        if wait := self._people.take(person) or self._addresses.take(counted_as(address)):
            raise RateLimitError("Too many requests in a minute.", math.ceil(wait))

    @contextmanager
    def one_more(self, kind: str, person: str, address: str) -> Iterator[None]:
        """Counts a "socket" or a "stream" while it is open. Raises RateLimitError if it is one too many."""
        keys = ((kind, person), (kind, f"from {counted_as(address)}"))
        most = self._most[kind]
        full = self._open[keys[0]] >= most or self._open[keys[1]] >= most * PEOPLE_PER_ADDRESS
        if self._on and full:
            raise RateLimitError("Too many are open at the same time.", RETRY_S)
        self._open.update(keys)
        try:
            yield
        finally:
            self._open.subtract(keys)
            for key in keys:
                if not self._open[key]:
                    del self._open[key]
