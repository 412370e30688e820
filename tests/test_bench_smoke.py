"""The benchmarks run: each in its smallest form gives its measures; what the figures are is not looked at."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
import time
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import dashboard, fan_out, first_token, saving, start, tokens
from bench.report import TINY, Measure, table
from bench.ticker import Ticker


def assert_measured(found: list[Measure], count: int) -> None:
    assert len(found) == count
    assert all(math.isfinite(measure.value) for measure in found)


@pytest.mark.parametrize("name", command.NAMES)
def test_every_name_is_a_module_that_can_run(name: str) -> None:
    assert inspect.iscoroutinefunction(importlib.import_module(f"bench.{name}").run)


async def test_saving_gives_its_measures(tmp_path: Path) -> None:
    assert_measured(await saving.run(tmp_path, TINY), 2)


async def test_the_way_of_a_question_and_of_tokens_is_measured(tmp_path: Path) -> None:
    found = await asyncio.gather(first_token.run(tmp_path / "a", TINY), tokens.run(tmp_path / "b", TINY))
    assert_measured([measure for measures in found for measure in measures], 5)


async def test_a_few_viewers_are_measured_beside_the_yardstick(tmp_path: Path) -> None:
    assert_measured(await fan_out.run(tmp_path, TINY), 2)


async def test_the_dashboard_and_what_a_pull_sends_to_it_are_measured(tmp_path: Path) -> None:
    assert_measured(await dashboard.run(tmp_path, TINY), 4)


async def test_one_start_is_measured_beside_the_bare_page(tmp_path: Path) -> None:
    assert_measured(await start.run(tmp_path, TINY), 8)


async def test_a_standing_loop_is_seen() -> None:
    ticker = Ticker()
    ticker.start()
    await asyncio.sleep(0.01)
    ticker.take_ms()
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    await asyncio.sleep(0.01)
    stall_ms = ticker.take_ms()
    await ticker.stop()
    assert stall_ms >= 45


def test_a_missed_budget_is_shown_and_a_value_without_budget_is_never_missed() -> None:
    found = [Measure("too slow", 3, "ms", 2), Measure("just told", 3, "ms"), Measure("quick", 1, "ms", 2)]
    assert [measure.ok for measure in found] == [False, True, True]
    lines = table(found).splitlines()
    assert [("OVER" in line) for line in lines] == [False, True, False, False]


@pytest.mark.parametrize(("strict", "value", "code"), [(True, 3, 1), (True, 2, 0), (False, 3, 0)])
def test_only_strict_fails_and_only_when_a_budget_is_missed(strict: bool, value: float, code: int) -> None:
    assert command.exit_code([Measure("one", value, "ms", 2)], strict=strict) == code
