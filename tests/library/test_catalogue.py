"""The shipped list of models, and what is offered of it."""

from __future__ import annotations

import re

import pytest

from quart_chat.library.catalogue import Known, Offer, available, canonical, read_catalogue
from quart_chat.library.machine import GB, Machine
from quart_chat.library.names import checked_name
from quart_chat.model_entities import ModelInfo
from quart_chat.providers.base import Recommendation

CAPABILITIES = {"completion", "tools", "insert", "vision", "embedding", "thinking", "audio"}
MACHINE = Machine(local=True, memory=int(8.4 * GB), memory_free=7 * GB, disk_free=40 * GB)
MODELS = read_catalogue().models


def offers(*installed: str, recommended: tuple[Recommendation, ...] = ()) -> list[Offer]:
    return available([ModelInfo(name=name) for name in installed], recommended, MACHINE)


def names(found: list[Offer]) -> list[str]:
    return [offer.name for offer in found]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_entry_is_whole(model: Known) -> None:
    assert checked_name(model.name) == model.name
    assert re.fullmatch(r"[^:/]+:[^:/]+", model.name), "of Ollama's own library, with its tag"
    assert 10_000_000 < model.size < 1_000 * GB
    assert re.fullmatch(r"\d+(\.\d+)?[MB]", model.parameter_size)
    assert model.family
    assert set(model.capabilities) <= CAPABILITIES
    assert ("completion" in model.capabilities) != ("embedding" in model.capabilities)
    assert model.context_length >= 512
    assert re.fullmatch(r"[A-Z].{19,99}\.", model.description), "one line in plain words"
    assert "!" not in model.description


def test_no_model_is_listed_twice_under_any_name() -> None:
    every = [name for model in MODELS for name in model.names]
    assert len(every) == len(set(every))


def test_the_list_says_of_which_month_it_is() -> None:
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", read_catalogue().dated)
    assert {offer.dated for offer in offers()} == {read_catalogue().dated}


def test_there_is_something_for_every_machine_and_use() -> None:
    chats = [model for model in MODELS if "completion" in model.capabilities]
    for least, most in ((0, 1), (1, 2), (2, 4), (4, 7), (7, 12), (12, 25), (25, 50)):
        assert len([model for model in chats if least * GB < model.size <= most * GB]) >= 2, (least, most)
    for capability, least in (("vision", 10), ("thinking", 10), ("insert", 3), ("embedding", 5), ("tools", 20)):
        assert len([model for model in MODELS if capability in model.capabilities]) >= least, capability


@pytest.mark.parametrize("installed", [
    "llama3.2", "llama3.2:latest", "llama3.2:3b", "LLAMA3.2:3B", "library/llama3.2",
    "registry.ollama.ai/library/llama3.2",
])  # fmt: skip
def test_what_is_installed_is_not_offered_however_it_is_spelled(installed: str) -> None:
    found = names(offers(installed))
    assert "llama3.2:3b" not in found
    assert "llama3.2:1b" in found
    assert len(found) == len(MODELS) - 1


def test_somebody_elses_model_of_that_name_is_another_one() -> None:
    assert "llama3.2:3b" in names(offers("somebody/llama3.2:3b", "hf.co/library/llama3.2"))
    assert canonical("hf.co/library/llama3.2") == "hf.co/library/llama3.2:latest"


def test_the_recommended_come_first_in_their_order_then_by_size_and_what_runs_elsewhere_last() -> None:
    found = offers(
        recommended=(
            Recommendation(name="big:cloud", remote=True),
            Recommendation(name="qwen3.6", description="As the engine says."),
            Recommendation(name="gemma4"),
        )
    )
    assert names(found)[:2] == ["qwen3.6", "gemma4"]
    assert names(found)[-1] == "big:cloud"
    sizes = [offer.size for offer in found[2:-1]]
    assert sizes == sorted(sizes)
    assert [offer.recommended for offer in found] == [True, True, *[False] * (len(found) - 3), True]
    assert [offer.name for offer in found if offer.remote] == ["big:cloud"]


def test_a_recommended_model_of_the_list_has_its_facts_and_is_listed_once() -> None:
    found = offers(recommended=(Recommendation(name="gemma4"), Recommendation(name="gemma4:e4b")))
    assert [name for name in names(found) if name in ("gemma4", "gemma4:e4b")] == ["gemma4"]
    assert (found[0].family, found[0].size > 0, found[0].recommended) == ("gemma4", True, True)


def test_a_recommended_model_that_is_not_of_the_list_says_what_the_engine_said() -> None:
    said = Recommendation(name="new:7b", description="New.", context_length=4096, vram_bytes=5 * GB)
    offer = offers(recommended=(said,))[0]
    assert (offer.name, offer.description, offer.context_length, offer.size) == ("new:7b", "New.", 4096, 0)
    assert (offer.fit.memory, offer.fit.disk, offer.dated) == ("fits", "unknown", "")


def test_a_recommended_model_that_is_installed_is_not_offered() -> None:
    assert "gemma4" not in names(offers("gemma4:e4b", recommended=(Recommendation(name="gemma4"),)))


def test_a_model_that_runs_elsewhere_says_so_instead_of_how_it_fits() -> None:
    offer = offers(recommended=(Recommendation(name="big:cloud", remote=True, vram_bytes=5 * GB),))[-1]
    assert (offer.fit.memory, offer.fit.disk) == ("unknown", "unknown")
    assert "ollama.com" in offer.fit.words


def test_every_offer_says_how_it_fits() -> None:
    fits = {offer.name: offer.fit for offer in offers()}
    assert (fits["llama3.2:1b"].memory, fits["llama3.3:70b"].memory) == ("fits", "too_large")
    assert all(fit.words for fit in fits.values())
