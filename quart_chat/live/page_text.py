"""What pages see of one growing answer: finished blocks, the unfinished tail, the thinking."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from quart_chat.live.growing import GrowingText
from quart_chat.live.revisions import Marks
from quart_chat.rendering import MarkdownStream, Tail, utf16_length


class PageText:
    """Brought up to date once a tick by `advance`, so Markdown is parsed 20 times a second at most.

    A finished block is rendered once and never changes; `rewritten` is the revision at which all of it was replaced.
    `code_marks` and `thinking_marks` measure in UTF-16 units, the offsets that a browser's text node has.
    """

    def __init__(self, rev: int, *, thinking: str = "") -> None:
        self.rewritten = rev
        self.blocks: list[Markup] = []
        self.block_revs: list[int] = []
        self.tail = Markup("")
        self.tail_rev = rev
        self.open_code: str | None = None
        self.open_language = ""
        self.code_marks = Marks(rev)
        self.code_started = rev
        self.thinking = thinking
        self.is_thinking = False
        self.thinking_rev = rev
        self.thinking_marks = Marks(rev, utf16_length(thinking))
        self._stream: MarkdownStream | None = None
        self._fed = 0

    @property
    def rev(self) -> int:
        newest_block = self.block_revs[-1] if self.block_revs else 0
        return max(self.rewritten, newest_block, self.tail_rev, self.thinking_rev, self.thinking_marks.latest)

    def set_blocks(self, blocks: list[Markup], rev: int) -> None:
        self.blocks, self.block_revs = blocks, [rev] * len(blocks)

    def open(self) -> None:
        """Expect more text: from here on `advance` follows the source."""
        self._stream = MarkdownStream()

    @property
    def following(self) -> bool:
        return self._stream is not None

    def advance(self, text: GrowingText, thought: GrowingText, growing: bool, stamp: Callable[[], int]) -> bool:
        """Catch up with the source; True if there is more to do than one tick may take."""
        if self._stream is None:
            return False
        self._advance_thinking(text, thought, growing, stamp)
        if self._fed == text.length and growing:
            return False
        if self._fed < text.length:
            self._stream.feed(text.text[self._fed :])
            self._fed = text.length
        progress = self._stream.poll(final=not growing)
        rev = stamp()
        fresh = [Markup(block) for block in progress.blocks]
        self.blocks += fresh
        self.block_revs += [rev] * len(fresh)
        self._set_tail(progress.tail, bool(fresh), rev)
        if progress.rewrite is not None:
            self.set_blocks([Markup(block) for block in progress.rewrite], rev)
            self.rewritten = rev
        if not growing and not progress.more:
            self._stream = None
        return progress.more

    def _set_tail(self, tail: Tail, moved: bool, rev: int) -> None:
        code = tail.code if tail.kind == "code" else None
        html = tail.html if tail.kind == "markdown" else ""
        if code is not None and self.open_code is not None and not moved and code.startswith(self.open_code):
            grown = utf16_length(code[len(self.open_code) :])
            if grown:
                self.code_marks.add(rev, self.code_marks.length + grown)
        elif code is not None:
            self.code_marks = Marks(rev, utf16_length(code))
            self.code_started = rev
        elif self.open_code is None and self.tail == html:
            return
        self.open_code, self.open_language = code, tail.language
        self.tail, self.tail_rev = Markup(html), rev

    def _advance_thinking(
        self, text: GrowingText, thought: GrowingText, growing: bool, stamp: Callable[[], int]
    ) -> None:
        thinks = growing and thought.length > 0 and text.length == 0
        if thought.length != len(self.thinking):
            rev = stamp()
            fresh = thought.text[len(self.thinking) :]
            if not self.thinking:
                self.thinking_rev = rev
            self.thinking = thought.text
            self.thinking_marks.add(rev, self.thinking_marks.length + utf16_length(fresh))
        if thinks != self.is_thinking:
            self.is_thinking = thinks
            self.thinking_rev = stamp()

    def code_since(self, rev: int) -> tuple[int, str] | None:
        """(offset in UTF-16 units, text) for a viewer that has this open code block already, else None."""
        if self.open_code is None or rev < self.code_started:
            return None
        offset = self.code_marks.length_at(rev)
        return offset, _after(self.open_code, offset)

    def thinking_since(self, rev: int) -> tuple[int, str]:
        offset = self.thinking_marks.length_at(rev)
        return offset, _after(self.thinking, offset)


def _after(text: str, units: int) -> str:
    if text.isascii():
        return text[units:]
    return text.encode("utf-16-le", "surrogatepass")[units * 2 :].decode("utf-16-le", "surrogatepass")
