"""Cuts growing Markdown into top-level pieces that can be rendered one by one, the same for any chunking.

A cut lies where CommonMark starts a new top-level block whatever comes later. Pieces that would become too
costly are cut earlier: a list before an item, a table before a row (its head is repeated), a paragraph behind
a sentence.
"""

from __future__ import annotations

import re

from quart_chat.rendering.fences import Fence, Segment, code_cut, code_so_far, open_fence
from quart_chat.rendering.lines import (
    indent_of,
    inline_cost,
    is_definition,
    is_heading,
    item_offset,
    may_become_item,
)
from quart_chat.rendering.open_block import (
    CELL_COST,
    HARD_CHARS,
    HARD_CHARS_NESTED_CODE,
    HARD_COST,
    MAX_DEFINITIONS,
    OpenBlock,
)
from quart_chat.rendering.plain import clean_newlines

PIECE = 512
"""Lines are looked at in pieces of at most this many characters."""


class Segmenter:
    """`feed` text, `take` finished pieces until there is none, look at the unfinished rest with `tail`."""

    def __init__(self) -> None:
        self._buffer = ""
        self._scan = 0
        self._held = ""
        self._line_start = True
        self._open = OpenBlock()

    @property
    def continues_list(self) -> bool:
        """Whether the piece that has begun goes on with a list that was cut."""
        return self._open.continues_list

    def feed(self, text: str) -> None:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(self._held)]
        self._buffer = self._buffer[self._scan :] + clean_newlines(text)
        self._scan = 0

    def take(self, final: bool = False) -> Segment | None:
        """The next finished piece; None when more text is needed, or with `final` when all is taken."""
        if final and self._held:
            self.feed("\n")
        while True:
            if self._open.fence:
                return self._take_code(self._open.fence, final)
            piece = self._piece(final)
            if not piece:
                break
            segment = self._read(piece)
            if segment:
                return segment
        if (final and self._open.source) or self._surely_ends():
            return self._close()
        return None

    def tail(self) -> Segment | None:
        """What is not finished, as if it ended here. Only after `take` gave None."""
        block, rest = self._open, self._buffer[self._scan :]
        if block.fence:
            return code_so_far(block.fence, rest)
        if not (block.source or rest).strip():
            return None
        source = block.source + (self._dedented(rest) if self._line_start else rest)
        inline = block.inline + inline_cost(rest)
        return OpenBlock(
            source, columns=block.columns, missing=block.missing, inline=inline, continues_list=block.continues_list
        ).segment()

    def _piece(self, final: bool) -> str:
        end = self._buffer.find("\n", self._scan, self._scan + PIECE) + 1
        if not end and (final or len(self._buffer) - self._scan >= PIECE):
            end = self._scan + PIECE
        return self._buffer[self._scan : end] if end else ""

    def _read(self, piece: str) -> Segment | None:
        block = self._open
        if self._line_start:
            line = self._dedented(piece)
            if block.source and self._starts_block(line):
                return self._close(self._continuation(line))
            block.note(line)
        else:
            line = piece
        self._scan += len(piece)
        self._line_start = piece.endswith("\n")
        if block.fence:
            return None
        block.source += line
        if not block.nested:
            cost = inline_cost(line)
            block.inline += cost
            block.cost += cost
        if block.heading and self._line_start:
            return self._close()
        return self._forced_cut(len(line))

    def _starts_block(self, line: str) -> bool:
        block, indent = self._open, indent_of(line)
        if not line.strip(" \t\n") or (block.offset and indent >= block.offset):
            return False
        if indent < 4 and (is_heading(line) or open_fence(line)):
            return True
        if block.offset and item_offset(line):
            return self._open.is_long()
        if block.definitions >= MAX_DEFINITIONS and is_definition(line):
            return True
        if block.blank:
            return not (block.indented and indent >= 4)
        return bool(block.head) and "|" in line and self._open.is_long()

    def _continuation(self, line: str) -> OpenBlock:
        """What the piece that begins with `line` has to know when it continues a list or a table."""
        block = self._open
        if block.head and not block.blank and not is_heading(line) and not open_fence(line):
            return OpenBlock(block.head, head=block.head, columns=block.columns, cost=2 * CELL_COST * block.columns)
        return OpenBlock(continues_list=bool(block.offset and item_offset(line)))

    def _forced_cut(self, size: int) -> Segment | None:
        """Ends a piece that grew too long; `size`: how many characters were read last."""
        block = self._open
        limit = HARD_CHARS_NESTED_CODE if block.nested else HARD_CHARS
        if len(block.source) < limit and (block.cost < HARD_COST or block.plain()):
            return None
        if self._line_start:
            if block.nested:
                return self._close(OpenBlock(fence=block.nested))
            return self._close(OpenBlock(dedent=block.offset or block.dedent))
        recent = block.source[-size:]
        keep = max(recent.rfind(". ") + 2 if ". " in recent else 0, 0) or recent.rfind(" ") + 1 or size
        self._scan -= size - keep
        block.source = block.source[: len(block.source) - (size - keep)]
        self._line_start = True
        return self._close(OpenBlock(strip=True))

    def _surely_ends(self) -> bool:
        """Whether the line that has just begun belongs to the next block however it goes on."""
        block = self._open
        if not (self._line_start and block.blank and block.source):
            return False
        line = self._dedented(self._buffer[self._scan :])
        if not line.strip(" \t"):
            return False
        indent = indent_of(line)
        if block.offset and (indent >= block.offset or may_become_item(line)):
            return False
        return not (block.indented and indent >= 4)

    def _take_code(self, fence: Fence, final: bool) -> Segment | None:
        cut = code_cut(fence, self._buffer, self._scan, final)
        if cut is None:
            return None
        segment, self._scan, goes_on = cut
        self._line_start = True
        self._open = OpenBlock(fence=fence.rest() if goes_on else None)
        return segment

    def _close(self, following: OpenBlock | None = None) -> Segment:
        segment = self._open.segment()
        self._open = following or OpenBlock()
        return segment

    def _dedented(self, line: str) -> str:
        if self._open.strip and not self._open.source:
            return line.lstrip(" \t")
        return re.sub(rf"^ {{1,{self._open.dedent}}}", "", line) if self._open.dedent else line
