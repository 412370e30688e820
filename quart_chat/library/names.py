"""Names of models as an engine takes them: `[[host[:port]/]namespace/]model[:tag]`."""

from __future__ import annotations

import re

from quart_chat.errors import InvalidInputError
from quart_chat.providers.demo import DEMO_MODEL

MAX_NAME_CHARS = 200

_NAME = re.compile(
    r"(?:(?:[\w][\w.:-]{0,349}/)?[\w][\w-]{0,79}/)?"  # host and namespace
    r"[\w][\w.-]{0,79}"
    r"(?::[\w][\w.-]{0,79})?",
    re.ASCII,
)


def checked_name(name: str, field: str = "model") -> str:
    """The name without white space around it. Raises InvalidInputError for what cannot be one; the text of a stranger
    is not repeated in the message."""
    name = name.strip()
    if not name:
        raise InvalidInputError("Say which model.", {field: "missing"})
    if len(name) > MAX_NAME_CHARS:
        raise InvalidInputError(f"A model's name has at most {MAX_NAME_CHARS} characters.", {field: "too long"})
    if _NAME.fullmatch(name) is None:
        raise InvalidInputError(
            "This is not the name of a model. Names look like llama3.2, llama3.2:3b or hf.co/somebody/model:Q4_K_M.",
            {field: "not a model's name"},
        )
    if name.lower() in (DEMO_MODEL, f"{DEMO_MODEL}:latest"):
        raise InvalidInputError("This is the name of the built-in demo. Choose another one.", {field: "taken"})
    return name
