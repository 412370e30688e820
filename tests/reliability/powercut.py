"""A disk that forgets: what was not synced when the power went may be there, may be torn, may be gone.

`Disk` is an APSW VFS above SQLite's own. It keeps, for every file, what a sync has made durable and what was written
since. `image(chance)` is what a machine might find after a power cut at this moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from playhouse.apsw_ext import APSWDatabase

from quart_chat.persistence import connection as product

NAME = "powercut"
SECTOR = 512
Image = dict[str, bytes]
Write = tuple[int, bytes | None]
"""Where, and what; None: the file is cut there."""


@dataclass
class _File:
    durable: bytearray | None = None
    """None: a cut now would leave no such file."""
    pending: list[Write] = field(default_factory=list)

    def sync(self) -> None:
        self.durable = self.durable if self.durable is not None else bytearray()
        for write in self.pending:
            apply(self.durable, write)
        self.pending.clear()

    def after_a_cut(self, chance: random.Random) -> bytes | None:
        """Each sector that was not synced is there or not, whatever came before or after it."""
        if self.durable is None:
            return None
        found = bytearray(self.durable)
        for at, data in self.pending:
            if data is None:
                if chance.random() < 0.5:
                    apply(found, (at, None))
                continue
            for start in range(0, len(data), SECTOR):
                if chance.random() < 0.5:
                    apply(found, (at + start, data[start : start + SECTOR]))
        return bytes(found)


def apply(file: bytearray, write: Write) -> None:
    at, data = write
    if data is None:
        del file[at:]
        return
    if len(file) < at:
        file.extend(bytes(at - len(file)))
    file[at : at + len(data)] = data


class Disk(apsw.VFS):
    """One for the process. `watch` is called before each change of a file, in the thread that makes it."""

    def __init__(self) -> None:
        super().__init__(NAME, "")
        self.files: dict[str, _File] = {}
        self.syncs = 0
        self.watch: Callable[[], None] = lambda: None

    def image(self, chance: random.Random) -> Image:
        """File name -> content, as after a power cut now. The shared memory beside a WAL is memory: not there."""
        found = {Path(path).name: file.after_a_cut(chance) for path, file in self.files.items()}
        return {name: content for name, content in found.items() if content is not None}

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _OpenFile(self, name, flags)

    def xDelete(self, name: str, sync_directory: bool) -> None:
        self.watch()
        self.files.pop(name, None)
        super().xDelete(name, sync_directory)


class _OpenFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._disk = disk
        self._file = disk.files.setdefault(path, _File())

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.watch()
        self._file.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.watch()
        self._file.pending.append((size, None))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._disk.watch()
        super().xSync(flags)
        self._file.sync()
        self._disk.syncs += 1


class ForgetfulConnection(APSWDatabase, product.Connection):  # type: ignore[misc]
    """The product's connection, pragmas and all, on the forgetful disk."""

    def __init__(self, database: str, **options: Any) -> None:
        super().__init__(database, vfs=NAME, **options)
