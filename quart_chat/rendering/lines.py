"""What one line of Markdown can be, and what it costs to parse."""

from __future__ import annotations

import re

INLINE_COSTS = {
    "[": 20,
    "*": 8,
    "_": 8,
    "<": 9,
    "`": 1,
    "&": 6,
    "\\": 3,
    "]": 3,
    "!": 3,
    "~": 4,
    ">": 10,
    "](": 20,
    "://": 25,
}
"""Microseconds that the parser takes for each of these, roughly, on a slow core."""


def inline_cost(text: str) -> int:
    return len(text) // 16 + sum(text.count(mark) * cost for mark, cost in INLINE_COSTS.items())


def indent_of(line: str) -> int:
    """Columns of white space at the start; a tab goes to the next multiple of four."""
    bare = line.lstrip(" \t")
    space = line[: len(line) - len(bare)]
    return len(space.expandtabs(4)) if "\t" in space else len(space)


def is_heading(line: str) -> bool:
    return bool(_HEADING.match(line))


def is_definition(line: str) -> bool:
    """Whether a line may define a link, also in a list or quote."""
    return "]:" in line and bool(_DEFINITION.match(line))


def is_rule(line: str) -> bool:
    """A thematic break (`---` may also be one)."""
    return bool(_RULE.match(line))


def item_offset(line: str) -> int:
    """The column at which a list item's content starts; 0 when the line starts no item."""
    match = _ITEM.match(line)
    if not match or is_rule(line):
        return 0
    space = len(match[2].expandtabs(4))
    empty = match.end() >= len(line.rstrip("\n"))
    return indent_of(line) + len(match[1]) + (1 if empty or space > 4 else space)


def has_item(line: str) -> bool:
    """Whether an item begins in the line, also within a quote."""
    return bool(_ITEM_IN_QUOTE.match(line))


def may_become_item(line: str) -> bool:
    """Whether a line that is not complete is an item, or may turn out to be one."""
    return bool(_ITEM.match(line) or _ITEM_BEGUN.match(line))


def delimiter_columns(line: str) -> int:
    """How many columns a line under a table's head may declare, also in a list or quote; 0: it is none."""
    return line.count("|") + 1 if "-" in line and "|" in line and not line.strip(_DELIMITER_MARKS) else 0


def table_columns(line: str) -> int:
    return line.strip().strip("|").count("|") + 1


_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_DEFINITION = re.compile(r"[ \t>*+\-.)\d]*\[")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_ITEM = re.compile(r"[ \t]*([-+*]|\d{1,9}[.)])([ \t]+|$)")
_ITEM_IN_QUOTE = re.compile(r"[ \t>]*(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)")
_ITEM_BEGUN = re.compile(r"[ \t]*(?:[-+*]|\d{1,9}[.)]?)$")
_DELIMITER_MARKS = "|:-> \t\n+*.)0123456789"
