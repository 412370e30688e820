"""One piece of a message as sanitised HTML, in steps that are each short."""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import cache
from typing import TYPE_CHECKING, Any

from quart_chat.rendering.code import code_steps
from quart_chat.rendering.fences import Segment
from quart_chat.rendering.plain import plain_html
from quart_chat.rendering.sanitise import sanitise

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_REFERENCES = 400

References = dict[str, dict[str, Any]]
"""Link definitions: normalised label → where it leads."""


BlockSteps = Generator[None, None, str]


def block_steps(segment: Segment, references: References) -> BlockSteps:
    """Returns the piece's HTML ("" when it shows nothing); yields in between when that takes long."""
    if segment.kind == "code":
        return sanitise((yield from code_steps(segment.source, segment.language)))
    if segment.kind == "plain":
        return plain_html(segment.source)
    return _html(segment, references)


def growing_html(segment: Segment, references: References) -> str:
    """The same for a Markdown piece that is not finished: code that is still open has no colours yet."""
    return _html(segment, references, growing=True)


def _html(segment: Segment, references: References, growing: bool = False) -> str:
    env: dict[str, Any] = {"references": dict(references), "growing": growing}
    parser = _parser()
    tokens = parser.parse(segment.source, env)
    if segment.continues_list:
        _number_on(tokens, segment.first_number)
    return sanitise(str(parser.renderer.render(tokens, parser.options, env)))


def define_references(segment: Segment, references: References) -> bool:
    """Adds the link definitions that a finished piece makes; True when there were new ones."""
    if segment.kind != "markdown" or not _DEFINES.search(segment.source) or len(references) >= MAX_REFERENCES:
        return False
    env: dict[str, Any] = {"references": {}}
    parser = _parser()
    parser.block.parse(segment.source, parser, env, [])
    found = {label: link for label, link in env["references"].items() if label not in references}
    room = MAX_REFERENCES - len(references)
    references.update(list(found.items())[:room])
    return bool(found)


def uses_references(segment: Segment) -> bool:
    return segment.kind == "markdown" and "[" in segment.source


def may_define_references(text: str) -> bool:
    return bool(_DEFINES.search(text))


def next_number(segment: Segment) -> int:
    """The number of an item that would continue the ordered list that a piece ends with; 0: there is none."""
    if not _ENDS_NUMBERED.search(segment.source):
        return 0
    tokens: list[Token] = []
    parser = _parser()
    parser.block.parse(segment.source, parser, {}, tokens)
    if not tokens or tokens[-1].type != "ordered_list_close":
        return 0
    begin = max(i for i, token in enumerate(tokens) if token.type == "ordered_list_open" and token.level == 0)
    first = int(tokens[begin].attrs.get("start", 1))
    if first == 1 and begin == 0 and segment.continues_list and segment.first_number:
        first = segment.first_number
    return first + sum(token.type == "list_item_open" and token.level == 1 for token in tokens[begin:])


def _number_on(tokens: list[Token], number: int) -> None:
    """A list that was cut and that numbers every item 1 counts on."""
    if number and tokens and tokens[0].type == "ordered_list_open" and "start" not in tokens[0].attrs:
        tokens[0].attrSet("start", str(number))


@cache
def _parser() -> MarkdownIt:
    from quart_chat.rendering.dialect import make_parser

    return make_parser()


_DEFINES = re.compile(r"^[ \t>*+\-.)\d]*\[[^\n]*\]:", re.MULTILINE)
_ENDS_NUMBERED = re.compile(r"^ {0,3}\d{1,9}[.)]", re.MULTILINE)
