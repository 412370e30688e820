"""<think> at the start of an answer is thinking, wherever the pieces were cut; anywhere else it is text."""

from __future__ import annotations

import pytest

from quart_chat.providers.base import ThinkingChunk
from quart_chat.providers.think_tags import ThinkTagFilter

CASES = [
    ("<think>Let me see</think>The answer", "Let me see", "The answer"),
    ("\n <think>\nhm\n</think>\n\nYes", "\nhm\n", "Yes"),
    ("<think></think>Straight", "", "Straight"),
    ("<think>never closed", "never closed", ""),
    ("<think>a < b </thin x</think>c", "a < b </thin x", "c"),
    ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    ("No <think>tag</think>", "", "No <think>tag</think>"),
    ("<thinking>no</thinking>", "", "<thinking>no</thinking>"),
    ("<thi", "", "<thi"),
    ("  plain", "", "  plain"),
    ("<think>half a tag</th", "half a tag</th", ""),
    ("", "", ""),
]


def filtered(pieces: list[str]) -> tuple[str, str]:
    tags = ThinkTagFilter()
    chunks = [chunk for piece in pieces for chunk in tags.feed(piece)] + tags.finish()
    thinking = "".join(chunk.text for chunk in chunks if isinstance(chunk, ThinkingChunk))
    return thinking, "".join(chunk.text for chunk in chunks if not isinstance(chunk, ThinkingChunk))


@pytest.mark.parametrize(("text", "thinking", "content"), CASES)
def test_cut_anywhere_the_two_are_told_apart(text: str, thinking: str, content: str) -> None:
    assert filtered([text]) == (thinking, content)
    assert filtered(list(text)) == (thinking, content)
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            assert filtered([text[:first], text[first:second], text[second:]]) == (thinking, content)


def test_plain_text_is_not_held_back() -> None:
    tags = ThinkTagFilter()
    assert [chunk.text for chunk in tags.feed("Hello")] == ["Hello"]
    assert [chunk.text for chunk in tags.feed(" <")] == [" <"]


def test_thoughts_are_not_held_back_longer_than_a_tag() -> None:
    tags = ThinkTagFilter()
    tags.feed("<think>")
    assert [chunk.text for chunk in tags.feed("some thought")] == ["some thought"]
