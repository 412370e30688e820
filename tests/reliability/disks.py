"""Disks that refuse: a small file system of its own, a limit on file sizes, another process that holds the lock."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def mount(*arguments: str) -> None:
    """Skips loudly where this may not be done, as in most containers."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system may be mounted here ({done.stderr.strip()}): a full disk is NOT tested")


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A file system of that size at `directory`."""
    directory.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory))
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


class FailingDisk:
    """An ext4 file system in a file of its own at `directory`, which becomes read-only on errors, as usual."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self._image = directory.with_suffix(".ext4")
        with self._image.open("wb") as file:
            file.truncate(size)

    def make(self) -> None:
        """Skips loudly where this may not be done."""
        self.directory.mkdir()
        subprocess.run(["mkfs.ext4", "-q", str(self._image)], check=True)
        self.mount()

    def mount(self) -> None:
        mount("-o", "loop,errors=remount-ro", str(self._image), str(self.directory))

    def fail(self) -> None:
        """What the kernel does when the disk below reports an error: read-only at once, whatever is open for writing.
        (`remount,ro` would be refused while a database is open.)"""
        subprocess.run(["mount", "-o", "remount,abort", str(self.directory)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.directory)], check=True)

    def repair(self) -> None:
        """As at the next start of the machine: unmounted, checked, mounted. Nobody may use it meanwhile."""
        self.unmount()
        done = subprocess.run(["e2fsck", "-f", "-y", str(self._image)], capture_output=True, text=True)
        assert done.returncode <= 1, done.stdout
        self.mount()


@contextmanager
def failing_disk(directory: Path, size: int) -> Iterator[FailingDisk]:
    disk = FailingDisk(directory, size)
    disk.make()
    try:
        yield disk
    finally:
        disk.unmount()


@contextmanager
def filled(directory: Path) -> Iterator[None]:
    """Not one byte is free inside the block."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def no_file_may_grow(pid: int) -> Iterator[None]:
    """The process may write to no file beyond its first 4 KiB."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nothing in `directory` can be written, not even by root."""
    if os.geteuid() != 0:
        directory.chmod(0o555)
        try:
            yield
        finally:
            directory.chmod(0o755)
        return
    mount("--bind", str(directory), str(directory))
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(directory)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@asynccontextmanager
async def locked(database: Path) -> AsyncIterator[None]:
    """Another process holds the write lock inside the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(database), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"held\n"
        yield
    finally:
        await process.communicate(b"")
