"""Lengths of text as browsers count them."""

from __future__ import annotations


def utf16_length(text: str) -> int:
    """The `length` that JavaScript sees: characters beyond U+FFFF count twice."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
