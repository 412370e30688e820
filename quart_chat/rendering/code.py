"""Code blocks: a bar with the language and a copy button above code that is coloured by CSS classes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache, lru_cache
from html import escape
from time import perf_counter
from typing import TYPE_CHECKING

from quart_chat.rendering.languages import LEXERS, fence_language

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MAX_COLOURED = 12_000
MAX_LINE = 240
"""The lexers' regular expressions take quadratic time on long hostile lines."""
MAX_COLOURED_HTML = 120_000
MAX_COLOURED_AT_ONCE = 3_000
STEP_MS = 3.0


def code_steps(code: str, language: str) -> Generator[None, None, str]:
    """Returns the block's HTML; yields every few milliseconds while colouring a long one."""
    lexer = _lexer(language) if _is_ordinary(code, MAX_COLOURED) else None
    code = bidi_visible(code)
    if lexer is None:
        return _frame(escape(code, quote=False), language)
    parts, size = [], 0
    until = perf_counter() + STEP_MS / 1000
    for part in _coloured(code, lexer):
        parts.append(part)
        size += len(part)
        if size > MAX_COLOURED_HTML:
            return _frame(escape(code, quote=False), language)
        if perf_counter() > until:
            yield
            until = perf_counter() + STEP_MS / 1000
    return _frame("".join(parts), language)


def code_html(code: str, info: str, colour: bool = True) -> str:
    """The whole block at once, for code inside lists and quotes: only short code is coloured."""
    language = fence_language(info)
    if colour and language.lower() in LEXERS and _is_ordinary(code, MAX_COLOURED_AT_ONCE):
        return _coloured_block(code, language)
    return _frame(escape(bidi_visible(code), quote=False), language)


def bidi_visible(code: str) -> str:
    """Characters that reorder what a reader sees are spelled out."""
    return code if code.isascii() else code.translate(_BIDI)


def warm_up_colours(language: str) -> None:
    """Loads a lexer, so that the first block in this language is not late."""
    lexer = _lexer(language)
    if lexer is not None:
        "".join(_coloured("x = 1\n", lexer))


def _is_ordinary(code: str, most: int) -> bool:
    return len(code) <= most and max(map(len, code.split("\n"))) <= MAX_LINE


@lru_cache(maxsize=16)
def _coloured_block(code: str, language: str) -> str:
    lexer = _lexer(language)
    assert lexer is not None
    return _frame("".join(_coloured(bidi_visible(code), lexer)), language)


def _coloured(code: str, lexer: Lexer) -> Iterator[str]:
    """The code in spans; neighbours of one class share a span. "" where tokens only added to a span."""
    name, text = "", ""
    for kind, value in lexer.get_tokens(code):
        following = _token_class(kind)
        if following == name:
            text += value
            yield ""
        else:
            yield _span(name, text)
            name, text = following, value
    yield _span(name, text)


def _span(name: str, text: str) -> str:
    if not text:
        return ""
    text = escape(text, quote=False)
    return f'<span class="{name}">{text}</span>' if name else text


def _frame(html: str, language: str) -> str:
    name = LEXERS.get(language.lower(), "")
    label = f'<span class="code-lang">{escape(language, quote=False)}</span>'
    button = '<button type="button" class="copy" data-copy>Copy</button>'
    classes = f"highlight language-{name}" if name else "highlight"
    return (
        f'<div class="code"><div class="code-bar">{label}{button}</div>'
        f'<pre><code class="{classes}">{html}</code></pre></div>\n'
    )


@cache
def _token_class(kind: object) -> str:
    from pygments.token import STANDARD_TYPES, _TokenType

    while isinstance(kind, _TokenType) and kind not in STANDARD_TYPES:
        kind = kind.parent
    return STANDARD_TYPES.get(kind, "")  # type: ignore[call-overload, no-any-return]


def _lexer(language: str) -> Lexer | None:
    name = LEXERS.get(language.lower())
    return _load_lexer(name) if name else None


@cache
def _load_lexer(name: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


_BIDI = {code: f"⟦U+{code:04X}⟧" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
