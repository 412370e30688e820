"""What every test of rendered HTML looks at: only elements, attributes, classes and URLs from this list."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from quart_chat.rendering import MarkdownStream, render_steps

ELEMENTS = {
    *("a", "blockquote", "br", "button", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre"),
    *("s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {
    "a": {"href", "rel", "target"},
    "ol": {"start"},
    "button": {"type", "class", "data-copy"},
    **{name: {"class"} for name in ("p", "div", "span", "code", "li", "td", "th")},
}
CLASS = re.compile(
    r"plain|code|code-bar|code-lang|table-wrap|highlight|language-[a-z]+|copy|task|done|task-item"
    r"|ta-(?:left|center|right)|[a-z][a-z0-9]{0,2}"
)


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.open: list[str] = []
        self.shown = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self.faults.append(f"<{tag}>")
        if tag == "a" and "a" in self.open:
            self.faults.append("a link in a link")
        if tag not in ("br", "hr"):
            self.open.append(tag)
        given = dict(attrs)
        for name, value in attrs:
            self._attribute(tag, name, value or "")
        if tag == "a" and given.get("rel") != "noopener noreferrer nofollow":
            self.faults.append("a link without rel")
        if tag == "a" and given.get("target") != "_blank":
            self.faults.append("a link into this tab")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name not in ATTRIBUTES.get(tag, set()):
            self.faults.append(f"<{tag} {name}>")
        if name == "class":
            self.faults += [f"class {word}" for word in value.split() if not CLASS.fullmatch(word)]
        if name == "href" and not _absolute(value):
            self.faults.append(f"href {value}")
        if name == "start" and not value.isdigit():
            self.faults.append(f"start {value}")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"misplaced </{tag}>")

    def handle_data(self, data: str) -> None:
        self.shown += data

    def handle_comment(self, data: str) -> None:
        self.faults.append("a comment")

    def handle_decl(self, decl: str) -> None:
        self.faults.append("a declaration")

    def handle_pi(self, data: str) -> None:
        self.faults.append("a processing instruction")


def faults(html: str) -> list[str]:
    """Everything in `html` that may not be there; unbalanced elements count."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    return checker.faults + [f"<{tag}> is not closed" for tag in checker.open]


def shown(html: str) -> str:
    """The text that a reader sees."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    return checker.shown


def history(text: str) -> list[str]:
    return [block for block in render_steps(text) if block]


def streamed(text: str, chance: random.Random, longest: int = 40) -> list[str]:
    """The blocks that are shown in the end when `text` comes in random pieces."""
    stream, blocks, at = MarkdownStream(), list[str](), 0
    while at < len(text):
        size = chance.randint(1, longest)
        stream.feed(text[at : at + size])
        at += size
        if chance.random() < 0.6:
            progress = stream.poll(budget_ms=chance.choice([0, 6]))
            blocks += progress.blocks
            assert not faults(progress.tail.html)
    while True:
        progress = stream.poll(final=True, budget_ms=chance.choice([0, 6]))
        blocks += progress.blocks
        if not progress.more:
            return blocks if progress.rewrite is None else list(progress.rewrite)


def _absolute(url: str) -> bool:
    parts = urlsplit(url)
    return (parts.scheme in ("http", "https") and bool(parts.hostname)) or parts.scheme == "mailto"
