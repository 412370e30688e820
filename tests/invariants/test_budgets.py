"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 250
FUNCTION_LINES = 40
SCRIPT_LINES = 80
ALL_SCRIPT_LINES = 900

EXCEPTIONS: dict[str, str] = {
    "quart_chat/hypercorn_patches.py": "all that touches the inside of Hypercorn lies in this one file",
}
"""path, or path:function -> why it may be longer"""


def sources() -> list[Path]:
    return sorted((ROOT / "quart_chat").rglob("*.py"))


def scripts() -> list[Path]:
    return sorted((ROOT / "static" / "js").glob("*.js"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function without its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= (first.end_lineno or 0) - first.lineno + 1
            yield node.name, lines


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_a_module_says_its_job_and_fits_its_budget(path: Path) -> None:
    if name_of(path) not in EXCEPTIONS:
        assert line_count(path) <= FILE_LINES
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "the first line says what the file is for"
    too_long = {
        name: lines
        for name, lines in functions(path)
        if lines > FUNCTION_LINES and f"{name_of(path)}:{name}" not in EXCEPTIONS
    }
    assert too_long == {}


@pytest.mark.parametrize("path", scripts(), ids=name_of)
def test_a_script_fits_its_budget(path: Path) -> None:
    limit = FILE_LINES if name_of(path) in EXCEPTIONS else SCRIPT_LINES
    assert line_count(path) <= limit


def test_all_own_scripts_together_fit_their_budget(record_property: pytest.RecordProperty) -> None:
    total = sum(line_count(path) for path in scripts())
    record_property("own script lines", total)
    assert total <= ALL_SCRIPT_LINES, f"{total} lines of JavaScript"


def test_every_exception_is_still_needed() -> None:
    for key in EXCEPTIONS:
        path, _, function = key.partition(":")
        lines = dict(functions(ROOT / path))[function] if function else line_count(ROOT / path)
        limit = FUNCTION_LINES if function else (SCRIPT_LINES if path.endswith(".js") else FILE_LINES)
        assert lines > limit, f"{key} fits now: drop the exception"
