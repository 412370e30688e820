"""Fenced code that is read while it grows: where it ends and what of it is certain."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from quart_chat.rendering.languages import fence_language

MAX_CODE = 60_000
"""Longer code becomes several blocks."""
LOOK_AHEAD = 256


@dataclass(slots=True)
class Segment:
    """One piece of a message: Markdown, code of a top-level fence, or text that is shown as it is."""

    kind: Literal["markdown", "code", "plain"]
    source: str
    language: str = ""
    continues_list: bool = False
    first_number: int = 0
    references: int = 0


@dataclass
class Fence:
    """An open fence. `offset`: where the content of the list item starts that it is in (0: in none)."""

    mark: str
    indent: int
    language: str
    offset: int = 0

    def closed_by(self, line: str) -> bool:
        bare = line.strip()
        return len(bare) >= len(self.mark) and not bare.strip(self.mark[0])

    def within(self, offset: int) -> None:
        """Remember the list item that the fence is in."""
        self.offset = offset
        self.indent = max(self.indent, offset)

    def rest(self) -> Fence:
        """The same fence for code that goes on in another block."""
        return replace(self)

    @cached_property
    def closer(self) -> re.Pattern[str]:
        """Matches the closing line, or, inside a list, nothing in front of a line that left the item."""
        mark = f"{re.escape(self.mark)}{re.escape(self.mark[0])}*[ \\t]{{0,200}}\\n"
        if self.offset:
            return re.compile(rf"^(?: {{{self.offset},}}{mark}| {{0,{self.offset - 1}}}(?=[^ \t\n]))", re.MULTILINE)
        return re.compile(rf"^ {{0,3}}{mark}", re.MULTILINE)

    def code(self, text: str) -> str:
        """`text` without the indentation that the fence itself has."""
        return re.sub(rf"^ {{1,{self.indent}}}", "", text, flags=re.MULTILINE) if self.indent else text


def open_fence(line: str, within_item: bool = False) -> Fence | None:
    """The fence that a line opens; `within_item` allows any indentation and list markers before it."""
    if len(line) > LOOK_AHEAD:
        return None
    match = (_OPEN_IN_ITEM if within_item else _OPEN).match(line)
    if not match or (match["mark"][0] == "`" and "`" in match["info"]):
        return None
    return Fence(match["mark"], len(match["lead"]), fence_language(match["info"]))


def code_cut(fence: Fence, text: str, start: int, final: bool) -> tuple[Segment, int, bool] | None:
    """The code from `start` (a line's start), once it is known where this block of it ends; else None.

    Gives the block, where reading goes on, and whether the same fence goes on there.
    """
    code = text[start : start + MAX_CODE + LOOK_AHEAD]
    final = final and len(text) <= start + len(code)
    ended = code + "\n" if final and not code.endswith("\n") else code
    match = fence.closer.search(ended)
    if match and match.start() < MAX_CODE:
        return _segment(fence, code[: match.start()]), start + min(match.end(), len(code)), False
    if final and len(code) <= MAX_CODE:
        return _segment(fence, code), start + len(code), False
    if not final and len(code) < MAX_CODE + LOOK_AHEAD:
        return None
    size = code.rfind("\n", 0, MAX_CODE) + 1 or MAX_CODE
    return _segment(fence, code[:size]), start + size, True


def code_so_far(fence: Fence, text: str) -> Segment:
    """The code that is certain: a last line that may become the closing one is held back."""
    line = text[text.rfind("\n") + 1 :]
    if not line.strip(" \t").strip(fence.mark[0]).strip(" \t"):
        text = text[: len(text) - len(line)]
    return Segment("code", fence.code(text), fence.language)


def _segment(fence: Fence, text: str) -> Segment:
    return Segment("code", fence.code(text), fence.language)


_INFO = r"(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)\n?$"
_OPEN = re.compile(r"(?P<lead> {0,3})" + _INFO)
_OPEN_IN_ITEM = re.compile(r"(?P<lead>[ \t]*)(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*" + _INFO)
