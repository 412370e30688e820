"""A page without a browser: elements in a tree, and the five things a frame may do to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

VOID = {"input", "br", "hr", "img", "meta", "link", "wbr"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def plain(self, verbatim: bool = False) -> Any:
        """Nested tuples to compare: without clocks, and without white space that is not shown."""
        if "data-clock" in self.attributes or self.tag == "time":
            return (self.tag, "a clock")
        verbatim = verbatim or self.tag == "pre" or (self.attributes.get("class") == "thought")
        children: list[Any] = []
        for child in self.children:
            if isinstance(child, Element):
                children.append(child.plain(verbatim))
            elif children and isinstance(children[-1], str):
                children[-1] += child
            elif verbatim or child.strip():
                children.append(child)
        return (self.tag, tuple(sorted(self.attributes.items(), key=str)), tuple(children))


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("fragment", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


def units(text: str) -> int:
    """Length as a browser counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Page:
    """Applies frames by the rules of live.js: only one that builds on what is shown; anything else is a failure."""

    def __init__(self, html: str, epoch: str, rev: int) -> None:
        self.root = parse(html)
        self.epoch = epoch
        self.rev = rev

    def take(self, text: str) -> None:
        frame = json.loads(text)
        assert frame["prev"] is None or (frame["prev"], frame["epoch"]) == (self.rev, self.epoch), "does not fit"
        for delta in frame["payload"].get("deltas", ()):
            self._grow(**delta)
        for part in parse(frame["content"]).children:
            assert isinstance(part, Element)
            target = part.attributes["hx-target"]
            assert target is not None
            self._swap(target.removeprefix("#"), str(part.attributes["hx-swap"]), part.children)
        self.rev, self.epoch = frame["rev"], frame["epoch"]

    def _grow(self, id: str, off: int, text: str) -> None:
        element, _ = self._find(id)
        shown = "".join(str(child) for child in element.children)
        assert all(isinstance(child, str) for child in element.children)
        assert units(shown) == off, f"#{id} has {units(shown)} units, the text begins at {off}"
        element.children = [shown + text] if shown or text else []

    def _swap(self, id: str, style: str, children: list[Element | str]) -> None:
        element, parent = self._find(id)
        if style == "beforeend":
            element.children += children
        elif style == "innerMorph":
            element.children = list(children)
        elif style == "outerMorph":
            at = parent.children.index(element)
            parent.children[at : at + 1] = children
        else:
            raise AssertionError(f"unknown swap {style}")

    def _find(self, id: str) -> tuple[Element, Element]:
        found = [
            (child, parent)
            for parent in self.root.walk()
            for child in parent.children
            if isinstance(child, Element) and child.attributes.get("id") == id
        ]
        assert len(found) == 1, f"{len(found)} elements #{id}"
        return found[0]

    def plain(self) -> Any:
        return self.root.plain()

    def log(self) -> Any:
        return self.plain()[2][0]
