"""The command line. Every command imports what it needs itself, so that --help and --version are quick."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quart_chat import __version__

if TYPE_CHECKING:
    from quart_chat.config import Settings
    from quart_chat.persistence.backup import Findings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="quart-chat")
def main() -> None:
    """A small, live chat server for Ollama."""


@main.command()
@click.option("--host", help="Address to listen on (API_HOST). 0.0.0.0: the whole network.")
@click.option("--port", help="Port to listen on (API_PORT).")
@click.option("--data-dir", help="Directory of the database (DATA_DIR).")
def serve(host: str | None, port: str | None, data_dir: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM. Options win over variables, which docs/configuration.md lists."""
    gc.disable()  # what is imported stays: looking through it for garbage is a tenth of the start
    settings = _settings(API_HOST=host, API_PORT=port, DATA_DIR=data_dir)
    from quart_chat.server import serve as serve_until_stopped

    sys.exit(serve_until_stopped(settings))


@main.command()
def config() -> None:
    """Print the effective settings, one VARIABLE=value a line; passwords are hidden."""
    from quart_chat.config import effective

    for variable, value in effective(_settings()):
        click.echo(f"{variable}={value}")


DATA_DIR = click.option("--data-dir", help="Directory of the database (DATA_DIR).")
FILE = click.Path(path_type=Path)


@main.command()
@click.argument("file", type=FILE)
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
@DATA_DIR
def backup(file: Path, replace: bool, data_dir: str | None) -> None:
    """Write the whole database to FILE, also while the server runs. FILE is an ordinary SQLite database."""
    database = _database(_settings(DATA_DIR=data_dir))
    from quart_chat.persistence.backup import back_up

    with _refusing():
        click.echo(f"{file}: {_contents(back_up(database, file, replace=replace))}")


@main.command()
@click.argument("file", type=FILE)
@DATA_DIR
def restore(file: Path, data_dir: str | None) -> None:
    """Put a backup in place of the data. The server must be stopped; the present data is kept beside it."""
    settings = _settings(DATA_DIR=data_dir)
    database = _database(settings)
    from quart_chat.claims import claim_data
    from quart_chat.persistence.backup import restore as put_back

    with _refusing(), claim_data(settings):
        findings, aside = put_back(file, database)
    click.echo(f"{database}: {_contents(findings)}")
    if aside is not None:
        click.echo(f"What was there before: {aside}")


@main.command()
@click.argument("file", type=FILE, required=False)
@DATA_DIR
def check(file: Path | None, data_dir: str | None) -> None:
    """Examine the database, or the backup FILE: pages, references, search index. Also while the server runs."""
    path = file or _database(_settings(DATA_DIR=data_dir))
    from quart_chat.persistence.backup import examine

    with _refusing():
        findings = examine(path)
    click.echo(f"{path}: {_contents(findings)}")
    for problem in findings.problems:
        click.echo(f"problem: {problem}")
    click.echo("Not in order." if findings.problems else "Pages, references and search index are in order.")
    sys.exit(1 if findings.problems else 0)


def _database(settings: Settings) -> Path:
    if not settings.keeps_history:
        click.echo("quart-chat: HISTORY_STORAGE_TYPE is memory: nothing is kept in a file.", err=True)
        sys.exit(1)
    return settings.database_path


def _contents(findings: Findings) -> str:
    size = f"{findings.size / 1e6:.1f} MB"
    return f"{findings.sessions} chats, {findings.messages} messages, {size}, schema {findings.version}"


@contextmanager
def _refusing() -> Iterator[None]:
    """One sentence on stderr and exit code 1 for what cannot be done."""
    from quart_chat.errors import QuartChatError

    try:
        yield
    except QuartChatError as error:
        click.echo(f"quart-chat: {error.message}", err=True)
        sys.exit(1)


def _settings(**options: str | None) -> Settings:
    from quart_chat.config import load_settings
    from quart_chat.errors import ConfigError

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return load_settings({**os.environ, **given})
    except ConfigError as error:
        click.echo(f"quart-chat: {error.message}", err=True)
        sys.exit(2)
