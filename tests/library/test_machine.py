"""The machine's memory and disk, and what is said of a model's chances on it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from quart_chat.library.machine import (
    DISK_WAIT_S,
    GB,
    KEPT_S,
    Machine,
    MachineReader,
    fit_of,
    free_disk,
    model_folders,
    read_machine,
    read_memory,
)

HERE = "http://localhost:11434"
PI_8 = Machine(local=True, memory=int(8.4 * GB), memory_free=int(7.0 * GB), disk_free=40 * GB)
PI_4 = Machine(local=True, memory=int(4.0 * GB), memory_free=int(3.2 * GB), disk_free=10 * GB)
BUSY_PI = Machine(local=True, memory=int(8.4 * GB), memory_free=int(1.5 * GB), disk_free=40 * GB)
SMALL_DISK = Machine(local=True, memory=64 * GB, memory_free=60 * GB, disk_free=6 * GB)
FAR = Machine()


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def files(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def proc(tmp_path: Path, total_kb: int = 8_000_000, free_kb: int = 6_000_000) -> Path:
    text = f"MemTotal:        {total_kb} kB\nMemFree:  17 kB\nMemAvailable:    {free_kb} kB\n"
    return files(tmp_path / "proc", meminfo=text)


@pytest.mark.parametrize(("machine", "size", "memory", "disk"), [
    (PI_8, 2.0, "fits", "fits"),            # llama3.2:3b
    (PI_8, 4.9, "fits", "fits"),            # llama3.1:8b
    (PI_8, 9.1, "too_large", "fits"),       # phi4:14b
    (PI_4, 2.0, "fits", "fits"),
    (PI_4, 2.5, "tight", "fits"),           # qwen3:4b: in all of it, not in what is free
    (PI_4, 4.9, "too_large", "fits"),
    (PI_4, 8.5, "too_large", "tight"),      # 1.5 GB of disk would be left
    (PI_4, 42.5, "too_large", "too_large"),
    (BUSY_PI, 4.9, "tight", "fits"),
    (SMALL_DISK, 4.0, "fits", "fits"),      # leaves 2 GB
    (SMALL_DISK, 4.9, "fits", "tight"),
    (SMALL_DISK, 8.1, "fits", "too_large"),
    (FAR, 4.9, "unknown", "unknown"),
    (Machine(local=True), 4.9, "unknown", "unknown"),
    (PI_8, 0, "unknown", "unknown"),
])  # fmt: skip
def test_how_a_model_fits(machine: Machine, size: float, memory: str, disk: str) -> None:
    fit = fit_of(int(size * GB), machine)
    assert (fit.memory, fit.disk) == (memory, disk)
    assert fit.words.endswith(".")


@pytest.mark.parametrize(("machine", "size", "words"), [
    (PI_8, 4.9, "Needs about 6.0 GB of memory; this machine has 8.4 GB."),
    (BUSY_PI, 4.9, "Needs about 6.0 GB of memory; this machine has 8.4 GB, of which 1.5 GB are free now."),
    (PI_4, 8.5, "Needs about 9.9 GB of memory; this machine has 4.0 GB, not counting a graphics card; "
                "the download leaves 1.5 GB of disk free."),
    (SMALL_DISK, 8.1, "Needs about 9.5 GB of memory; this machine has 64.0 GB; "
                      "the download is 8.1 GB and the disk has 6.0 GB free."),
    (FAR, 0.3, "Needs about 930 MB of memory where Ollama runs."),
    (Machine(local=True), 4.9, "Needs about 6.0 GB of memory."),
    (PI_8, 0, "How large it is, is known only once the download has begun."),
])  # fmt: skip
def test_it_is_said_in_one_sentence_that_claims_no_more_than_is_known(
    machine: Machine, size: float, words: str
) -> None:
    assert fit_of(int(size * GB), machine).words == words


def test_what_is_installed_needs_no_more_disk() -> None:
    fit = fit_of(8 * GB, SMALL_DISK, installed=True)
    assert fit.disk == "fits"
    assert "download" not in fit.words


def test_who_knows_better_than_the_rule_of_thumb_says_how_much_memory_it_takes() -> None:
    fit = fit_of(0, PI_8, needed=5 * GB)
    assert (fit.memory, fit.disk) == ("fits", "unknown")
    assert "about 5.0 GB" in fit.words


def test_memory_is_what_the_system_counts_as_available(tmp_path: Path) -> None:
    assert read_memory(proc(tmp_path), tmp_path / "none") == (8_000_000 * 1024, 6_000_000 * 1024)


@pytest.mark.parametrize(("folder", "limit", "used", "stat"), [
    ("", "memory.max", "memory.current", "anon 1\ninactive_file 500000000\n"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "cache 1\ntotal_inactive_file 500000000\n"),
])  # fmt: skip
def test_a_containers_limit_counts_less_what_is_used_and_not_only_cached(
    tmp_path: Path, folder: str, limit: str, used: str, stat: str
) -> None:
    group = files(tmp_path / "cgroup" / folder, **{limit: "4000000000\n", used: "1500000000\n", "memory.stat": stat})
    assert group.is_dir()
    assert read_memory(proc(tmp_path), tmp_path / "cgroup") == (4_000_000_000, 3_000_000_000)


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n", "nonsense"])
def test_no_limit_leaves_the_whole_machine(tmp_path: Path, limit: str) -> None:
    group = files(tmp_path / "cgroup", **{"memory.max": limit, "memory.current": "1"})
    assert read_memory(proc(tmp_path), group) == (8_000_000 * 1024, 6_000_000 * 1024)


def test_where_there_is_no_proc_memory_is_unknown(tmp_path: Path) -> None:
    reader = MachineReader(proc=tmp_path, cgroup=tmp_path, ask_disk=lambda: 7)
    assert reader.read(HERE) == Machine(local=True, disk_free=7)


@pytest.mark.parametrize(
    "base_url", ["http://192.168.1.5:11434", "http://ollama:11434", "https://gpu.example", "nonsense"]
)
def test_of_another_host_nothing_is_claimed(base_url: str) -> None:
    assert read_machine(base_url) == Machine()


@pytest.mark.parametrize("base_url", [HERE, "http://127.0.0.1:11434/", "http://[::1]:11434", "http://127.8.8.8"])
def test_of_this_host_the_memory_is_known(base_url: str) -> None:
    machine = read_machine(base_url)
    assert machine.local
    assert 0 < machine.memory_free <= machine.memory


def test_what_was_read_holds_for_five_seconds(tmp_path: Path) -> None:
    clock, asked = Clock(), []
    reader = MachineReader(
        proc=proc(tmp_path), cgroup=tmp_path, ask_disk=lambda: len(asked.append(1) or asked), clock=clock
    )
    first = reader.read(HERE)
    proc(tmp_path, free_kb=1)
    clock.now += KEPT_S - 0.1
    assert reader.read(HERE) == first
    clock.now += 0.1
    later = reader.read(HERE)
    assert (later.memory_free, later.disk_free) == (1024, 2)


def test_a_disk_that_hangs_is_unknown_holds_nobody_up_and_is_not_asked_twice(tmp_path: Path) -> None:
    clock, answers, asked = Clock(), threading.Event(), []

    def hang() -> int:
        asked.append(1)
        answers.wait(10)
        return 5

    reader = MachineReader(proc=proc(tmp_path), cgroup=tmp_path, ask_disk=hang, clock=clock)
    began = time.perf_counter()
    assert reader.read(HERE).disk_free == 0
    assert time.perf_counter() - began < DISK_WAIT_S + 0.5
    clock.now += 10 * KEPT_S
    assert reader.read(HERE).disk_free == 0
    assert len(asked) == 1
    answers.set()
    for thread in threading.enumerate():
        if thread.name == "free disk":
            thread.join(5)
    assert reader.read(HERE).disk_free == 5


def test_free_disk_is_that_of_the_first_folder_that_is_there(tmp_path: Path) -> None:
    assert free_disk([tmp_path / "gone", tmp_path]) > 0
    assert free_disk([tmp_path / "gone"]) == 0


def test_the_folder_ollama_was_told_to_use_is_looked_at_first_then_the_users_own() -> None:
    found = list(model_folders({"OLLAMA_MODELS": "/mnt/models", "HOME": "/users/me"}))
    assert found[:2] == [Path("/mnt/models"), Path("/users/me/.ollama/models")]
    assert next(model_folders({"HOME": "/users/me"})) == Path("/users/me/.ollama/models")
