"""Ordinary Markdown becomes the HTML one expects, with the house's own vocabulary."""

from __future__ import annotations

import pytest

from quart_chat.rendering import plain_blocks, render, utf16_length
from tests.rendering.checks import faults, history, shown

GOLDEN = {
    "heading": ("# One\n###### Six", "<h3>One</h3>\n<h6>Six</h6>\n"),
    "underlined heading": ("Two\n---", "<h4>Two</h4>\n"),
    "emphasis": ("*a* **b** ~~c~~ `d<e`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d&lt;e</code></p>\n"),
    "line breaks": ("a\nb  \nc", "<p>a\nb<br>\nc</p>\n"),
    "rule": ("a\n\n***\n\nb", "<p>a</p>\n<hr>\n<p>b</p>\n"),
    "quote": ("> a\n> b\n\nc", "<blockquote>\n<p>a\nb</p>\n</blockquote>\n<p>c</p>\n"),
    "nested list": (
        "- a\n  1. b\n  2. c\n- d",
        "<ul>\n<li>a\n<ol>\n<li>b</li>\n<li>c</li>\n</ol>\n</li>\n<li>d</li>\n</ul>\n",
    ),
    "loose list": ("- a\n\n- b\n", "<ul>\n<li>\n<p>a</p>\n</li>\n<li>\n<p>b</p>\n</li>\n</ul>\n"),
    "list from four": ("4. a\n5. b", '<ol start="4">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
    "tasks": (
        "- [x] a\n- [ ] b",
        '<ul>\n<li class="task-item"><span class="task done">☑</span> a</li>\n'
        '<li class="task-item"><span class="task">☐</span> b</li>\n</ul>\n',
    ),
    "table": (
        "| a | b |\n|:--|--:|\n| 1 | *2* |",
        '<div class="table-wrap"><table>\n<thead>\n<tr>\n<th class="ta-left">a</th>\n<th class="ta-right">b</th>\n'
        '</tr>\n</thead>\n<tbody>\n<tr>\n<td class="ta-left">1</td>\n<td class="ta-right"><em>2</em></td>\n'
        "</tr>\n</tbody>\n</table>\n</div>\n",
    ),
    "html": ("a <b>c</b> &amp; &lt;", "<p>a &lt;b&gt;c&lt;/b&gt; &amp; &lt;</p>\n"),
    "nul": ("a\0b", "<p>a\ufffdb</p>\n"),
}

SORTING = (
    '## Sorting in Python\n\nUse the built-in `sorted`:\n\n```python\nnames = sorted(["b", "a"])\n```\n\n'
    "- **stable**\n- returns a *new* list\n\n| call | changes the list |\n|---|---|\n| `sorted(x)` | no |\n"
    "| `x.sort()` | yes |\n\nSee [the docs](https://docs.python.org/3/)."
)
UNICODE = (
    "Grüße, 世界! \U0001f999 emoji \U0001f469\u200d\U0001f4bb 日本語のテスト\nNEL\x85after\u2028line\u2029para\xa0"
    "<b>bold</b> & \"quoted\" 'single' <script>alert(1)</script> \\back/slash\ttab \u05e9\u05dc\u05d5\u05dd e\u0301"
    "\ufeff \U0001f1e9\U0001f1ea \u2211x\xb2 end"
)


@pytest.mark.parametrize("name", GOLDEN)
def test_ordinary_markdown(name: str) -> None:
    text, html = GOLDEN[name]
    assert render(text) == html


def test_a_code_block_has_a_bar_a_button_and_colours_by_class() -> None:
    assert render("```python\nx = 1\n```") == (
        '<div class="code"><div class="code-bar"><span class="code-lang">python</span>'
        '<button type="button" class="copy" data-copy="">Copy</button></div>'
        '<pre><code class="highlight language-python"><span class="n">x</span> <span class="o">=</span> '
        '<span class="mi">1</span><span class="w">\n</span></code></pre></div>\n'
    )


def test_code_in_an_unknown_language_keeps_its_name_and_its_text() -> None:
    html = render("```brain<fuck\n<b>\n```")
    assert '<span class="code-lang">brain&lt;fuck</span>' in html
    assert '<code class="highlight">&lt;b&gt;\n</code>' in html


def test_long_code_is_coloured_and_very_long_code_is_not_but_nothing_is_lost() -> None:
    for lines, coloured in ((300, True), (3000, False)):
        code = "value = [1]\n" * lines
        html = render(f"```python\n{code}```\n")
        assert ('class="mi"' in html) is coloured
        assert shown(html) == f"pythonCopy{code}\n"


def test_a_reply_with_everything_renders_block_by_block() -> None:
    blocks = history(SORTING)
    starts = ("<h4>", "<p>Use", '<div class="code">', "<ul>", '<div class="table-wrap">', "<p>See <a ")
    assert [block.startswith(start) for block, start in zip(blocks, starts, strict=True)] == [True] * 6
    assert faults("".join(blocks)) == []


def test_unusual_characters_survive() -> None:
    html = render(UNICODE)
    assert faults(html) == []
    assert shown(html).strip() == UNICODE.replace("\\back", "\\back")


def test_plain_text_keeps_every_character_and_is_no_markdown() -> None:
    text = "# no *heading*\n  <b>two</b>\n\n\nthird & [x](http://a.b)"
    assert plain_blocks(text) == [
        '<p class="plain"># no *heading*\n  &lt;b&gt;two&lt;/b&gt;</p>',
        '<p class="plain">third &amp; [x](http://a.b)</p>',
    ]


def test_empty_plain_text_has_no_blocks() -> None:
    assert plain_blocks(" \n\n") == []


def test_very_long_plain_text_comes_in_several_blocks() -> None:
    blocks = plain_blocks("x" * 40_000)
    assert len(blocks) == 3
    assert sum(block.count("x") for block in blocks) == 40_000


@pytest.mark.parametrize(("text", "length"), [("", 0), ("abc", 3), ("é", 1), ("🦙", 2), ("a🦙b\ud800", 5)])
def test_length_as_javascript_counts(text: str, length: int) -> None:
    assert utf16_length(text) == length
