"""Templates: all of them parse, are used, and carry no code that the security policy would have to allow."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, meta, nodes

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
ALLOWED_LAYERS = ("web",)
"""Only these packages render templates."""


def names() -> list[str]:
    return sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))


def source(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")


def markup(name: str) -> str:
    """What is left when the template's own language is taken out."""
    return re.sub(r"{[{%#].*?[}%#]}", "", source(name), flags=re.DOTALL)


def used_by(name: str) -> set[str]:
    """What a template extends, includes or takes macros from."""
    return {found for found in meta.find_referenced_templates(Environment().parse(source(name))) if found}


def rendered_by_code() -> set[str]:
    found: set[str] = set()
    for package in ALLOWED_LAYERS:
        for path in (ROOT / "quart_chat" / package).rglob("*.py"):
            found |= set(re.findall(r'"((?:\w+/)?_?\w+\.html)"', path.read_text()))
    return found


class Inline(HTMLParser):
    """Collects what a strict policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.found.append(f"<{tag}>")
        for name, value in attributes.items():
            if name.startswith(("on", "hx-on", "hx-vals", "hx-vars")) or name == "style":
                self.found.append(f"<{tag} {name}>")
            if (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value}>")


@pytest.mark.parametrize("name", names())
def test_a_template_parses_and_says_what_it_needs(name: str) -> None:
    tree = Environment().parse(source(name))
    assert tree.find(nodes.Output) is not None or tree.find(nodes.Macro) is not None or used_by(name)
    assert source(name).startswith("{#"), "the first line says what it shows and what it gets"


@pytest.mark.parametrize("name", names())
def test_a_template_has_no_inline_script_style_or_handler(name: str) -> None:
    parser = Inline()
    parser.feed(markup(name))
    assert parser.found == []


@pytest.mark.parametrize("name", names())
def test_what_htmx_sends_goes_the_same_way_without_it(name: str) -> None:
    for form in re.findall(r"<form\b(?:[^>{]|{{.*?}}|{%.*?%})*>", source(name)):
        sent = re.search(r'hx-post="([^"]*)"', form)
        if sent is not None:
            assert 'method="post"' in form, form
            assert f'action="{sent[1]}"' in form, form


@pytest.mark.parametrize("name", names())
def test_a_template_trusts_nothing_by_itself(name: str) -> None:
    assert not re.search(r"\|\s*safe\b|autoescape", source(name))


def test_every_template_is_rendered_by_code_or_part_of_one_that_is() -> None:
    reached, new = set[str](), rendered_by_code()
    assert new <= set(names()), "code names a template that is not there"
    while new:
        reached |= new
        new = {part for name in new for part in used_by(name)} - reached
    assert set(names()) - reached == set()


def test_what_the_check_for_inline_code_looks_for_it_finds() -> None:
    parser = Inline()
    parser.feed(
        '<script>x</script><p style="" onclick="" hx-on:click=""><a href="JavaScript:1">x</a></p><style></style>'
    )
    assert len(parser.found) == 6
