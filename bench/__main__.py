"""`python -m bench [NAME …]`: measure, print one table; with --strict, exit 1 if a budget is missed."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.report import FULL, QUICK, Effort, Measure, table

NAMES = ("start", "first_token", "tokens", "fan_out", "tabs", "saving", "stalls", "dashboard")


async def measure(names: Sequence[str], effort: Effort) -> list[Measure]:
    """Each name is a module of this package with `run(directory, effort)`."""
    found: list[Measure] = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="quart-chat-bench-") as directory:
            fresh = await importlib.import_module(f"bench.{name}").run(Path(directory), effort)
        print(table(fresh), file=sys.stderr, flush=True)
        found += fresh
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; default: all")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a budget is missed")
    parser.add_argument("--quick", action="store_true", help="half the size, fewer rounds")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    measures = asyncio.run(measure(options.names or NAMES, QUICK if options.quick else FULL))
    print(table(measures))
    return exit_code(measures, strict=options.strict)


def exit_code(measures: Sequence[Measure], *, strict: bool) -> int:
    return int(strict and not all(measure.ok for measure in measures))


if __name__ == "__main__":
    sys.exit(main())
