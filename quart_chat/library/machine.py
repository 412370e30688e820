"""What the machine has for a model, where Ollama runs on this one: memory, free disk, and whether a model would fit.

Only what the system tells at once. The memory of graphics cards is not among it, so no word here counts it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from quart_chat.config_values import is_loopback

GB = 1_000_000_000
"""Decimal, as Ollama counts the sizes of models."""
KEPT_S = 5.0
DISK_WAIT_S = 0.02
"""So long at most does a reader wait for the disk; a healthy one answers a thousand times faster."""
LEAST_DISK_LEFT = 2 * GB

Room = Literal["fits", "tight", "too_large", "unknown"]


class Machine(Struct, frozen=True, kw_only=True):
    """Bytes, 0 unknown. Not `local`: Ollama is on another host and nothing is known."""

    local: bool = False
    memory: int = 0
    memory_free: int = 0
    disk_free: int = 0


class Fit(Struct, frozen=True, kw_only=True):
    """`words`: one sentence for a person that claims no more than is known."""

    memory: Room = "unknown"
    disk: Room = "unknown"
    words: str = ""


def memory_needed(size: int) -> int:
    """Bytes of memory for a model of `size` bytes on disk: a rule of thumb for a context of 4k.

    The tenth is for the context, 0.6 GB for Ollama itself and its working memory. A little too careful: Ollama 0.34
    holds 4.95 GB for mistral:7b where this says 5.4. Several slots or a longer context take more.
    """
    return int(size * 1.1) + 600_000_000


def fit_of(size: int, machine: Machine, *, installed: bool = False, needed: int = 0) -> Fit:
    """How a model of `size` bytes would do on `machine`. `installed`: it needs no more disk. `needed`: the bytes of
    memory it takes, where somebody knows better than the rule of thumb."""
    needed = needed or (memory_needed(size) if size > 0 else 0)
    if not needed:
        return Fit(words="How large it is, is known only once the download has begun.")
    memory = _memory_room(needed, machine)
    disk: Room = "fits" if installed else _disk_room(size, machine)
    return Fit(memory=memory, disk=disk, words=_words(size, needed, machine, memory, disk))


def read_machine(base_url: str) -> Machine:
    """The machine behind Ollama's address, as it is now or was 5 s ago at most. Takes microseconds, and never waits
    longer than 20 ms, whatever the disk does."""
    return _here.read(base_url)


class MachineReader:
    """Reads this machine; where the facts lie can be said for tests."""

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        cgroup: Path = Path("/sys/fs/cgroup"),
        ask_disk: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proc = proc
        self._cgroup = cgroup
        self._disk = _Asked(ask_disk or _free_disk_here, clock)
        self._clock = clock
        self._memory = (0, 0)
        self._read_at = float("-inf")

    def read(self, base_url: str) -> Machine:
        if not is_loopback(urlsplit(base_url).hostname or ""):
            return Machine()
        if self._clock() - self._read_at >= KEPT_S:
            self._memory = read_memory(self._proc, self._cgroup)
            self._read_at = self._clock()
        memory, free = self._memory
        return Machine(local=True, memory=memory, memory_free=free, disk_free=self._disk.answer())


class _Asked:
    """The answer of a question that may hang, as a file system behind a dead network mount does.

    It is asked in a thread; while that hangs the answer is 0 and nobody asks again.
    """

    def __init__(self, question: Callable[[], int], clock: Callable[[], float]) -> None:
        self._question = question
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._asked_at = float("-inf")
        self._answer = 0

    def answer(self) -> int:
        hangs = self._thread is not None and self._thread.is_alive()
        if not hangs and self._clock() - self._asked_at >= KEPT_S:
            self._asked_at = self._clock()
            self._thread = threading.Thread(target=self._ask, name="free disk", daemon=True)
            self._thread.start()
            self._thread.join(DISK_WAIT_S)
            hangs = self._thread.is_alive()
        return 0 if hangs else self._answer

    def _ask(self) -> None:
        self._answer = self._question()


def read_memory(proc: Path, cgroup: Path) -> tuple[int, int]:
    """(all, free) bytes; what can be given back counts as free. A container's limit counts where one is set.

    That is the limit at the root of what we see: a limit on our own service alone is none on Ollama.
    """
    facts = _numbers(proc / "meminfo")
    total, free = facts.get("MemTotal:", 0) * 1024, facts.get("MemAvailable:", 0) * 1024
    for folder, limit_name, used_name, cache_name in (
        (cgroup, "memory.max", "memory.current", "inactive_file"),
        (cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = _number(folder / limit_name)
        if 0 < limit < total:
            used = _number(folder / used_name) - _numbers(folder / "memory.stat").get(cache_name, 0)
            total, free = limit, max(1, min(free, limit - used))
    return total, free


def model_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where Ollama may keep its models, likeliest first: as its own variable says, in the user's home, in the homes
    that its installers give the service."""
    if named := environ.get("OLLAMA_MODELS"):
        yield Path(named)
    for home in (environ.get("HOME") or os.path.expanduser("~"), "/usr/share/ollama", "/var/lib/ollama"):
        yield Path(home, ".ollama", "models")
    yield Path("/var/lib/ollama")
    yield Path("/var/snap/ollama/common/models")


