"""The command line: quick where it can be, one sentence where it must refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quart_chat import __version__
from tests.e2e.processes import environment

HEAVY = ("quart", "hypercorn", "httpx", "peewee", "asyncio", "markdown_it", "pygments")


def run(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "quart_chat", *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def imported_by(tmp_path: Path, *arguments: str) -> set[str]:
    code = (
        "import sys\nfrom quart_chat.cli import main\n"
        f"main({list(arguments)!r}, standalone_mode=False)\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return set(done.stderr.split())


def test_version_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout.split()[-1]) == (0, __version__)


@pytest.mark.parametrize("command", ["--version", "config"])
def test_what_does_not_serve_imports_nothing_of_the_server(tmp_path: Path, command: str) -> None:
    assert imported_by(tmp_path, command).isdisjoint(HEAVY)


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help").stdout
    assert {"serve", "config", "backup", "restore", "check"} <= set(shown.split())


def test_config_prints_what_is_in_force_without_passwords(tmp_path: Path) -> None:
    done = run(tmp_path, "config", OLLAMA_BASE_URL="http://me:secret@gpu", API_PORT="8123")
    assert "API_PORT=8123" in done.stdout.splitlines()
    assert "OLLAMA_BASE_URL=http://***@gpu" in done.stdout.splitlines()
    assert "secret" not in done.stdout


def test_a_bad_setting_ends_with_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "config", API_PORT="high")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'quart-chat: API_PORT is "high": allowed is a whole number from 0 to 65535.\n'


def test_options_of_serve_win_over_the_environment(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--port", "low", API_PORT="8123")
    assert done.returncode == 2
    assert 'API_PORT is "low"' in done.stderr


def test_nothing_is_written_by_looking(tmp_path: Path) -> None:
    run(tmp_path, "config")
    assert os.listdir(tmp_path) == []
