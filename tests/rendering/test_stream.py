"""A message that grows ends as the same HTML that its history shows, whatever pieces it came in."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quart_chat.rendering import MarkdownStream, Progress, render
from tests.rendering.checks import faults, history, streamed

ATOMS = [
    *("word ", "another one. ", "\n", "\n\n", "- ", "1. ", "2) ", "  ", "    ", "\t", "> ", "# ", "## Head\n"),
    *("```", "```python\n", "```\n", "~~~\n", "   ```js\n", "| a | b |\n", "|---|:-:|\n", "| 1 | 2 |\n", "x = 1\n"),
    *("*", "**", "_", "`", "[x]", "[x]: http://a.example/c\n", "[y](http://q.example)", "![j][x]", "---\n", "===\n"),
    *("<b>", "&amp;", "\\", "\r\n", "\r", "\0", "🖼", "é", "- [ ] t\n", "- item\n", "  - sub\n", " \n", "[", "]("),
    "lorem ipsum dolor sit amet. " * 40,
]


def poll_all(stream: MarkdownStream, final: bool = False) -> Progress:
    """One progress with all blocks, as if the budget were endless."""
    blocks: tuple[str, ...] = ()
    while (progress := stream.poll(final=final)).more:
        blocks += progress.blocks
    return Progress(blocks + progress.blocks, progress.tail, False, progress.rewrite)


@given(st.lists(st.sampled_from(ATOMS), max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_pieces_do_not_matter(parts: list[str], chance: random.Random) -> None:
    text = "".join(parts)
    assert streamed(text, chance) == history(text)


@given(st.text(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_pieces_do_not_matter_for_any_text(text: str, chance: random.Random) -> None:
    assert streamed(text, chance, longest=5) == history(text)


def test_a_finished_block_is_given_once_and_the_tail_is_not_among_the_blocks() -> None:
    stream = MarkdownStream("# One\n\nTwo *is")
    first = stream.poll()
    assert first.blocks == ("<h3>One</h3>\n",)
    assert (first.tail.kind, first.tail.html) == ("markdown", "<p>Two *is</p>\n")
    stream.feed("* here\n\nThree")
    second = stream.poll()
    assert second.blocks == ("<p>Two <em>is</em> here</p>\n",)
    assert second.tail.html == "<p>Three</p>\n"
    assert stream.poll(final=True).blocks == ("<p>Three</p>\n",)
    assert stream.poll(final=True).blocks == ()


def test_polling_without_news_gives_the_same_tail() -> None:
    stream = MarkdownStream("abc")
    assert stream.poll().tail is stream.poll().tail


def test_nothing_fed_is_nothing_shown() -> None:
    progress = MarkdownStream().poll()
    assert (progress.blocks, progress.tail.kind, progress.more) == ((), "none", False)


def test_open_code_only_grows_and_has_no_newline_that_was_not_written() -> None:
    text = "```python\nif x:\n    y = 1\n``\n   \nz\n"
    stream, seen = MarkdownStream(), ""
    for character in text:
        stream.feed(character)
        tail = stream.poll().tail
        if tail.kind == "code":
            assert tail.language == "python"
            assert tail.code.startswith(seen)
            seen = tail.code
    assert seen == "if x:\n    y = 1\n``\n   \nz\n"


def test_a_line_that_may_close_the_code_is_held_back() -> None:
    stream = MarkdownStream("```\nx\n``")
    assert stream.poll().tail.code == "x\n"
    stream.feed("y")
    assert stream.poll().tail.code == "x\n``y"
    stream.feed("\n```\n")
    progress = stream.poll()
    assert progress.tail.kind == "none"
    assert len(progress.blocks) == 1


def test_a_fence_after_text_without_a_blank_line_streams_as_code() -> None:
    stream = MarkdownStream("Like this:\n```sh\nls")
    progress = stream.poll()
    assert progress.blocks == ("<p>Like this:</p>\n",)
    assert (progress.tail.kind, progress.tail.language, progress.tail.code) == ("code", "sh", "ls")


def test_carriage_returns_split_between_pieces_count_once() -> None:
    stream = MarkdownStream()
    for piece in ("```\r", "\na\r", "\nb\r", "\n"):
        stream.feed(piece)
        stream.poll()
    assert stream.poll().tail.code == "a\nb\n"


def test_a_half_streamed_link_definition_does_not_stick() -> None:
    stream = MarkdownStream("[x]: http://exa")
    stream.poll()
    stream.feed("mple.org/full\n\nSee [x].\n")
    progress = poll_all(stream, final=True)
    assert progress.rewrite is None
    assert 'href="http://example.org/full"' in "".join(progress.blocks)


def test_a_definition_after_its_use_asks_for_one_rewrite() -> None:
    text = "See [x].\n\nOther [y].\n\n[x]: http://example.org/\n"
    stream = MarkdownStream(text)
    assert "<a" not in "".join(poll_all(stream).blocks)
    rewrite = poll_all(stream, final=True).rewrite
    assert rewrite is not None
    assert list(rewrite) == history(text) == stream.blocks
    assert "<a" in rewrite[0]


def test_no_rewrite_when_a_late_definition_changes_nothing() -> None:
    stream = MarkdownStream("Other [y].\n\n[x]: http://example.org/\n")
    poll_all(stream)
    assert poll_all(stream, final=True).rewrite is None


def test_a_small_budget_gives_the_same_in_more_polls() -> None:
    text = "".join(f"para {n}\n\n```python\nx = {n}\n```\n\n" for n in range(30))
    stream, blocks, polls = MarkdownStream(text), list[str](), 0
    while True:
        progress = stream.poll(final=True, budget_ms=0)
        blocks += progress.blocks
        polls += 1
        if not progress.more:
            break
    assert polls > 30
    assert blocks == history(text)


@pytest.mark.parametrize("marker", ["- ", "1. "])
def test_a_long_list_is_cut_between_items_and_counts_on(marker: str) -> None:
    text = "".join(f"{marker}item {n} with `code` and **bold** text that runs on\n" for n in range(150))
    blocks = history(text)
    assert len(blocks) > 2
    assert all(block.startswith(("<ul>", "<ol")) for block in blocks)
    assert "".join(blocks).count("<li>") == 150
    if marker == "1. ":
        first = blocks[0].count("<li>") + 1
        assert blocks[1].startswith(f'<ol start="{first}">')


def test_a_long_table_is_cut_between_rows_and_repeats_its_head() -> None:
    text = "| a | b |\n|---|--:|\n" + "".join(f"| {n} | value *{n}* |\n" for n in range(300))
    blocks = history(text)
    assert len(blocks) > 2
    assert all(block.count("<th>") == 1 and 'class="ta-right"' in block for block in blocks)
    assert sum(block.count("<td>") for block in blocks) == 300


def test_a_very_long_paragraph_is_cut_behind_a_sentence() -> None:
    blocks = history("The quick brown fox jumps over the dog. " * 400)
    assert len(blocks) > 2
    assert all(block.startswith("<p>The quick") and block.endswith("dog.</p>\n") for block in blocks)


def test_long_code_inside_a_list_stays_code_when_it_is_cut() -> None:
    text = "1. Do:\n\n   ```python\n" + "   x = [1, 2]  # text\n" * 600 + "   ```\n\nAfter *it*.\n"
    blocks = history(text)
    assert blocks[-1] == "<p>After <em>it</em>.</p>\n"
    assert all('class="code"' in block for block in blocks[:-1])
    assert streamed(text, random.Random(3), longest=300) == blocks


def test_the_tail_is_sanitised_as_the_blocks_are() -> None:
    stream = MarkdownStream("- <img src=x onerror=1>\n- [a](javascript:1)\n  ```html\n  <script>")
    assert faults(stream.poll().tail.html) == []


def test_blocks_joined_are_the_document() -> None:
    text = "a\n\nb\n\n- c\n"
    assert "".join(history(text)) == render(text)
