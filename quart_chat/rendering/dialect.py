"""The Markdown we speak: CommonMark with tables, strikethrough and tasks, without HTML, images and styles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from quart_chat.rendering.code import bidi_visible, code_html

HEADING_SHIFT = 2
"""A message stands below the page's own headings."""
MAX_NESTING = 20
BLOCKS = ("blockquote", "code", "fence", "heading", "hr", "lheading", "list", "reference", "table")
INLINES = (
    *("autolink", "backticks", "balance_pairs", "emphasis", "entity", "escape"),
    *("fragments_join", "image", "link", "newline", "strikethrough"),
)


def make_parser() -> MarkdownIt:
    parser = MarkdownIt("zero", {"html": False, "linkify": False, "typographer": False, "maxNesting": MAX_NESTING})
    parser.enable([*BLOCKS, *INLINES])
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # _links decides, and keeps the text
    parser.core.ruler.push("house_rules", _house_rules)
    rules = {"fence": _fence, "code_block": _fence, "code_inline": _code_inline, "image": _image}
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


def _house_rules(state: StateCore) -> None:
    for token in state.tokens:
        if token.type == "inline":
            _links(token)
        elif token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + HEADING_SHIFT)}"
        elif token.type in ("th_open", "td_open"):
            _align(token)
        elif token.type == "list_item_open":
            token.attrs.pop("class", None)
    _tasks(state.tokens)
    state.tokens = _wrap_tables(state.tokens)


def _links(token: Token) -> None:
    """Only links that name their host stay links; an image within a link is only its text."""
    kept: list[Token] = []
    open_links: list[bool] = []
    for child in token.children or []:
        if child.type == "link_open":
            open_links.append(bool(_host(str(child.attrs.get("href", "")))))
            child.attrs.pop("title", None)
        child.meta["within_link"] = any(open_links)
        is_link = child.type in ("link_open", "link_close")
        if not is_link or open_links[-1]:
            kept.append(child)
        if child.type == "link_close":
            open_links.pop()
    token.children = kept


def _host(url: str) -> str:
    """Where a link leads, for people to read; empty when it is no link that we allow."""
    match = _WEB.match(url)
    if match:
        return match["host"]
    return url[7:].partition("?")[0] if _MAIL.match(url) else ""


def _align(token: Token) -> None:
    style = str(token.attrs.pop("style", ""))
    if style:
        token.attrSet("class", f"ta-{style.partition(':')[2]}")


def _tasks(tokens: Sequence[Token]) -> None:
    """`- [x] text` gets a ticked box in front of its text: a sign, nothing to click."""
    for item, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if item.type != "list_item_open" or paragraph.type != "paragraph_open" or not inline.children:
            continue
        text = inline.children[0]
        match = _TASK.match(text.content) if text.type == "text" else None
        if not match:
            continue
        text.content = text.content[match.end() :]
        item.attrSet("class", "task-item")
        box = Token("html_inline", "", 0)
        done = match[1] != " "
        box.content = '<span class="task done">☑</span> ' if done else '<span class="task">☐</span> '
        inline.children.insert(0, box)


def _wrap_tables(tokens: list[Token]) -> list[Token]:
    """A wide table scrolls in a box of its own."""
    wrapped: list[Token] = []
    for token in tokens:
        if token.type == "table_open":
            wrapped.append(_raw('<div class="table-wrap">'))
        wrapped.append(token)
        if token.type == "table_close":
            wrapped.append(_raw("</div>\n"))
    return wrapped


def _raw(html: str) -> Token:
    token = Token("html_block", "", 0)
    token.content = html
    return token


def _fence(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    is_open = bool(env.get("growing")) and index >= len(tokens) - _closing(tokens) - 1
    return code_html(token.content, token.info, colour=not is_open)


def _closing(tokens: Sequence[Token]) -> int:
    count = 0
    while count < len(tokens) and tokens[-1 - count].nesting < 0:
        count += 1
    return count


def _code_inline(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: EnvType) -> str:
    return f"<code>{escape(bidi_visible(tokens[index].content), quote=False)}</code>"


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """An image is never loaded; it is a link that says where it would lead."""
    token = tokens[index]
    url = str(token.attrs.get("src", ""))
    host = _host(url) if not _MAIL.match(url) else ""
    alt = self.renderInlineAsText(token.children, options, env) if token.children else ""
    text = escape(" ".join(part for part in ("🖼", alt.strip(), f"({host})" if host else "") if part), quote=False)
    if not host or token.meta.get("within_link"):
        return text
    return f'<a href="{escape(url)}">{text}</a>'


_WEB = re.compile(r"https?://(?P<host>(?:[^\W_]|[\w.-])+(?::\d{1,5})?)(?:[/?#]|$)", re.IGNORECASE)
_MAIL = re.compile(r"mailto:[^\s/?#@]+@[^\s/?#@]+(?:\?|$)", re.IGNORECASE)
_TASK = re.compile(r"\[([ xX])\](?:[ \t]+|$)")
