"""Markdown to safe HTML, whole or block by block while it streams.

What it needs (parser, colours, sanitiser) is imported at the first use: a start has nothing to render yet.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_MODULES = {"plain_blocks": "plain", "utf16_length": "text_units"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'markdown')}"), name)
