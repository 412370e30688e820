"""How one viewer wants the table of models: sorted by what, filtered to what; kept in the page's address."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from quart_chat.model_entities import Measurements, ModelInfo

MAX_FILTER_CHARS = 100
DESCENDING_FIRST = frozenset({"size", "parameters", "context", "speed", "modified"})
"""Of these one wants the largest on top."""
UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
CAPABILITIES = {"vision": "vision", "tools": "tools", "thinking": "thinking", "embedding": "embeddings"}
"""What one may filter by, and how it is called on pages. Chatting goes without saying."""

Speeds = Mapping[str, Measurements]


class Column(Struct, frozen=True):
    key: str
    title: str
    rank: Callable[[ModelInfo, Speeds], Any]


def parameter_count(text: str) -> float:
    """3.2B → 3.2e9; 0 for what is no number."""
    found = re.fullmatch(r"([\d.]+)\s*([KMBT])?", text.strip().upper())
    if found is None or found[1].count(".") > 1 or found[1] == ".":
        return 0.0
    return float(found[1]) * UNITS.get(found[2], 1.0)


def _speed(model: ModelInfo, speeds: Speeds) -> float:
    measured = speeds.get(model.name)
    return measured.tokens_per_s if measured is not None else 0.0


COLUMNS = (
    Column("name", "Name", lambda model, _: model.name.lower()),
    Column("size", "Size", lambda model, _: model.size),
    Column("parameters", "Parameters", lambda model, _: parameter_count(model.parameter_size)),
    Column("quantisation", "Quantisation", lambda model, _: model.quantization.lower()),
    Column("family", "Family", lambda model, _: model.family.lower()),
    Column("context", "Context", lambda model, _: model.context_length),
    Column("speed", "Speed", _speed),
    Column("modified", "Modified", lambda model, _: model.modified_at),
)
BY_KEY = {column.key: column for column in COLUMNS}


class TableView(Struct, frozen=True):
    """Equal ones show the same. Whatever an address says that is not known counts as not said."""

    sort: str = "name"
    descending: bool = False
    words: str = ""
    can: str = ""

    @property
    def filters(self) -> bool:
        return bool(self.words or self.can)

    @property
    def query(self) -> str:
        """As it stands in an address; empty for the usual view."""
        usual = self.sort in DESCENDING_FIRST
        said = {
            "sort": self.sort if self.sort != "name" else "",
            "dir": "" if self.descending == usual else "desc" if self.descending else "asc",
            "q": self.words,
            "can": self.can,
        }
        return urlencode({name: value for name, value in said.items() if value})

    def sorted_by(self, key: str) -> TableView:
        """What a click on that column's head leads to: the other way round where it is sorted by already."""
        descending = not self.descending if key == self.sort else key in DESCENDING_FIRST
        return replace(self, sort=key, descending=descending)

    def all(self) -> TableView:
        return replace(self, words="", can="")

    def rows(self, models: Iterable[ModelInfo], speeds: Speeds) -> list[ModelInfo]:
        shown = sorted((model for model in models if self.shows(model)), key=lambda model: model.name.lower())
        rank = BY_KEY[self.sort].rank
        return sorted(shown, key=lambda model: rank(model, speeds), reverse=self.descending)

    def shows(self, model: ModelInfo) -> bool:
        """Every word occurs somewhere in what the row says."""
        if self.can and self.can not in model.capabilities:
            return False
        said = " ".join(
            (model.name, model.family, model.parameter_size, model.quantization, *model.capabilities)
        ).lower()
        return all(word in said for word in self.words.lower().split())


def table_view(args: Mapping[str, str]) -> TableView:
    """From the arguments of an address."""
    sort = args.get("sort", "name")
    if sort not in BY_KEY:
        sort = "name"
    direction = args.get("dir", "")
    can = args.get("can", "")
    return TableView(
        sort=sort,
        descending=direction == "desc" if direction in {"asc", "desc"} else sort in DESCENDING_FIRST,
        words=args.get("q", "").strip()[:MAX_FILTER_CHARS],
        can=can if can in CAPABILITIES else "",
    )
