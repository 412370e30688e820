"""Measures with their budgets, and the one table in which they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Measure:
    """`target`: the most that `value` may be; None where the value is there to compare with."""

    name: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        return self.target is None or self.value <= self.target


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. `rounds`: repetitions of which the median counts; `share`: of the full size of each."""

    rounds: int = 5
    share: float = 1.0

    def of(self, size: int, least: int = 1) -> int:
        return max(least, round(size * self.share))


FULL = Effort()
QUICK = Effort(rounds=3, share=0.5)
TINY = Effort(rounds=1, share=0.03)
"""Shows that everything runs; the figures mean nothing."""


def table(measures: Sequence[Measure]) -> str:
    rows = [("measure", "value", "unit", "target", ""), *(_row(measure) for measure in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(_line(row, widths) for row in rows)


def middle(values: Sequence[float]) -> float:
    """The median; not a number where nothing was measured."""
    return median(values) if values else float("nan")


def _row(measure: Measure) -> tuple[str, ...]:
    target = "" if measure.target is None else f"≤ {measure.target:g}"
    verdict = "" if measure.target is None else "ok" if measure.ok else "OVER"
    return measure.name, f"{measure.value:.4g}", measure.unit, target, f"{verdict:5} {measure.note}".rstrip()


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, value, unit, target, rest = row
    cells = (name.ljust(widths[0]), value.rjust(widths[1]), unit.ljust(widths[2]), target.ljust(widths[3]), rest)
    return "  ".join(cells).rstrip()
