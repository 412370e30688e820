"""Markdown that grows: finished blocks are rendered once, only the unfinished tail again and again."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from quart_chat.rendering.blocks import (
    BlockSteps,
    References,
    block_steps,
    define_references,
    growing_html,
    may_define_references,
    next_number,
    uses_references,
)
from quart_chat.rendering.code import bidi_visible, warm_up_colours
from quart_chat.rendering.fences import Segment
from quart_chat.rendering.plain import clean_newlines, plain_html
from quart_chat.rendering.segments import Segmenter

BUDGET_MS = 6.0


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows the finished blocks.

    `code` only grows while it is the same block, so a client that has it can be sent the difference; it has no
    newline that the model did not write.
    """

    kind: Literal["none", "markdown", "code"] = "none"
    html: str = ""
    language: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one `poll` found.

    `blocks`: HTML of blocks that are finished since the last poll; they never change (but see `rewrite`).
    `more`: the budget is used up and work is left; poll again, after letting others run.
    `rewrite`: only on the last poll (final, not more), if a link was defined after its use: all blocks anew.
    `cost_ms`: what this poll took; poll less often when it is much.
    """

    blocks: tuple[str, ...] = ()
    tail: Tail = Tail()
    more: bool = False
    rewrite: tuple[str, ...] | None = None
    cost_ms: float = 0.0


class MarkdownStream:
    """One growing message. `feed` takes text in any pieces; `poll` says what is new. For one thread."""

    def __init__(self, text: str = "") -> None:
        self._segmenter = Segmenter()
        self._references: References = {}
        self._finished: list[tuple[Segment, str]] = []
        self._current: Segment | None = None
        self._work: BlockSteps | None = None
        self._number = 0
        self._tail: Tail | None = None
        self._ending: Generator[None, None, tuple[str, ...] | None] | None = None
        self.feed(text)

    @property
    def blocks(self) -> list[str]:
        """HTML of every finished block so far, as `poll` gave it."""
        return [html for _, html in self._finished if html]

    def feed(self, text: str) -> None:
        """Adds text. Cheap: nothing is rendered."""
        if text:
            self._segmenter.feed(text)
            self._tail = None

    def poll(self, final: bool = False, budget_ms: float = BUDGET_MS) -> Progress:
        """Renders what has come, for about `budget_ms`; the step that is under way at its end is finished.

        `final`: nothing will be fed any more, so the tail becomes blocks; poll (final) until not `more`.
        While there is `more`, the tail is not up to date: only code that is being coloured is shown there.
        """
        begin = perf_counter()
        until = begin + budget_ms / 1000
        blocks, idle = self._finish_blocks(final, until)
        rewrite, tail = None, self._tail_at_work()
        if idle and final:
            idle, rewrite = self._finish_document(until)
        elif idle and (not blocks or self._tail or perf_counter() < until):
            tail = self._current_tail()
        else:
            idle = False
        return Progress(tuple(blocks), tail, not idle, rewrite, (perf_counter() - begin) * 1000)

    def define(self, references: References) -> None:
        """Link definitions that hold from the start, as `references_of` found them."""
        self._references = dict(references)

    def _finish_blocks(self, final: bool, until: float) -> tuple[list[str], bool]:
        """HTML of finished blocks, and whether there is no more to finish now."""
        blocks: list[str] = []
        while self._begin_block(final):
            html = self._advance()
            if html:
                blocks.append(html)
            if perf_counter() > until:
                return blocks, False
        return blocks, True

    def _begin_block(self, final: bool) -> bool:
        if self._work is not None:
            return True
        segment = self._segmenter.take(final)
        if segment is None:
            return False
        define_references(segment, self._references)
        segment.references = len(self._references)
        segment.first_number = self._number
        self._number = next_number(segment) if self._segmenter.continues_list else 0
        self._current, self._work, self._tail = segment, block_steps(segment, self._references), None
        return True

    def _advance(self) -> str:
        """One step of the block under way: its HTML if that finished it."""
        assert self._work is not None
        assert self._current is not None
        try:
            next(self._work)
        except StopIteration as done:
            self._finished.append((self._current, done.value))
            self._current = self._work = None
            return str(done.value)
        return ""

    def _tail_at_work(self) -> Tail:
        segment = self._current
        return _code_tail(segment) if segment and segment.kind == "code" else Tail()

    def _current_tail(self) -> Tail:
        if self._tail is None:
            self._tail = self._render_tail()
        return self._tail

    def _render_tail(self) -> Tail:
        segment = self._segmenter.tail()
        if segment is None:
            return Tail()
        if segment.kind == "code":
            return _code_tail(segment)
        segment.first_number = self._number
        html = plain_html(segment.source) if segment.kind == "plain" else growing_html(segment, self._references)
        return Tail("markdown", html=html) if html else Tail()

    def _finish_document(self, until: float) -> tuple[bool, tuple[str, ...] | None]:
        """Whether all is done, and then what has to be shown instead of the blocks, if anything."""
        if self._ending is None:
            self._ending = self._rewrite()
        while True:
            try:
                next(self._ending)
            except StopIteration as done:
                return True, done.value
            if perf_counter() > until:
                return False, None

    def _rewrite(self) -> Generator[None, None, tuple[str, ...] | None]:
        changed = False
        for number, (segment, html) in enumerate(self._finished):
            if uses_references(segment) and segment.references < len(self._references):
                anew = yield from block_steps(segment, self._references)
                changed = changed or anew != html
                self._finished[number] = segment, anew
                yield
        return tuple(self.blocks) if changed else None


def render(text: str) -> str:
    """The whole of a message as HTML. May take long: on the event loop use `render_steps`."""
    return "".join(render_steps(text))


def render_steps(text: str) -> Iterator[str]:
    """The blocks of a message one by one, the same as a stream's in the end; "" is a step without output.

    Each step is short: a caller on the event loop lets others run between them.
    """
    text = clean_newlines(text)
    stream = MarkdownStream(text)
    if may_define_references(text):
        for references in _references_of(text):
            yield ""
            stream.define(references)
    more = True
    while more:
        progress = stream.poll(final=True, budget_ms=0)
        yield from progress.blocks or ("",)
        more = progress.more


def warm_up(languages: tuple[str, ...] = ("python", "bash", "json", "css")) -> None:
    """Imports and builds what the first render would wait for, about 0.2 s: call it in a thread. Lexers that take
    20 ms, such as that of JavaScript with its megabyte, are built when they are needed."""
    render("# warm\n\n| a |\n|---|\n| [b](https://example.org) |\n")
    for language in languages:
        warm_up_colours(language)


def _references_of(text: str) -> Iterator[References]:
    """The link definitions of a whole message: what is known so far, after every piece."""
    segmenter = Segmenter()
    references: References = {}
    segmenter.feed(text)
    while segment := segmenter.take(final=True):
        define_references(segment, references)
        yield references


def _code_tail(segment: Segment) -> Tail:
    return Tail("code", language=segment.language, code=bidi_visible(segment.source))
