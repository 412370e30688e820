"""Charts as SVG, drawn on the server: pure functions of numbers. Colours come from the style sheet, by class."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from math import floor, log10
from statistics import median

from markupsafe import Markup, escape

from quart_chat.model_entities import Sample

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 14, 28
WINDOW = 9
"""Answers that a point of the running median stands for."""
DAY_MS = 86_400_000


def speed_chart(samples: Sequence[Sample]) -> Markup:
    """Tokens per second of each answer over time, oldest first, and their running median.

    A dashed line stands where the model's files changed. Empty if nothing was measured.
    """
    shown = [sample for sample in samples if sample.tokens_per_s > 0]
    if not shown:
        return Markup("")
    speeds = [sample.tokens_per_s for sample in shown]
    frame = _Frame(shown[0].at, shown[-1].at, max(speeds))
    points = [(frame.x(sample.at), frame.y(sample.tokens_per_s)) for sample in shown]
    changes = [at for at, (old, new) in enumerate(pairwise(shown), 1) if _changed(old, new)]
    body = (
        frame.grid()
        + "".join(f'<path class="chart-change" d="M{points[at][0]:.1f} {TOP}V{HEIGHT - BOTTOM}"/>' for at in changes)
        + f'<path class="chart-points" d="{_dots(points)}"/>'
    )
    for begin, end in pairwise([0, *changes, len(shown)]):
        middles = running_median(speeds[begin:end])
        course = [(x, frame.y(middle)) for (x, _), middle in zip(points[begin:end], middles, strict=True)]
        body += f'<path class="chart-course" d="{_line(course)}"/>'
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="chart-title chart-desc">'
        f'<title id="chart-title">Tokens per second over time</title>'
        f'<desc id="chart-desc">{escape(described(shown))}</desc>{body}</svg>'
    )


def described(samples: Sequence[Sample]) -> str:
    """The chart in a sentence."""
    speeds = [sample.tokens_per_s for sample in samples]
    times = f"from {_day(samples[0].at)} to {_day(samples[-1].at)}"
    if _day(samples[0].at) == _day(samples[-1].at):
        times = f"on {_day(samples[0].at)}"
    return (
        f"{len(speeds)} answers {times}: between {min(speeds):.1f} and {max(speeds):.1f} tokens per second, "
        f"{median(speeds):.1f} in the middle."
    )


def running_median(values: Sequence[float], window: int = WINDOW) -> list[float]:
    """Of each value and those before it, `window` in all."""
    return [median(values[max(0, at - window + 1) : at + 1]) for at in range(len(values))]


def steps(most: float, wanted: int = 4) -> list[float]:
    """Round numbers from 0 to at least `most`."""
    rough = most / wanted
    size = 10 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    count = 1
    while count * step < most:
        count += 1
    return [number * step for number in range(count + 1)]


class _Frame:
    """Where a moment and a speed lie on the drawing."""

    def __init__(self, first: int, last: int, most: float) -> None:
        self._first, self._last = first, last
        self._steps = steps(most)

    def x(self, at: int) -> float:
        if self._last == self._first:
            return LEFT + (WIDTH - LEFT - RIGHT) / 2
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - self._first) / (self._last - self._first)

    def y(self, speed: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * speed / self._steps[-1]

    def grid(self) -> str:
        lines = "".join(
            f'<path class="chart-grid" d="M{LEFT} {self.y(step):.1f}H{WIDTH - RIGHT}"/>' for step in self._steps
        )
        numbers = "".join(
            f'<text class="chart-text" x="{LEFT - 8}" y="{self.y(step) + 4:.1f}" text-anchor="end">{step:g}</text>'
            for step in self._steps
        )
        return lines + numbers + self._times()

    def _times(self) -> str:
        words = _clock if self._last - self._first < DAY_MS else _day
        ends = [(LEFT, "start", self._first)]
        if self._last != self._first:
            ends.append((WIDTH - RIGHT, "end", self._last))
        return "".join(
            f'<text class="chart-text" x="{x}" y="{HEIGHT - 8}" text-anchor="{anchor}">{words(at)}</text>'
            for x, anchor, at in ends
        )


def _dots(points: Sequence[tuple[float, float]]) -> str:
    """Lines of no length with round ends: a dot each, in one element."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _changed(old: Sample, new: Sample) -> bool:
    return bool(old.digest and new.digest and old.digest != new.digest)


def _day(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1000)
    return f"{moment.day} {moment:%b %Y}"


def _clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000):%d %b %H:%M}".lstrip("0")
