"""The command line. Every command imports what it needs itself, so that --help and --version are quick."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from quart_chat import __version__

if TYPE_CHECKING:
    from quart_chat.config import Settings


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


def _settings(**options: str | None) -> Settings:
    from quart_chat.config import load_settings
    from quart_chat.errors import ConfigError

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return load_settings({**os.environ, **given})
    except ConfigError as error:
        click.echo(f"quart-chat: {error.message}", err=True)
        sys.exit(2)
