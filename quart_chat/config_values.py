"""Turns the text of one setting into its value, or says what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

Number = TypeVar("Number", int, float)

OLLAMA_PORT = 11434
LOOPBACK = "127.0.0.1"
BIND_ADDRESSES = {"", "0.0.0.0", "::"}
"""What a server listens on; to reach it from the same machine one dials the loopback address."""

WORDS_FOR_TRUE = {"1", "true", "yes", "on"}
WORDS_FOR_FALSE = {"0", "false", "no", "off"}


class NotAllowedError(ValueError):
    """A value that people may well write although it is not allowed; `why` says why not, and what instead."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Kind(Struct, frozen=True):
    """`parse` raises ValueError for what is not `allowed`."""

    parse: Callable[[str], Any]
    allowed: str


def whole_number(low: int, high: int) -> Kind:
    def parse(text: str) -> int:
        return _within(int(text), low, high)

    return Kind(parse, f"a whole number from {low} to {high}")


def number(low: float, high: float, unit: str = "") -> Kind:
    def parse(text: str) -> float:
        return _within(float(text), low, high)

    return Kind(parse, f"a number from {low:g} to {high:g}{unit}")


def one_of(*words: str, explained: dict[str, str] | None = None) -> Kind:
    """`explained`: other word -> why it is not allowed."""
    by_lower = {word.lower(): word for word in words}

    def parse(text: str) -> str:
        if text.lower() in by_lower:
            return by_lower[text.lower()]
        if explained and text.lower() in explained:
            raise NotAllowedError(explained[text.lower()])
        raise ValueError

    return Kind(parse, " or ".join(words))


def only(word: str, why: str) -> Kind:
    def parse(text: str) -> str:
        if text != word:
            raise NotAllowedError(why)
        return text

    return Kind(parse, word)


def flag(refused: str = "") -> Kind:
    """on or off. `refused`: why it cannot be on."""

    def parse(text: str) -> bool:
        value = _parse_flag(text)
        if value and refused:
            raise NotAllowedError(refused)
        return value

    return Kind(parse, "off" if refused else "on or off (also true/false, yes/no, 1/0)")


def _parse_flag(text: str) -> bool:
    if text.lower() in WORDS_FOR_TRUE:
        return True
    if text.lower() in WORDS_FOR_FALSE:
        return False
    raise ValueError


def _parse_bind_host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+|\[[0-9a-fA-F:.]+\]", text):
        raise ValueError
    return text.strip("[]")


def _parse_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError
    host = LOOPBACK if parts.hostname in BIND_ADDRESSES else _bracketed(parts.hostname)
    port = f":{parts.port}" if parts.port is not None else ""
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{login}{host}{port}{path}"


def url_of_ollama_host(text: str) -> str:
    """The URL that a client dials for a value of OLLAMA_HOST, by the rules of Ollama's own client.

    `host`, `host:port`, `:port`, `[v6]:port`, `http://host` (port 80), `https://host` (port 443), each with
    or without a path. ValueError for anything else.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if scheme not in ("http", "https"):
        raise ValueError
    default_port = OLLAMA_PORT if not separator else {"http": 80, "https": 443}[scheme]
    host_port, slash, path = rest.partition("/")
    if host_port.count(":") > 1 and "[" not in host_port:
        host_port = f"[{host_port}]"
    parts = urlsplit(f"//{host_port}")
    if re.search(r"\s", host_port):
        raise ValueError
    host = LOOPBACK if (parts.hostname or "") in BIND_ADDRESSES else _bracketed(parts.hostname or "")
    return f"{scheme}://{host}:{parts.port or default_port}{slash}{path}".rstrip("/")


def is_loopback(host: str) -> bool:
    """True if only this machine can reach what listens there."""
    from ipaddress import ip_address

    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_networks(text: str) -> str:
    from ipaddress import ip_network

    return ",".join(str(ip_network(item)) for item in _items(text))


def _parse_base_path(text: str) -> str:
    path = text.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*|", path):
        raise ValueError
    return f"/{path}" if path else ""


def _parse_hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(item.lower() for item in _items(text))
    if not all(re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", host) for host in hosts):
        raise ValueError
    return hosts


def _parse_database_url(text: str) -> str:
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        return text
    if text.startswith(("postgres:", "postgresql:")):
        raise NotAllowedError("PostgreSQL is not supported yet; leave it out and SQLite is used")
    raise ValueError


def _parse_path(text: str) -> Path:
    return Path(text).expanduser()


def _within(value: Number, low: Number, high: Number) -> Number:
    if not low <= value <= high:
        raise ValueError
    return value


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


TEXT = Kind(str, "text")
PATH = Kind(_parse_path, "a path")
BIND_HOST = Kind(_parse_bind_host, "an address or a host name such as 127.0.0.1 or 0.0.0.0")
ENGINE_URL = Kind(_parse_url, "a URL such as http://localhost:11434")
NETWORKS = Kind(_parse_networks, "networks with commas between them such as 127.0.0.1/32,10.0.0.0/8")
BASE_PATH = Kind(_parse_base_path, "a path such as /chat")
HOSTS = Kind(_parse_hosts, "host names without port, with commas between them")
DATABASE_URL = Kind(_parse_database_url, "sqlite:///path/of/a/file.db")
