"""The last step of every render path: only tags, attributes, classes and URLs that we emit pass."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from quart_chat.rendering.languages import LANGUAGE_NAMES

if TYPE_CHECKING:
    import nh3

TAGS = frozenset(
    {
        *("a", "blockquote", "br", "button", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p"),
        *("pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    }
)
URL_SCHEMES = frozenset({"http", "https", "mailto"})
LINK_REL = "noopener noreferrer nofollow"
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "button": {"data-copy"}}
_TOKENS = """
bp c c1 ch cm cp cpf cs dl err esc fm g gd ge ges gh gi go gp gr gs gt gu il k kc kd kn kp kr kt l ld m mb mf mh mi
mo n na nb nc nd ne nf ni nl nn no nt nv nx o ow p pm py s s1 s2 sa sb sc sd se sh si sr ss sx vc vg vi vm w x
"""
TOKEN_CLASSES = frozenset(_TOKENS.split())
"""The short names that Pygments gives to kinds of tokens."""

CLASSES: dict[str, frozenset[str]] = {
    "p": frozenset({"plain"}),
    "div": frozenset({"code", "code-bar", "table-wrap"}),
    "span": TOKEN_CLASSES | {"code-lang", "task", "done"},
    "code": frozenset({"highlight"} | {f"language-{name}" for name in LANGUAGE_NAMES}),
    "button": frozenset({"copy"}),
    "li": frozenset({"task-item"}),
    "th": frozenset({"ta-left", "ta-center", "ta-right"}),
    "td": frozenset({"ta-left", "ta-center", "ta-right"}),
}


def sanitise(html: str) -> str:
    """Sanitised `html`; a second pass changes nothing. Links open a new tab and send no referrer."""
    return _cleaner().clean(html)


@cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=set(TAGS),
        clean_content_tags={"script", "style"},
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        tag_attribute_values={"button": {"type": {"button"}}},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel=LINK_REL,
        url_schemes=set(URL_SCHEMES),
        url_relative="deny",
        generic_attribute_prefixes=set(),
        allowed_classes={tag: set(names) for tag, names in CLASSES.items()},
    )
