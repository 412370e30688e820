"""The piece of Markdown that is being read: what its lines have been and what parsing it would cost."""

from __future__ import annotations

from dataclasses import dataclass

from quart_chat.rendering.fences import Fence, Segment, open_fence
from quart_chat.rendering.lines import (
    delimiter_columns,
    has_item,
    indent_of,
    is_definition,
    is_heading,
    is_rule,
    item_offset,
    table_columns,
)

LINE_COST, ITEM_COST, CELL_COST, DEFINITION_COST = 20, 30, 16, 4
SOFT_COST, SOFT_CHARS = 3_000, 2_000
HARD_COST, HARD_CHARS, HARD_CHARS_NESTED_CODE = 6_000, 4_000, 8_000
DENSE_COST, DENSE_PER_CHAR = 2_000, 4
MAX_COLUMNS, MAX_COLUMNS_REPEATED = 50, 20
MAX_MISSING = 64
"""Cells that rows leave out are filled in by the parser: more of them are a way to blow up a page."""
MAX_DEFINITIONS = 12
"""The parser takes quadratic time for link definitions without blank lines between."""
MAX_HEAD = 600
"""A longer head of a table is not repeated."""


@dataclass(slots=True)
class OpenBlock:
    """The piece that is being read. Costs are microseconds, roughly, on a slow core."""

    source: str = ""
    offset: int = 0  # where an item's content starts; 0: not in a list
    blank: bool = False
    indented: bool = False
    heading: bool = False
    nested: Fence | None = None  # an open fence inside a list item
    columns: int = 0
    head: str = ""
    missing: int = 0
    last_line: str = ""
    definitions: int = 0
    cost: int = 0
    inline: int = 0
    dedent: int = 0
    fence: Fence | None = None
    continues_list: bool = False
    strip: bool = False

    def plain(self) -> bool:
        """Whether parsing it is not worth its cost: it is shown as it was written."""
        return self.columns > MAX_COLUMNS or self.missing > MAX_MISSING or self._dense()

    def segment(self) -> Segment:
        """The piece as it is now."""
        if self.plain():
            return Segment("plain", self.source.strip("\n"))
        return Segment("markdown", self.source, continues_list=self.continues_list)

    def is_long(self) -> bool:
        """Whether it should end where a list or table can be cut."""
        return not self.plain() and (self.cost >= SOFT_COST or len(self.source) >= SOFT_CHARS)

    def note(self, line: str) -> None:
        """Remembers what a line means for those after it, before the line is added to `source`."""
        indent = indent_of(line)
        self.cost += LINE_COST
        if not line.strip(" \t\n"):
            self.blank = True
            return
        if not self.source:
            self.fence = open_fence(line)
            self.heading = indent < 4 and is_heading(line)
            self.indented = indent >= 4
        self.indented = self.indented and indent >= 4
        if is_definition(line):
            self.definitions += 1
            self.cost += DEFINITION_COST * self.definitions
        self._note_list(line, indent)
        self._note_table(line)
        self.blank = False
        self.last_line = line

    def _note_list(self, line: str, indent: int) -> None:
        if self.nested:
            if self.nested.closed_by(line) or indent < self.offset:
                self.nested = None
            if indent >= self.offset:
                return
        item = item_offset(line)
        self.cost += ITEM_COST if has_item(line) else 0
        if item and indent < (self.offset or 4):
            self.offset = item
        elif is_rule(line) and indent < self.offset:
            self.offset = 0
        if self.offset:
            self.nested = open_fence(line, within_item=True)
            if self.nested:
                self.nested.within(self.offset)

    def _note_table(self, line: str) -> None:
        if self.columns:
            self.cost += CELL_COST * max(self.columns, line.count("|"))
            self.missing += max(0, self.columns - line.count("|") - 1)
        elif "|" in self.last_line and (columns := delimiter_columns(line)):
            self.columns = columns
            self.cost += 2 * CELL_COST * columns
            same = table_columns(self.last_line) == table_columns(line) <= MAX_COLUMNS_REPEATED
            if same and len(self.last_line + line) <= MAX_HEAD:
                self.head = self.last_line + line.rstrip("\n") + "\n"

    def _dense(self) -> bool:
        return self.inline >= DENSE_COST and self.inline > DENSE_PER_CHAR * len(self.source)
