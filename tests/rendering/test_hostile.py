"""Whatever a model or a person writes, the page gets only what the allow-list names."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.token import STANDARD_TYPES

from quart_chat.rendering import MarkdownStream, plain_blocks, render
from quart_chat.rendering.sanitise import TOKEN_CLASSES, sanitise
from tests.rendering.checks import faults, history, shown, streamed

CASES: list[str] = json.loads((Path(__file__).parent / "data" / "hostile.json").read_text())
GADGETS = (
    '<a href="javascript:alert(1)" onclick=alert(1)>x</a><a href="/logout">y</a><a href="//h">z</a>',
    '<div id="log" hx-get="/x" data-hx-get="/x" style="x:y" class="toast code">d</div>',
    '<hx-partial hx-target="#log">p</hx-partial><p hx-swap-oob="true">q</p>',
    '<img src="https://h/p"><svg><script>1</script></svg><math><style><img src=x></style></math>',
    '<button type="submit" data-copy data-action="x" formaction="/x">b</button><form action="/x"><input></form>',
    '<code class="highlight language-evil">c</code><span class="k toast">s</span><td>t</td><!-- c -->',
)


@pytest.mark.parametrize("text", CASES)
def test_hostile_text_renders_to_allowed_html_only(text: str) -> None:
    assert faults(render(text)) == []
    assert faults("".join(plain_blocks(text))) == []


@pytest.mark.parametrize("text", CASES)
def test_hostile_text_streamed_looks_like_history(text: str) -> None:
    assert streamed(text, random.Random(len(text)), longest=7) == history(text)


def test_all_hostile_texts_in_one_message_stay_harmless() -> None:
    text = "\n\n".join(CASES)
    assert faults(render(text)) == []
    assert streamed(text, random.Random(5)) == history(text)


@pytest.mark.parametrize("html", GADGETS)
def test_the_sanitiser_alone_stops_what_a_renderer_might_let_through(html: str) -> None:
    clean = sanitise(html).replace(' rel="noopener noreferrer nofollow"', "").replace(' target="_blank"', "")
    for word in ("script", "onclick", "href", "hx-", "id=", "style", "toast", "img", "form", "submit", "evil", "<!"):
        assert word not in clean


@given(st.text())
@settings(max_examples=150, deadline=None)
def test_any_text_is_safe_and_a_second_sanitising_changes_nothing(text: str) -> None:
    for html in (render(text), "".join(plain_blocks(text))):
        assert faults(html) == []
        assert sanitise(html) == html


@given(st.lists(st.sampled_from([*CASES[:60], "\n", "\n\n", "- ", "> ", "`", "```\n", "| a |\n|---|\n", "[", "*"])))
@settings(max_examples=100, deadline=None)
def test_hostile_fragments_in_any_order_are_safe_and_stable(parts: list[str]) -> None:
    html = render("".join(parts))
    assert faults(html) == []
    assert sanitise(html) == html


def test_raw_html_is_shown_as_the_text_it_is() -> None:
    text = "<b onclick=alert(1)>bold</b> <script>alert(1)</script>"
    assert shown(render(text)).strip() == text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "/logout", "https:x"])
def test_a_link_that_names_no_host_is_just_its_text(url: str) -> None:
    assert render(f"a [*text*](<{url}>) b") == "<p>a <em>text</em> b</p>\n"


def test_a_link_to_the_web_opens_apart_and_tells_nothing() -> None:
    assert render("[x](https://example.org/?a=1&b=2)") == (
        '<p><a href="https://example.org/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">x</a></p>\n'
    )


def test_an_image_becomes_a_link_that_shows_its_host() -> None:
    html = render("![a *cat*](https://user.example:8443/cat.png?q=secret)")
    assert "<img" not in html
    assert shown(html).strip() == "🖼 a cat (user.example:8443)"


def test_an_image_without_a_host_is_its_alternative_text() -> None:
    assert render("![a cat](data:image/png;base64,AAAA)") == "<p>🖼 a cat</p>\n"


def test_an_image_within_a_link_does_not_nest_links() -> None:
    html = render("[![cat](https://one.example/c.png)](https://two.example/)")
    assert html.count("<a ") == 1
    assert shown(html).strip() == "🖼 cat (one.example)"


def test_characters_that_reorder_code_are_spelled_out() -> None:
    assert "⟦U+202E⟧" in render("`a\u202eb`")
    assert "\u2066" not in render("```python\nif a\u2066:\n```")
    stream = MarkdownStream("```\na\u202eb")
    assert stream.poll().tail.code == "a⟦U+202E⟧b"


def test_every_class_that_the_highlighter_emits_is_allowed() -> None:
    assert {name for name in STANDARD_TYPES.values() if name} <= TOKEN_CLASSES
