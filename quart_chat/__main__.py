"""`python -m quart_chat` is the same as `quart-chat`."""

from __future__ import annotations

from quart_chat.cli import main

if __name__ == "__main__":
    main(prog_name="quart-chat")
