"""The demo says what it is, says the same to the same, and shows what answers can look like."""

from __future__ import annotations

import asyncio
import time

import pytest

from quart_chat.entities import Parameters, Role
from quart_chat.errors import ModelRefusedError
from quart_chat.providers.base import ChatRequest, PromptTurn
from quart_chat.providers.demo import DEMO_MODEL, DemoProvider
from quart_chat.providers.demo_rules import turned_round
from quart_chat.providers.demo_talk import answer
from quart_chat.providers.demo_texts import INTRODUCTION
from tests.providers.helpers import ask, pulled, question


def conversation(*texts: str) -> tuple[PromptTurn, ...]:
    """User and assistant by turns."""
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(PromptTurn(role=roles[n % 2], content=text) for n, text in enumerate(texts))


def later(text: str) -> str:
    return answer(conversation("Hi", "Hello!", text))


def test_the_first_answer_says_that_it_is_no_language_model() -> None:
    assert answer(conversation("Hi")).startswith(INTRODUCTION)
    assert "not a language model" in INTRODUCTION
    assert "not a language model" not in later("I like tea")


def test_the_same_conversation_gets_the_same_answer() -> None:
    for text in ("I need a rest", "the weather", "why?", ""):
        assert later(text) == later(text)
    assert len({later(f"the weather {n}") for n in range(30)}) > 1


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("I need my coffee", "your coffee"),
        ("I am afraid", "afraid"),
        ("I think that you are wrong. Really!", "I are wrong"),
        ("My sister is nice", "your sister"),
    ],
)
def test_words_are_turned_round(said: str, back: str) -> None:
    replies = {answer(conversation("Hi", "Hello", *["x", "y"] * n, said)) for n in range(12)}
    assert any(back in reply for reply in replies), replies


def test_what_was_mentioned_is_remembered_when_nothing_else_is_heard() -> None:
    assert "garden" in answer(conversation("I like my garden", "Nice.", "hm"))


def test_reflection_ends_with_the_sentence() -> None:
    assert turned_round("my dog and you. And more") == "your dog and I"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("What is this?", "quart-chat"),
        ("How do I start Ollama?", "ollama serve"),
        ("help", "Show me Markdown"),
        ("Tell me a longer story", "lighthouse"),
    ],
)
def test_it_helps_with_what_it_knows(asked: str, told: str) -> None:
    assert told in later(asked)


def test_markdown_shows_a_heading_a_list_a_table_and_code() -> None:
    shown = later("Show me Markdown")
    for piece in ("\n1. ", "## ", "\n|:---", "```python\n", "\n> ", "- [x]"):
        assert piece in shown


def test_an_answer_that_was_cut_is_continued_where_it_ended() -> None:
    turns = conversation("Tell me a story")
    whole = answer(turns)
    begun = whole[:200]
    assert begun + answer((*turns, PromptTurn(role=Role.ASSISTANT, content=begun))) == whole


def test_after_an_answer_that_is_not_its_own_it_still_says_something() -> None:
    assert answer(conversation("Hi", "Somebody else's words")).strip()
    assert answer((PromptTurn(role=Role.SYSTEM, content="Be brief."),)).strip()


def test_a_very_long_message_is_answered_quickly() -> None:
    started = time.perf_counter()
    for text in ("I am " * 50_000, "my " * 50_000, "x" * 300_000, "what " * 50_000):
        assert answer(conversation(text))
    assert time.perf_counter() - started < 0.5


async def test_it_speaks_word_by_word_at_its_pace() -> None:
    started = time.monotonic()
    heard = await ask(DemoProvider(words_per_s=200), question("Hi", model=DEMO_MODEL))
    words = heard.final.statistics.output_tokens
    assert len(heard.chunks) == words + 1
    assert time.monotonic() - started >= words / 200
    assert heard.content == answer(question("Hi").turns)


async def test_its_model_is_plainly_the_demo() -> None:
    demo = DemoProvider()
    (model,) = await demo.list_models()
    assert (model.name, model.family, model.provider) == ("demo", "demo", "demo")
    assert [loaded.size for loaded in await demo.running_models()] == [0]


async def test_no_turns_are_refused() -> None:
    assert (await ask(DemoProvider(), ChatRequest(model=DEMO_MODEL, turns=()))).error is not None


async def test_it_has_no_files_to_download_delete_copy_or_create() -> None:
    demo = DemoProvider()
    doing = (
        demo.delete_model(DEMO_MODEL),
        demo.copy_model(DEMO_MODEL, "other"),
        demo.create_model("other", source=DEMO_MODEL, system="", parameters=Parameters()),
    )
    errors = [*await asyncio.gather(*doing, return_exceptions=True), (await pulled(demo, DEMO_MODEL)).error]
    assert [type(error) for error in errors] == [ModelRefusedError] * 4
    assert {str(error) for error in errors} == {"The demo needs no files."}
    assert await demo.recommendations() == []