def free_disk(folders: Iterable[Path]) -> int:
    """Free bytes where the first of `folders` lies that is there; 0 if none is. May hang with the file system."""
    for folder in folders:
        try:
            folder.stat()
            return shutil.disk_usage(folder).free
        except PermissionError:  # it lies in the service's own home: that is on the same disk
            return _free_above(folder)
        except OSError:
            continue
    return 0


def _free_disk_here() -> int:
    return free_disk(model_folders(os.environ))  # a hint of Ollama's if it is there, not a setting of ours


def _free_above(folder: Path) -> int:
    for parent in folder.parents:
        try:
            return shutil.disk_usage(parent).free
        except OSError:
            continue
    return 0


def _memory_room(needed: int, machine: Machine) -> Room:
    if not machine.memory:
        return "unknown"
    if needed > machine.memory:
        return "too_large"
    return "tight" if 0 < machine.memory_free < needed else "fits"


def _disk_room(size: int, machine: Machine) -> Room:
    if not machine.disk_free or size <= 0:
        return "unknown"
    if size > machine.disk_free:
        return "too_large"
    return "tight" if machine.disk_free - size < LEAST_DISK_LEFT else "fits"


def _words(size: int, needed: int, machine: Machine, memory: Room, disk: Room) -> str:
    needs = f"Needs about {_bytes(needed)} of memory"
    whole, free = _bytes(machine.memory), _bytes(machine.memory_free)
    said = {
        "fits": f"{needs}; this machine has {whole}",
        "tight": f"{needs}; this machine has {whole}, of which {free} are free now",
        "too_large": f"{needs}; this machine has {whole}, not counting a graphics card",
        "unknown": needs if machine.local else f"{needs} where Ollama runs",
    }[memory]
    if disk == "too_large":
        said += f"; the download is {_bytes(size)} and the disk has {_bytes(machine.disk_free)} free"
    elif disk == "tight":
        said += f"; the download leaves {_bytes(machine.disk_free - size)} of disk free"
    return f"{said}."


def _bytes(amount: int) -> str:
    """As pages write sizes: 815 MB, 5.6 GB."""
    return f"{amount / GB:.1f} GB" if amount >= GB else f"{amount / 1_000_000:.0f} MB"


def _numbers(path: Path) -> dict[str, int]:
    """The second word of every line by its first, as /proc and cgroups write them; {} if it cannot be read."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}


def _number(path: Path) -> int:
    """0 if it cannot be read or is a word ("max")."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0


_here = MachineReader()
