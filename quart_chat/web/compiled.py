"""What templates are compiled to, kept between starts: a tenth of a second and a megabyte less for every start but the
first."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache

MARK = sha256().digest_size


class Compiled(BytecodeCache):
    """Files in `folder`, each behind a hash of itself: half a file, as a power cut may leave it, is no file.

    They are code that will be run, so a folder that others may write to is not used. One that cannot be read or
    written is as good as none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fresh: dict[Path, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            if self._is_ours():
                data = self._file(bucket).read_bytes()
                if sha256(data[MARK:]).digest() == data[:MARK]:
                    bucket.bytecode_from_string(data[MARK:])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """The first page does not wait for a disk."""
        self._fresh[self._file(bucket)] = bucket.bytecode_to_string()

    def write(self) -> None:
        """What was compiled since the last time; blocks, so it is for a thread."""
        fresh, self._fresh = self._fresh, {}
        with suppress(OSError):
            if fresh:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file, data in fresh.items() if fresh and self._is_ours() else ():
                partial = file.with_suffix(f".{os.getpid()}")
                partial.write_bytes(sha256(data).digest() + data)
                partial.replace(file)

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.bin"

    def _is_ours(self) -> bool:
        found = self._folder.stat()
        return found.st_uid == os.geteuid() and not found.st_mode & 0o022
