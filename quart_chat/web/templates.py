"""The one Jinja environment: strict, escaping, synchronous, with the filters that pages and frames share."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from quart_chat.entities import now_ms
from quart_chat.web.assets import Assets, find_folder
from quart_chat.web.compiled import Compiled
from quart_chat.web.model_facts import placement
from quart_chat.web.table import CAPABILITIES
from quart_chat.web.times import rfc3339

PAUSE_S = 0.002
"""Between two templates it is the loop's turn."""
KEEP_CHOICES = (
    ("", "as Ollama does"),
    ("5m", "5 minutes"),
    ("30m", "30 minutes"),
    ("2h", "2 hours"),
    ("24h", "a day"),
    ("-1", "until unloaded"),
)
"""What a page offers for how long a model stays in memory after its last use."""


class Templates:
    """`render(name, **context)` gives text; an unknown variable is an error, everything is escaped.

    `kept_in`: a folder for what templates are compiled to, which saves the next start a tenth of a second.
    """

    def __init__(self, assets: Assets, base_path: str = "", kept_in: Path | None = None) -> None:
        self._compiled = Compiled(kept_in) if kept_in is not None else None
        self._environment = Environment(
            loader=FileSystemLoader(find_folder("templates")),
            bytecode_cache=self._compiled,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            asset=assets.url,
            url=lambda path: base_path + path,
            icon=icon,
            now_ms=now_ms,
            can_do=CAPABILITIES,
            keep_choices=KEEP_CHOICES,
        )
        self._environment.filters.update(
            filesize=filesize,
            duration=duration,
            seconds=seconds,
            ago=ago,
            iso=rfc3339,
            number=lambda value: f"{value:,}",
            short_model=short_model,
            placement=placement,
            model_path=model_path,
            delete_path=delete_path,
            per_s=per_s,
            exact=exact,
        )

    def load_all(self) -> None:
        """So that no page has to wait for its own to be compiled, now and after the next start; for a thread."""
        for name in self._environment.list_templates(extensions=["html"]):
            self._environment.get_template(name)
            time.sleep(PAUSE_S)
        if self._compiled is not None:
            self._compiled.write()

    def render(self, name: str, /, **context: Any) -> str:
        return self._environment.get_template(name).render(**context)


@cache
def icon(name: str) -> Markup:
    return Markup((Path(find_folder("static")) / "icons" / f"{name}.svg").read_text("utf-8").strip())


def short_model(name: str) -> str:
    return name.removesuffix(":latest")


def model_path(name: str) -> str:
    """The page of a model; whatever an address could take for its own, except `/`, is written out."""
    return f"/models/{quote(name)}"


def delete_path(name: str) -> str:
    return f"/model/delete/{quote(name)}"


def filesize(size: float) -> str:
    """As model pages write it: 2.0 GB, 815 MB."""
    amount = float(size)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def duration(ms: float) -> str:
    """Whole seconds as a clock shows them; tenths below ten seconds would only flicker."""
    total = int(ms // 1000)
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def seconds(value: float) -> str:
    """An estimate, rounded to what it is worth: 7 s, 40 s, 3 min."""
    if value < 10:
        return f"{max(1, round(value))} s"
    if value < 90:
        return f"{round(value / 5) * 5} s"
    return f"{round(value / 60)} min"


def per_s(value: float) -> str:
    """A speed as precise as it is worth: 0.8, 9.4, 31."""
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def exact(ms: float) -> str:
    """A measured time: 0.4 s, 12 s, 2 min 5 s."""
    return f"{ms / 1000:.1f} s" if ms < 10_000 else duration(ms)


def ago(ms: int) -> str:
    passed = max(0, now_ms() - ms) // 1000
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if passed < limit:
            return "just now" if unit == "s" else f"{passed // size} {unit} ago"
    return f"{passed // 86_400} d ago"
