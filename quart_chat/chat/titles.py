"""A session's name, made from its first question; no model is asked."""

from __future__ import annotations

MAX_CHARS = 60
_MARKS = "#>*_`~-= \t"


def title_from(text: str) -> str:
    """The first line that says something, cut at a word; empty for blank text."""
    for raw in text.splitlines():
        line = " ".join(raw.strip(_MARKS).replace("*", "").replace("`", "").split())
        if line:
            return line if len(line) <= MAX_CHARS else _cut(line)
    return ""


def _cut(line: str) -> str:
    head = line[: MAX_CHARS - 1]
    space = head.rfind(" ")
    return (head[:space] if space > MAX_CHARS // 2 else head).rstrip(" ,;:.–-") + "…"
