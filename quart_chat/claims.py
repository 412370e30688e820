"""Claims what only one process may hold: the data directory and the port."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quart_chat.config import Settings
from quart_chat.errors import ConfigError

LOCK_NAME = "lock"
SEND_BUFFER_BYTES = 64 * 1024
UNACKNOWLEDGED_MS = 10_000
BACKLOG = 512
SOCKET_OPTIONS = (
    ("SOL_SOCKET", "SO_REUSEADDR", 1),
    # A reader that stalls holds 64 KiB of the kernel's memory instead of megabytes.
    ("SOL_SOCKET", "SO_SNDBUF", SEND_BUFFER_BYTES),
    # A peer that is gone or stuck is dropped although data is queued for it.
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 20),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 5),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
)
"""Set on the listener, inherited by every connection. Names, because not every system has all of them."""


@contextmanager
def claim_data(settings: Settings) -> Iterator[None]:
    """Holds the data directory (made if missing) and the database for this process until it ends or dies.

    Raises ConfigError if another process holds them or they cannot be written. Memory storage claims nothing.
    """
    claimed: list[int] = []
    try:
        if settings.keeps_history:
            for lock in _lock_files(settings):
                claimed.append(_lock(lock))
        yield
    finally:
        for descriptor in claimed:
            os.close(descriptor)


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket; its connections inherit its options. Raises ConfigError if it cannot be had."""
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        for level, option, value in SOCKET_OPTIONS:
            if hasattr(socket, option):
                listener.setsockopt(getattr(socket, level), getattr(socket, option), value)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not_listening(host, port, error)) from error
    listener.setblocking(False)
    return listener


def network_address() -> str | None:
    """This machine's address in its network, None without one. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
        return address
    return None


def _lock_files(settings: Settings) -> Iterator[Path]:
    yield settings.data_dir / LOCK_NAME
    database = settings.database_path
    if database.parent.resolve() != settings.data_dir.resolve():
        yield database.with_name(f"{database.name}.{LOCK_NAME}")


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{path.parent} cannot be used for data: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise ConfigError(_why_not_claimed(path, holder, error)) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _why_not_claimed(path: Path, holder: str, error: OSError) -> str:
    if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
        return f"{path} cannot be locked: {error.strerror}."
    process = f" (process {holder})" if holder else ""
    return (
        f"another quart-chat{process} is using the data in {path.parent}. "
        "Stop it first, or choose another directory with --data-dir."
    )


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f'API_HOST is "{host}": this machine has no such address.') from error
    # localhost may name both; more clients try the IPv4 address.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] is not socket.AF_INET)
    return family, (str(address[0]), port)


def _why_not_listening(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program. Choose another port with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} on {host} needs rights that this user does not have. Ports from 1024 up do not."
    if error.errno == errno.EADDRNOTAVAIL:
        return f'API_HOST is "{host}": this machine has no such address.'
    return f"cannot listen on port {port} of {host}: {error.strerror}."
