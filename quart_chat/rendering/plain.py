"""Text that is shown as it was typed: escaped, with its line breaks and spaces."""

from __future__ import annotations

import re
from html import escape

from quart_chat.rendering.sanitise import sanitise

BLOCK_CHARS = 16_000


def plain_blocks(text: str) -> list[str]:
    """One `<p class="plain">` per paragraph (text between blank lines); CSS keeps its white space.

    Paragraphs longer than `BLOCK_CHARS` become several, so that each block is cheap. Empty text: no blocks.
    """
    paragraphs = re.split(r"\n(?:[ \t]*\n)+", clean_newlines(text).strip("\n"))
    return [plain_html(part) for paragraph in paragraphs for part in _parts(paragraph) if part.strip()]


def plain_html(text: str) -> str:
    """One sanitised paragraph that shows exactly `text`."""
    return sanitise(f'<p class="plain">{escape(text, quote=False)}</p>')


def clean_newlines(text: str) -> str:
    """Every line end becomes a line feed, NUL and lone surrogates become U+FFFD."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _parts(paragraph: str) -> list[str]:
    return [paragraph[at : at + BLOCK_CHARS] for at in range(0, len(paragraph), BLOCK_CHARS)]


_SURROGATES = re.compile("[\ud800-\udfff]")
