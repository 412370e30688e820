"""No text makes one step long: neither when it streams nor when its history is read."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import thread_time
from typing import TypeVar

import pytest

from quart_chat.rendering import MarkdownStream, render_steps, warm_up
from quart_chat.rendering.languages import LANGUAGE_NAMES

MOST_MS = 50
"""About three times what the worst of these takes on a quiet small machine; processor time of this thread."""
SIZE, STREAMED = 20_000, 4_000

T = TypeVar("T")


def fill(piece: str) -> str:
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


HOSTILE = {
    **{piece: fill(piece) for piece in ("[", "![", "**a", "`", "<", "[a](", "a**b", "a@", "&amp;", "\\", "*a_", " ")},
    **{piece: fill(piece) for piece in ("a\n", "- a\n", "-\n", ">\n-\n", "> - a\n", "1) ", "\t-", "\n", "# a\n")},
    **{piece: fill(piece) for piece in ("[a](http://b.c) ", "<http://a.b>", "![![a](http://b.c)](http://b.c)")},
    **{piece: fill(piece) for piece in ("[a]: x\n", "> [a]: x\n", "[a]: x '\n'", "- [ ] a\n", "a\\\n", "```\n", "😀")},
    "nested quotes": "> " * 50_000 + "a",
    "nested lists": "".join("  " * depth + "- a\n" for depth in range(300)),
    "runs of backticks": "".join("`" * size + " " for size in range(1, 440)),
    "brackets": "[" * 50_000 + "]" * 50_000,
    "wide table": "|a" * 2000 + "\n" + "|-" * 2000 + "\n" + ("|a" * 2000 + "\n") * 10,
    "table to complete": "|a" * 1000 + "|\n" + "|-" * 1000 + "|\n" + "|x\n" * 1000,
    "quoted table": "> |" + "a|" * 900 + "\n> |" + "-|" * 900 + "\n" + "> |x\n" * 1000,
    "definitions": "".join(f"[{n}]: http://x.y/{n}\n" for n in range(4000)) + "[1]" * 9000,
    "late definitions": "".join(f"[{n}]\n\n" for n in range(3000))
    + "".join(f"[{n}]: http://x.y\n" for n in range(900)),
    "endless code": "```python\n" + "x = [1, 'a']\n" * 8000,
    "one line of code": "```python\n" + "x" * SIZE,
    "code in a list": "- x\n\n  ```python\n" + "  x = [1]\n" * 8000,
    "code in a quote": "> ```python\n" + "> x = [1, 'a']\n" * 5000,
    "lazy": "> a\n" + "b\n" * 15_000,
}
NASTY = ["'", '"', "`", "[", "{", "(", "<", "/", "/*", '"""', "\\", '"\\', "a ", "a:", "=", "%q(", "<<", "--", "#{"]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> Iterator[None]:
    """What the other tests left behind is no part of a step: the collector does not look at it meanwhile."""
    warm_up(tuple(LANGUAGE_NAMES))
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def timed(work: Callable[[], T]) -> tuple[float, T]:
    begin = thread_time()
    result = work()
    return (thread_time() - begin) * 1000, result


def longest_history_step(text: str) -> float:
    steps, worst = render_steps(text), 0.0
    while True:
        took, step = timed(lambda: next(steps, None))
        worst = max(worst, took)
        if step is None:
            return worst


def longest_poll(text: str) -> float:
    stream, worst, more = MarkdownStream(), 0.0, True
    for at in range(0, len(text), 50):
        stream.feed(text[at : at + 50])
        worst = max(worst, timed(stream.poll)[0])
    while more:
        took, progress = timed(lambda: stream.poll(final=True))
        worst, more = max(worst, took), progress.more
    return worst


def is_short(measure: Callable[[str], float], text: str) -> bool:
    """Measured again when it seems too long: a busy machine slows one run, a slow text all of them."""
    return any(measure(text) < MOST_MS for _ in range(3))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_step_of_a_hostile_history_is_long(name: str) -> None:
    assert is_short(longest_history_step, HOSTILE[name])


@pytest.mark.parametrize("name", HOSTILE)
def test_no_poll_of_a_hostile_stream_is_long(name: str) -> None:
    assert is_short(longest_poll, HOSTILE[name][:STREAMED])


@pytest.mark.parametrize("language", sorted(LANGUAGE_NAMES))
def test_no_hostile_code_stalls_a_lexer(language: str) -> None:
    for piece in NASTY:
        line = (piece * 240)[:238]
        code = "\n".join([line] * 8)
        assert is_short(longest_history_step, f"```{language}\n{code}\n```\n"), piece


def test_an_ordinary_reply_costs_about_the_same_per_character_however_long() -> None:
    part = "## Part\n\nSome **bold** text with `code`.\n\n- one\n- two\n\n```python\nx = [1]\n```\n\n"

    def stream_it(text: str) -> None:
        stream = MarkdownStream()
        for at in range(0, len(text), 40):
            stream.feed(text[at : at + 40])
            while stream.poll().more:
                pass

    short = min(timed(lambda: stream_it(part * 50))[0] for _ in range(3))
    long = min(timed(lambda: stream_it(part * 200))[0] for _ in range(2))
    assert long < 4 * short * 2


@pytest.mark.parametrize("columns", [3, 5, 10, 20, 21, 30, 49, 60, 1000])
def test_a_table_with_missing_cells_is_not_blown_up(columns: int) -> None:
    text = "|a" * columns + "|\n" + "|-" * columns + "|\n" + "|x\n" * 1000
    assert sum(map(len, render_steps(text))) < 4 * len(text) + 65_536


def test_importing_the_package_loads_neither_parser_nor_highlighter() -> None:
    heavy = ("markdown_it", "pygments", "nh3")
    code = f"import sys, quart_chat.rendering; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
