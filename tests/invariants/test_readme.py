"""What is written for readers is true of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
DIRECTORIES = ("quart_chat", "templates", "static", "tests", "bench", "docs", ".ci")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".html", ".css", ".js", ".txt", ".yaml", ".yml", ""}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/")


def links(page: Path) -> Iterator[str]:
    """Targets of the links to files of this repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"[a-z]+:", target) and not target.startswith("#"):
            yield target.partition("#")[0]


def files() -> list[Path]:
    """Every text file of the repository except this one."""
    below = (path for name in DIRECTORIES for path in (ROOT / name).rglob("*"))
    beside = (path for path in ROOT.iterdir() if path.name != ".git")
    return [
        path for path in (*below, *beside) if path.suffix in TEXT_SUFFIXES and path.is_file() and path != Path(__file__)
    ]


def test_the_two_commands_start_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    beginning = text[:1500]
    assert "make run" in beginning
    assert "git clone" in beginning
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z]+)", text)) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert missing == []


def test_every_page_of_the_docs_is_linked_from_the_readme() -> None:
    linked = {(ROOT / target).resolve() for target in links(ROOT / "README.md")}
    assert {page for page in PAGES if page.parent.name == "docs"} <= linked


def test_every_file_named_in_the_readme_table_exists() -> None:
    table = (ROOT / "README.md").read_text().partition("## Where is it?")[2].partition("\n## ")[0]
    named = re.findall(r"`((?:quart_chat|templates|static|tests|docs)/[^`]*)`", table)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for path in files():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if MACHINE_PATHS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []
