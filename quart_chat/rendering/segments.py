"""Cuts growing Markdown into top-level pieces that can be rendered one by one, the same for any chunking.

A cut lies where CommonMark starts a new top-level block whatever comes later. Pieces that would become too costly
are cut earlier: a list before an item, a table before a row (its head is repeated), a paragraph behind a sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from quart_chat.rendering.fences import Fence, Segment, code_cut, code_so_far, open_fence
from quart_chat.rendering.lines import (
    delimiter_columns,
    has_item,
    indent_of,
    inline_cost,
    is_definition,
    is_heading,
    is_rule,
    item_offset,
    may_become_item,
    table_columns,
)
from quart_chat.rendering.plain import clean_newlines

PIECE = 512
"""Lines are looked at in pieces of at most this many characters."""
LINE_COST, ITEM_COST, CELL_COST, DEFINITION_COST = 12, 22, 16, 4
SOFT_COST, SOFT_CHARS = 3_000, 2_000
HARD_COST, HARD_CHARS, HARD_CHARS_NESTED_CODE = 6_000, 4_000, 8_000
DENSE_COST, DENSE_PER_CHAR = 2_000, 4
MAX_COLUMNS = 64
MAX_DEFINITIONS = 12
"""The parser takes quadratic time for link definitions without blank lines between."""
MAX_HEAD = 600
"""A longer head of a table is not repeated."""


@dataclass(slots=True)
class _Open:
    """The piece that is being read. Costs are microseconds, roughly, on a slow core."""

    source: str = ""
    offset: int = 0  # where an item's content starts; 0: not in a list
    blank: bool = False
    indented: bool = False
    heading: bool = False
    nested: Fence | None = None  # an open fence inside a list item
    columns: int = 0
    head: str = ""
    last_line: str = ""
    definitions: int = 0
    cost: int = 0
    inline: int = 0
    dedent: int = 0
    fence: Fence | None = None
    continues_list: bool = False
    strip: bool = False

    def dense(self) -> bool:
        return self.inline >= DENSE_COST and self.inline > DENSE_PER_CHAR * len(self.source)

    def plain(self) -> bool:
        return self.columns > MAX_COLUMNS or self.dense()

    def segment(self) -> Segment:
        if self.plain():
            return Segment("plain", self.source.strip("\n"))
        return Segment("markdown", self.source, continues_list=self.continues_list)


class Segmenter:
    """`feed` text, `take` finished pieces until there is none, look at the unfinished rest with `tail`."""

    def __init__(self) -> None:
        self._buffer = ""
        self._scan = 0
        self._held = ""
        self._line_start = True
        self._open = _Open()

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
        return _Open(
            source, columns=block.columns, inline=inline, continues_list=block.continues_list
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
            self._note_line(line)
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
            return self._is_long()
        if block.definitions >= MAX_DEFINITIONS and is_definition(line):
            return True
        if block.blank:
            return not (block.indented and indent >= 4)
        return bool(block.head) and "|" in line and self._is_long()

    def _is_long(self) -> bool:
        return self._open.cost >= SOFT_COST or len(self._open.source) >= SOFT_CHARS

    def _continuation(self, line: str) -> _Open:
        """What the piece that begins with `line` has to know when it continues a list or a table."""
        block = self._open
        if block.head and not block.blank and not is_heading(line) and not open_fence(line):
            return _Open(
                block.head, head=block.head, columns=block.columns, cost=2 * CELL_COST * block.columns
            )
        return _Open(continues_list=bool(block.offset and item_offset(line)))

    def _note_line(self, line: str) -> None:
        block, indent = self._open, indent_of(line)
        block.cost += LINE_COST
        if not line.strip(" \t\n"):
            block.blank = True
            return
        if not block.source:
            block.fence = open_fence(line)
            block.heading = indent < 4 and is_heading(line)
            block.indented = indent >= 4
        block.indented = block.indented and indent >= 4
        if is_definition(line):
            block.definitions += 1
            block.cost += DEFINITION_COST * block.definitions
        self._note_list(line, indent)
        self._note_table(line)
        block.blank = False
        block.last_line = line

    def _note_list(self, line: str, indent: int) -> None:
        block = self._open
        if block.nested:
            if block.nested.closed_by(line) or indent < block.offset:
                block.nested = None
            if indent >= block.offset:
                return
        item = item_offset(line)
        block.cost += ITEM_COST if has_item(line) else 0
        if item and indent < (block.offset or 4):
            block.offset = item
        elif is_rule(line) and indent < block.offset:
            block.offset = 0
        if block.offset:
            block.nested = open_fence(line, within_item=True)
            if block.nested:
                block.nested.within(block.offset)

    def _note_table(self, line: str) -> None:
        block = self._open
        if block.columns:
            block.cost += CELL_COST * max(block.columns, line.count("|"))
        elif "|" in block.last_line and (columns := delimiter_columns(line)):
            block.columns = columns
            block.cost += 2 * CELL_COST * columns
            if (
                table_columns(block.last_line) == table_columns(line)
                and len(block.last_line + line) <= MAX_HEAD
            ):
                block.head = block.last_line + line.rstrip("\n") + "\n"

    def _forced_cut(self, size: int) -> Segment | None:
        """Ends a piece that grew too long; `size`: how many characters were read last."""
        block = self._open
        limit = HARD_CHARS_NESTED_CODE if block.nested else HARD_CHARS
        if len(block.source) < limit and (block.cost < HARD_COST or block.plain()):
            return None
        if self._line_start:
            if block.nested:
                return self._close(_Open(fence=block.nested))
            return self._close(_Open(dedent=block.offset or block.dedent))
        recent = block.source[-size:]
        keep = max(recent.rfind(". ") + 2 if ". " in recent else 0, 0) or recent.rfind(" ") + 1 or size
        self._scan -= size - keep
        block.source = block.source[: len(block.source) - (size - keep)]
        self._line_start = True
        return self._close(_Open(strip=True))

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
        self._open = _Open(fence=fence.rest() if goes_on else None)
        return segment

    def _close(self, following: _Open | None = None) -> Segment:
        segment = self._open.segment()
        self._open = following or _Open()
        return segment

    def _dedented(self, line: str) -> str:
        if self._open.strip and not self._open.source:
            return line.lstrip(" \t")
        return re.sub(rf"^ {{1,{self._open.dedent}}}", "", line) if self._open.dedent else line
