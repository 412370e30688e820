"""Markdown to safe HTML, whole or block by block while it streams."""

from __future__ import annotations

from quart_chat.rendering.markdown import MarkdownStream, Progress, Tail, render, render_steps, warm_up
from quart_chat.rendering.plain import plain_blocks
from quart_chat.rendering.text_units import utf16_length

__all__ = [
    "MarkdownStream",
    "Progress",
    "Tail",
    "plain_blocks",
    "render",
    "render_steps",
    "utf16_length",
    "warm_up",
]
