"""Figures at the end of the run."""

from __future__ import annotations

from tests.e2e.conftest import browser, empty_stage, stage
from tests.reliability.scale import FULL, figures

__all__ = ["browser", "empty_stage", "stage"]


def pytest_terminal_summary(terminalreporter) -> None:  # type: ignore[no-untyped-def]
    if figures:
        terminalreporter.section(f"reliability, {'full' if FULL else 'quick'} form")
        for figure in figures:
            terminalreporter.write_line(figure)
