"""What Ollama says when it cannot, turned into our errors and into words for a person."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from quart_chat.errors import (
    EngineBusyError,
    EngineUnavailableError,
    ModelError,
    ModelLoadError,
    ModelNotFoundError,
    ModelRefusedError,
    ModelTimeoutError,
)

log = logging.getLogger(__name__)

MEMORY = re.compile(
    r"out of memory|OutOfDeviceMemory|not enough memory|insufficient memory|failed to allocate|unable to allocate"
    r"|cannot be allocated|cannot allocate memory|requires more system memory",
    re.I,
)
KILLED = re.compile(r"signal: killed", re.I)
DAMAGED = re.compile(
    r"exceeds file size|error loading model|failed to load model|unable to load model|invalid file magic"
    r"|may be incompatible|unknown model architecture|not a gguf|bad magic|tensor .* not found",
    re.I,
)
LOAD_TIMEOUT = re.compile(r"timed out waiting for", re.I)
CRASHED = re.compile(r"process has terminated|runner has unexpectedly stopped", re.I)
RUNNING_FAILED = re.compile(r"error was encountered while running the model", re.I)
OPTION_TYPE = re.compile(r'option "(\w+)" must be of type')
TOO_LONG = re.compile(r"prompt is longer than the context|exceeds the available context", re.I)
CANNOT = re.compile(r"does not support (\w+)", re.I)
NOT_A_NAME = re.compile(r'invalid model (?:name|path)|model is required|(?:source|destination) ".*" is invalid')
NO_NAME = "This is not the name of a model."
PATH = re.compile(r"(?:/[\w.~-]+){2,}|[A-Za-z]:\\")

ABILITIES = {
    "thinking": "think before it answers",
    "tools": "use tools",
    "chat": "chat",
    "generate": "write text",
    "vision": "see images",
    "insert": "fill gaps in a text",
    "multimodal": "see images or hear sound",
}


class UnknownRequestError(ModelError):
    """The engine has no such path, or not for this method."""


def error_from_answer(status: int, content_type: str, body: bytes, model: str = "") -> ModelError:
    """The error for a response whose status is not 200. Its body may be empty, text, JSON, JSON in JSON."""
    text, details = words_of(body)
    log.warning("Ollama answered %d to a request for %r: %.500s", status, model, text or body[:500])
    if status == 404 and _is_json(content_type):
        return model_not_found(model)
    if status in (404, 405):
        return UnknownRequestError(
            "The engine does not know this request: it is an older Ollama that needs an update, or none.",
            retry=False,
        )
    if status == 403 and not text:
        return EngineUnavailableError(
            "Ollama refused our request because of the address we call it by (Host). Call it by localhost "
            "or an IP address, or let it listen on all interfaces (OLLAMA_HOST=0.0.0.0).",
            retry=False,
        )
    return _by_status(status, text, details, model) or error_from_words(text, model)


def error_from_words(text: str, model: str = "") -> ModelError:
    """The error for an `error` text, whichever status it came with (a stream has only one, 200)."""
    name = model or "the model"
    if (option := OPTION_TYPE.search(text)) is not None:
        return ModelRefusedError(f"Ollama does not accept this value for the setting {option[1]}.")
    if text.startswith("invalid format"):
        return ModelRefusedError("Ollama does not accept this answer format.")
    return (
        _load_error(text, name)
        or _running_error(text, name)
        or ModelError(with_own_words(f"Ollama could not answer with {name}", text))
    )


def model_not_found(model: str) -> ModelNotFoundError:
    name = model or "This model"
    return ModelNotFoundError(f"{name} is not on this machine. Choose another model or download it.")


def is_no_thinking(status: int, body: bytes) -> bool:
    return status == 400 and "does not support thinking" in words_of(body)[0]


def with_own_words(sentence: str, text: str) -> str:
    said = own_words(text)
    return f"{sentence}. Ollama says: {said}" if said else f"{sentence}."


def own_words(text: str) -> str:
    """The first line of what Ollama said, if that is short, printable and names no file; else empty."""
    line = text.strip().partition("\n")[0].strip()
    return "" if len(line) > 200 or not line.isprintable() or PATH.search(line) else line


def words_of(body: bytes) -> tuple[str, dict[str, Any]]:
    """The text of an error body, unwrapped from its layers of JSON, and the innermost fields."""
    text = body[:64_000].decode("utf-8", "replace").strip()
    details: dict[str, Any] = {}
    for _ in range(4):
        inner = _unwrap(text)
        if inner is None:
            break
        text, details = inner
    return text, details


def words_of_value(value: object) -> str:
    """The same for the value of an `error` key that was already decoded."""
    text = value if isinstance(value, str) else json.dumps(value)
    return words_of(text.encode("utf-8", "replace"))[0]


def _unwrap(text: str) -> tuple[str, dict[str, Any]] | None:
    if not text.startswith("{"):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    error = found.get("error", found.get("message"))
    if isinstance(error, dict):
        return str(error.get("message", "")), error
    return (str(error), found) if error is not None else None


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _by_status(status: int, text: str, details: dict[str, Any], model: str) -> ModelError | None:
    name = model or "the model"
    if status == 400:
        return _refusal(text, details, name)
    if status == 401:
        return ModelRefusedError(f"{name} runs at ollama.com. Sign in on the engine's machine: ollama signin")
    if status == 403:
        return ModelRefusedError(with_own_words(f"Ollama does not allow {name}", text))
    if status == 413:
        return ModelRefusedError("The message is too large for the way to Ollama.")
    if status == 429:
        return ModelError("The limit of requests for this model is reached. Try again later.")
    if status == 502:
        return EngineUnavailableError("The way to the engine is broken. Try again in a moment.")
    if status == 503:
        return EngineBusyError("Ollama has too much to do right now. Try again in a moment.")
    if status == 504:
        return ModelTimeoutError("The engine did not answer in time.")
    if 200 <= status < 400:
        return ModelError("What answers at this address does not behave like Ollama.", retry=False)
    return None


def _refusal(text: str, details: dict[str, Any], name: str) -> ModelError:
    if details.get("type") == "exceed_context_size_error" or TOO_LONG.search(text):
        return ModelRefusedError(_too_long(details))
    if (ability := CANNOT.search(text)) is not None:
        return ModelRefusedError(f"{name} cannot {ABILITIES.get(ability[1].lower(), 'do what was asked')}.")
    if NOT_A_NAME.search(text):
        return ModelRefusedError(NO_NAME)
    return ModelRefusedError(with_own_words("Ollama did not accept the request", text))


def _too_long(details: dict[str, Any]) -> str:
    tokens, limit = details.get("n_prompt_tokens"), details.get("n_ctx")
    if isinstance(tokens, int) and isinstance(limit, int):
        return f"This message is too long for the model: {tokens:,} tokens, it can read {limit:,}."
    return "This message is too long for the model. Shorten it, or choose a model with a larger context."


def _load_error(text: str, name: str) -> ModelError | None:
    if MEMORY.search(text):
        return ModelLoadError(f"There is not enough memory for {name}. Unload another model or try a smaller one.")
    if KILLED.search(text):
        return ModelLoadError(f"The system stopped {name}, most likely because memory ran out. Try a smaller model.")
    if DAMAGED.search(text):
        return ModelLoadError(
            f"{name} cannot be loaded: its file is damaged or does not fit this Ollama. Download it again.",
            retry=False,
        )
    if LOAD_TIMEOUT.search(text):
        return ModelLoadError(f"{name} took too long to load. Try again or try a smaller model.")
    return None


def _running_error(text: str, name: str) -> ModelError | None:
    if CRASHED.search(text):
        return ModelLoadError(with_own_words(f"{name} crashed", text))
    if RUNNING_FAILED.search(text):
        return ModelError(f"{name} crashed while it answered. Ask again: it will be loaded anew.")
    return None
