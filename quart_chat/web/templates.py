"""The one Jinja environment: strict, escaping, synchronous, with the filters that pages and frames share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from quart_chat.entities import now_ms
from quart_chat.web.assets import Assets, find_folder
from quart_chat.web.times import rfc3339


class Templates:
    """`render(name, **context)` gives text; an unknown variable is an error, everything is escaped."""

    def __init__(self, assets: Assets, base_path: str = "") -> None:
        self._environment = Environment(
            loader=FileSystemLoader(find_folder("templates")),
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
        )
        self._environment.filters.update(
            filesize=filesize,
            duration=duration,
            seconds=seconds,
            ago=ago,
            iso=rfc3339,
            number=lambda value: f"{value:,}",
            short_model=lambda name: name.removesuffix(":latest"),
        )

    def render(self, name: str, **context: Any) -> str:
        return self._environment.get_template(name).render(**context)


@cache
def icon(name: str) -> Markup:
    return Markup((Path(find_folder("static")) / "icons" / f"{name}.svg").read_text("utf-8").strip())


def filesize(size: int) -> str:
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


def ago(ms: int) -> str:
    passed = max(0, now_ms() - ms) // 1000
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if passed < limit:
            return "just now" if unit == "s" else f"{passed // size} {unit} ago"
    return f"{passed // 86_400} d ago"
