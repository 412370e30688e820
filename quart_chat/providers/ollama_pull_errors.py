"""What Ollama says when a download or a new model fails, turned into our errors and into words for a person."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from quart_chat.errors import DownloadError, ModelError, ModelNotFoundError, ModelRefusedError
from quart_chat.providers.ollama_errors import NO_NAME, NOT_A_NAME, PATH, error_from_answer, own_words, words_of

log = logging.getLogger(__name__)

LONGEST_STATUS = 100
BY_REGISTRY = re.compile(r"pull model manifest: (\d{3})\b:?\s*(.*)", re.S)
"""An HTTP status of the registry and what it said with it."""


def _not_there(name: str) -> ModelError:
    return ModelNotFoundError(
        f"{name} is in no registry that Ollama asks. Look at the name and the part after the colon."
    )


def _too_old(name: str) -> ModelError:
    return ModelRefusedError(f"{name} needs a newer Ollama than the one here. Update Ollama, then download it again.")


def _not_given(name: str) -> ModelError:
    return ModelRefusedError(
        f"The registry does not give {name} to this Ollama: there is no such model, or it is private and Ollama has to "
        "sign in for it (ollama signin)."
    )


def _disk_full(name: str) -> ModelError:
    return DownloadError(
        f"The disk of Ollama's machine is full. Make room for {name}, then start the download again.", passes=False
    )


def _damaged(name: str) -> ModelError:
    return DownloadError(f"What came of {name} is damaged: its checksum is wrong. Download it again.")


def _no_write(name: str) -> ModelError:
    return DownloadError("Ollama may not write to the folder of its models. Its owner has to allow that.", retry=False)


def _plain_http(name: str) -> ModelError:
    return ModelRefusedError(f"{name} cannot be downloaded: its registry has no https.")


def _gave_up(name: str) -> ModelError:
    return DownloadError(
        f"The registry stopped answering while {name} was coming. Start the download again: it goes on where it "
        "stopped."
    )


def _unreachable(name: str) -> ModelError:
    return DownloadError(
        "The registry cannot be reached from Ollama's machine. Look at its network, then start the download again."
    )


RULES: tuple[tuple[re.Pattern[str], Callable[[str], ModelError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error)
    for pattern, error in (
        (r"no space left|not enough space|disk quota exceeded|disk is full", _disk_full),
        (r"digest mismatch", _damaged),
        (r"manifest: 412\b|newer version of ollama", _too_old),
        (r"manifest: file does not exist|manifest: 404\b|manifest unknown|name unknown", _not_there),
        (r"unauthorized|access denied|manifest: 40[13]\b", _not_given),
        (r"permission denied|read-only file system", _no_write),
        (r"insecure protocol|http response to https client", _plain_http),
        (r"max retries exceeded", _gave_up),
        (
            r"dial tcp|no such host|connection refused|connection reset|i/o timeout|handshake|deadline exceeded"
            r"|unreachable|no route to host|server misbehaving|proxyconnect|x509|certificate|\bEOF\b|broken pipe",
            _unreachable,
        ),
    )
)
"""The first that fits; a full disk also shows as retries that were of no use."""


def pull_error(text: str, name: str) -> ModelError:
    """The error for an `error` text of a download, whatever status it came with."""
    log.warning("Ollama gave up downloading %s: %.500s", name, text)
    if (known := _known(text, name)) is not None:
        return known
    if (said := BY_REGISTRY.search(text)) is not None:
        return _by_registry(int(said[1]), said[2], name)
    return DownloadError(_with(f"{name} could not be downloaded", "Ollama", text))


def pull_refused(status: int, content_type: str, body: bytes, name: str) -> ModelError:
    """The error for a download whose answer has another status than 200."""
    text, _ = words_of(body)
    return pull_error(text, name) if status == 500 and text else error_from_answer(status, content_type, body, name)


def create_error(text: str, name: str) -> ModelError:
    """The error for an `error` text about a new model."""
    log.warning("Ollama could not create %s: %.500s", name, text)
    return _known(text, name) or ModelError(_with(f"{name} could not be created", "Ollama", text), retry=False)


def plain_status(status: str) -> str:
    """A status that names no file and is short enough for a list."""
    return (status.partition(":")[0] if PATH.search(status) else status)[:LONGEST_STATUS]


def _known(text: str, name: str) -> ModelError | None:
    if NOT_A_NAME.search(text):
        return ModelRefusedError(NO_NAME)
    return next((error(name) for pattern, error in RULES if pattern.search(text)), None)


def _by_registry(status: int, text: str, name: str) -> ModelError:
    if status == 429:
        return DownloadError("The registry has had too many requests from here. Try again later.")
    if status >= 500:
        return DownloadError("The registry has a fault of its own. Try again later.")
    return ModelRefusedError(_with(f"The registry does not give {name}", "It", words_of(text.encode())[0]))


def _with(sentence: str, who: str, text: str) -> str:
    said = own_words(text)
    return f"{sentence}. {who} says: {said}" if said else f"{sentence}."
