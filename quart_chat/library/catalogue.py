"""What one could pull and has not: a dated list of well-known models that we ship, and what the engine suggests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from quart_chat.library.machine import Fit, Machine, fit_of
from quart_chat.model_entities import ModelInfo
from quart_chat.providers.base import Recommendation
from quart_chat.providers.ollama_models import normalise

FILE = Path(__file__).with_name("catalogue.json")
OWN_REGISTRY = ("registry.ollama.ai/library/", "registry.ollama.ai/", "library/")
"""What may stand before a name of the Ollama library without meaning another model."""
RUNS_ELSEWHERE = Fit(
    words="Runs at ollama.com: it needs no memory or disk here, and what you write leaves this machine."
)


class Known(Struct, frozen=True, kw_only=True):
    """A model of the shipped list: bytes on disk, tokens it was trained for. `latest`: the bare name means it."""

    name: str
    size: int
    parameter_size: str
    family: str
    capabilities: tuple[str, ...]
    context_length: int
    description: str
    latest: bool = False

    @property
    def names(self) -> set[str]:
        """Every name that means it, as `canonical` writes them."""
        own = canonical(self.name)
        return {own, f"{own.partition(':')[0]}:latest"} if self.latest else {own}


class Catalogue(Struct, frozen=True, kw_only=True):
    """`dated`: year and month in which the facts were gathered; a model may have changed since."""

    dated: str
    models: tuple[Known, ...]


class Offer(Struct, frozen=True, kw_only=True):
    """A model one could pull. `size` 0 and empty texts: unknown. `dated` is empty where the engine itself said it."""

    name: str
    description: str = ""
    size: int = 0
    parameter_size: str = ""
    capabilities: tuple[str, ...] = ()
    family: str = ""
    context_length: int = 0
    fit: Fit = Fit()
    recommended: bool = False
    remote: bool = False
    dated: str = ""


def read_catalogue() -> Catalogue:
    """Reads the shipped file: less than a millisecond, so nobody keeps it."""
    return msgspec.json.decode(FILE.read_bytes(), type=Catalogue)


def available(
    installed: Iterable[ModelInfo], recommendations: Iterable[Recommendation], machine: Machine
) -> list[Offer]:
    """What is not installed under any of its names: first what the engine recommends, in its order, then by size;
    what runs elsewhere comes last."""
    catalogue = read_catalogue()
    known = {name: model for model in catalogue.models for name in model.names}
    taken = {canonical(model.name) for model in installed}
    suggested: list[Offer] = []
    elsewhere: list[Offer] = []
    for recommendation in recommendations:
        name = canonical(recommendation.name)
        model = known.get(name)
        names = model.names if model else {name}
        if taken.isdisjoint(names):
            taken |= names
            into = elsewhere if recommendation.remote else suggested
            into.append(_recommended(recommendation, model, catalogue.dated, machine))
    rest = [_listed(model, catalogue.dated, machine) for model in catalogue.models if taken.isdisjoint(model.names)]
    return suggested + sorted(rest, key=lambda offer: offer.size) + elsewhere


def canonical(name: str) -> str:
    """The form in which all spellings of one name are equal, as `Llama3.2` and `library/llama3.2:latest` are."""
    name = normalise(name)
    for prefix in OWN_REGISTRY:
        name = name.removeprefix(prefix)
    return name


def _listed(model: Known, dated: str, machine: Machine) -> Offer:
    return Offer(
        name=model.name,
        description=model.description,
        size=model.size,
        parameter_size=model.parameter_size,
        capabilities=model.capabilities,
        family=model.family,
        context_length=model.context_length,
        fit=fit_of(model.size, machine),
        dated=dated,
    )


def _recommended(said: Recommendation, model: Known | None, dated: str, machine: Machine) -> Offer:
    """The list knows more than the engine says, but the name is the engine's."""
    if model is not None and not said.remote:
        return replace(_listed(model, dated, machine), name=said.name, recommended=True)
    return Offer(
        name=said.name,
        description=said.description,
        context_length=said.context_length,
        fit=RUNS_ELSEWHERE if said.remote else fit_of(0, machine, needed=said.vram_bytes),
        recommended=True,
        remote=said.remote,
    )
