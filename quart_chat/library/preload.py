"""Whether a model that somebody chooses is loaded ahead of the first question: the rule, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from msgspec import Struct

from quart_chat.library.machine import Machine, fit_of
from quart_chat.model_entities import LoadedModel, ModelInfo, ModelUse
from quart_chat.providers.ollama_models import normalise, same_model

RECENT_MS = 5 * 60 * 1000
LOADED_MOST = 3
"""Without a setting of its own the engine keeps so many in memory at most, also where there is room for more."""


class Situation(Struct, frozen=True, kw_only=True):
    """What is known when `person` chooses `model`. `busy`: names of those that answer right now; `uses`: by normalised
    name. `num_ctx` 0: the engine's own."""

    model: ModelInfo
    person: str
    now: int
    num_ctx: int = 0
    loaded: Collection[LoadedModel] = ()
    busy: Collection[str] = ()
    uses: Mapping[str, ModelUse] = {}
    machine: Machine = Machine()


class Choice(Struct, frozen=True):
    """`ask`: say first that `leaving` would have to leave the memory."""

    what: Literal["nothing", "load", "ask"]
    leaving: str = ""


def choose(situation: Situation) -> Choice:
    """Load what takes nothing away from others, ask before it takes what somebody else used a moment ago."""
    model = situation.model
    if model.remote or _is_ready(situation):
        return Choice("nothing")
    others = [loaded for loaded in situation.loaded if not same_model(loaded.name, model.name)]
    answering = any(not same_model(name, model.name) for name in situation.busy)
    if has_room(model, others, situation.machine) or not (others or answering):
        return Choice("load")
    if answering:
        return Choice("nothing")
    for loaded in sorted(others, key=lambda other: other.expires_at):  # the first to expire is the first to go
        if _is_missed(loaded, situation):
            return Choice("ask", loaded.name)
    return Choice("load")


def has_room(model: ModelInfo, others: Collection[LoadedModel], machine: Machine) -> bool:
    """Known to fit beside what is in memory. The memory of graphics cards is not known to anybody here."""
    if len(others) >= LOADED_MOST or any(loaded.size_vram for loaded in others):
        return False
    return fit_of(model.size, machine, installed=True).memory == "fits"


def _is_ready(situation: Situation) -> bool:
    """In memory with that context, or busy with another: nobody interrupts an answer to reload it."""
    name, wanted = situation.model.name, situation.num_ctx
    if any(same_model(busy, name) for busy in situation.busy):
        return True
    return any(same_model(m.name, name) and wanted in (0, m.context_length) for m in situation.loaded)


def _is_missed(loaded: LoadedModel, situation: Situation) -> bool:
    use = situation.uses.get(normalise(loaded.name))
    return use is not None and use.person != situation.person and situation.now - use.at < RECENT_MS
