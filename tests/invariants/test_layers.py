"""A file imports only from below or from its own package; siblings on a layer do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "quart_chat"

GROUND = {
    *("config", "config_file", "config_values", "entities", "errors", "events", "log_context", "metrics"),
    "model_entities",
}
ADAPTERS = {"persistence", "providers", "rendering", "files"}
RULES = {"chat", "library", "accounts"}
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    **dict.fromkeys(ADAPTERS, GROUND),
    "live": GROUND | ADAPTERS,
    **{unit: GROUND | ADAPTERS | {"live"} for unit in RULES},
    "services": GROUND | ADAPTERS | {"live"} | RULES,
    "edge": GROUND,
    "web": GROUND | ADAPTERS | {"live", "services", "edge"} | RULES,
    "app": GROUND | ADAPTERS | {"live", "services", "web", "edge"} | RULES,
    "logs": GROUND,
    "claims": GROUND,
    "hypercorn_patches": {"edge"},
    "left_out": set(),
    "server": GROUND | {"app", "services", "claims", "logs", "hypercorn_patches", "left_out", "edge"},
    "cli": GROUND | {"server", "claims", "persistence"},
    "__main__": {"cli"},
    "__init__": set[str](),
}
"""unit (a package or a module of quart_chat) -> units it may import besides itself and `__version__`"""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_units(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: relative imports hide the layer"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("quart_chat."))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    unit = unit_of(path)
    assert unit in MAY_IMPORT, f"say in MAY_IMPORT on which layer {unit} lies"
    foreign = set(imported_units(path)) - {unit, "__version__"}
    assert foreign <= MAY_IMPORT[unit]


def test_only_persistence_knows_peewee_and_only_providers_know_httpx() -> None:
    for path in modules():
        names = {name.split(".")[0] for name in third_party(path)}
        assert "peewee" not in names or unit_of(path) == "persistence", path
        assert "httpx" not in names or unit_of(path) == "providers", path
        assert "quart" not in names or unit_of(path) in ("web", "app"), path


def third_party(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
