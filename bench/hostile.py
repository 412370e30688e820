"""Answers that are made to be slow to render: each is what some Markdown parser or highlighter took seconds for."""

from __future__ import annotations

from collections.abc import Sequence

SIZE = 60_000
PIECE = 40


def code(language: str, unit: str) -> str:
    return f"```{language}\n" + unit * (SIZE // len(unit)) + "\n```\n"


def repeated(unit: str) -> str:
    return unit * (SIZE // len(unit))


def table(columns: int, rows: int) -> str:
    return "|a" * columns + "\n" + "|-" * columns + "\n" + ("|a" * columns + "\n") * rows


TEXTS: dict[str, str] = {
    "prose": repeated("lorem ipsum dolor sit amet. "),
    "one word": repeated("a"),
    "digits and newlines": repeated("1\n"),
    "brackets": repeated("["),
    "image brackets": repeated("!["),
    "nested quotes": repeated("> ") + "a",
    "nested lists": "".join("  " * depth + "- a\n" for depth in range(300)),
    "long list": repeated("- *a* `b`\n"),
    "numbered list": repeated("1. a\n"),
    "open emphasis": repeated("**a"),
    "inner emphasis": repeated("a**b"),
    "underscores": repeated("_a _"),
    "backticks": repeated("`"),
    "growing backticks": "".join("`" * length + " " for length in range(1, 340)),
    "angles": repeated("<"),
    "open tags": repeated("<a "),
    "open comments": repeated("<!--"),
    "open links": repeated("[a]("),
    "links": repeated("[a](http://a.b) "),
    "addresses": repeated("www.a.b "),
    "entities": repeated("&amp;"),
    "backslashes": repeated("\\"),
    "definitions": "".join(f"[{number}]: x\n" for number in range(3000)) + "[1]" * 3000,
    "definition used before": "[a] " * 5000 + "\n\n[a]: x\n",
    "wide table": table(1000, 10),
    "long table": table(4, 3000),
    "table of short rows": "|a" * 500 + "|\n" + "|-" * 500 + "|\n" + "|x\n" * 1000,
    "headings": repeated("# a\n"),
    "rules": repeated("---\n\n"),
    "wide characters": repeated("👩‍👩‍👧‍👦é"),
    "python": code("python", "x = 1\n"),
    "python in one line": code("python", "x=1;"),
    "json brackets": code("json", "["),
    "sql quotes": code("sql", "'"),
    "javascript slashes": code("javascript", "/"),
    "javascript templates": code("javascript", "`${"),
    "bash substitutions": code("bash", "$("),
    "css braces": code("css", "a{"),
    "perl substitutions": code("perl", "s/"),
    "c comments": code("c", "/*"),
    "html tags": code("html", "<a "),
    "yaml dashes": code("yaml", "- "),
    "rust raw strings": code("rust", "r#"),
    "php quotes": code("php", "<?php '"),
    "unknown language": code("no-such-language", "a b c\n"),
    "fences": repeated("```\na\n```\n"),
    "code in a list": "- a\n  ```python\n" + "  x = 1\n" * 7000,
}


def pieces(text: str) -> Sequence[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
