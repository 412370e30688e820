"""How much of a promise is tried: a quick form with every test run, the full one on demand; and what was measured."""

from __future__ import annotations

import os
import random

FULL = os.environ.get("QUART_CHAT_FULL") == "1"
"""`make crash` and `make soak` set it."""

figures: list[str] = []
"""Printed at the end of the run."""


def scaled(name: str, quick: int, full: int) -> int:
    """How often; `QUART_CHAT_<NAME>` in the environment overrules both."""
    return int(os.environ.get(f"QUART_CHAT_{name.upper()}") or (full if FULL else quick))


def measured(what: str) -> None:
    """Notes one line of figures for the end of the run."""
    figures.append(what)


def seeded() -> random.Random:
    """A fresh seed each run, noted, so that a failure can be had again with QUART_CHAT_SEED."""
    seed = int(os.environ.get("QUART_CHAT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"QUART_CHAT_SEED={seed}")
    return random.Random(seed)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
