"""Names, permissions, and when a chosen model is loaded ahead: plain rules."""

from __future__ import annotations

from typing import Any

import pytest

from quart_chat.entities import OWNER_ID
from quart_chat.errors import ForbiddenError, InvalidInputError
from quart_chat.library.machine import Machine
from quart_chat.library.names import checked_name
from quart_chat.library.permissions import may_manage, need_manager
from quart_chat.library.preload import RECENT_MS, Choice, Situation, choose
from quart_chat.model_entities import LoadedModel, ModelInfo, ModelUse

GB = 10**9
NOW = 10**12
WANTED = ModelInfo(name="new:latest", size=4 * GB)
OTHER = LoadedModel(name="old:latest", size=4 * GB)
ROOMY = Machine(local=True, memory=64 * GB, memory_free=50 * GB)
FULL = Machine(local=True, memory=8 * GB, memory_free=1 * GB)


@pytest.mark.parametrize("name", [
    "llama3.2", "llama3.2:3b", "LLAMA:Latest", "me/model", "me/model:q4_K_M", "hf.co/org/Some.Repo-GGUF:Q4_K_M",
    "127.0.0.1:5000/test/tiny:latest", "registry.ollama.ai/library/x", "_x", " spaced ",
])  # fmt: skip
def test_names_that_engines_take_are_taken(name: str) -> None:
    assert checked_name(name) == name.strip()


@pytest.mark.parametrize("name", [
    "", "  ", "a b", "/x", "x/", "a//b", "a/b/c/d", "http://host/ns/model", "x:", ":tag", "x:a:b", "-x", ".x", "x\n",
    "ä", "x@sha256:1", "../../etc/passwd", "x" * 81, "h/n/" + "m" * 200, "<script>", "x?y", "x;y",
    "demo", "Demo:latest",
])  # fmt: skip
def test_names_that_are_none_are_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        checked_name(name.replace("\n", "\ny"))
    assert len(name.strip()) < 5 or name not in caught.value.message
    assert "model" in caught.value.fields


def test_the_owner_may_change_what_is_here_and_nobody_else() -> None:
    assert may_manage(OWNER_ID)
    need_manager(OWNER_ID)
    with pytest.raises(ForbiddenError):
        need_manager("guest")


def used(by: str, ago_ms: int = 1000) -> dict[str, ModelUse]:
    use = ModelUse(model="old", session_id="s", user_id=OWNER_ID, person=by, at=NOW - ago_ms)
    return {"old:latest": use}


def situation(**more: Any) -> Situation:
    return Situation(**({"model": WANTED, "person": "me", "now": NOW} | more))


@pytest.mark.parametrize(("more", "choice"), [
    ({}, Choice("load")),
    ({"model": ModelInfo(name="far:cloud", remote=True)}, Choice("nothing")),
    ({"loaded": [LoadedModel(name="NEW")]}, Choice("nothing")),
    ({"loaded": [LoadedModel(name="new", context_length=4096)], "num_ctx": 4096}, Choice("nothing")),
    ({"loaded": [LoadedModel(name="new", context_length=4096)], "num_ctx": 8192}, Choice("load")),
    ({"loaded": [LoadedModel(name="new", context_length=4096)], "num_ctx": 8192, "busy": ["new"]}, Choice("nothing")),
    ({"busy": ["old"]}, Choice("nothing")),
    ({"loaded": [OTHER], "busy": ["old"], "machine": FULL}, Choice("nothing")),
    ({"loaded": [OTHER], "busy": ["old"], "machine": ROOMY}, Choice("load")),
    ({"loaded": [OTHER], "uses": used("you"), "machine": ROOMY}, Choice("load")),
    ({"loaded": [OTHER], "uses": used("you"), "machine": FULL}, Choice("ask", "old:latest")),
    ({"loaded": [OTHER], "uses": used("you")}, Choice("ask", "old:latest")),
    ({"loaded": [OTHER], "uses": used("me")}, Choice("load")),
    ({"loaded": [OTHER], "uses": used("you", RECENT_MS)}, Choice("load")),
    ({"loaded": [OTHER], "uses": {}}, Choice("load")),
    ({"loaded": [LoadedModel(name="old", size=1, size_vram=1)], "uses": used("you"), "machine": ROOMY},
     Choice("ask", "old")),
    ({"loaded": [LoadedModel(name=n) for n in ("old", "b", "c")], "uses": used("you"), "machine": ROOMY},
     Choice("ask", "old")),
    ({"model": ModelInfo(name="new"), "loaded": [OTHER], "uses": used("you"), "machine": ROOMY},
     Choice("ask", "old:latest")),
])  # fmt: skip
def test_a_chosen_model_is_loaded_ahead_if_that_takes_nothing_from_others(more: dict[str, Any], choice: Choice) -> None:
    assert choose(situation(**more)) == choice
