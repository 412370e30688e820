"""Compiled templates are kept between starts, and nothing depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quart_chat.web.assets import Assets
from quart_chat.web.templates import Templates

PAGE = "pages/error.html"


def rendered(kept_in: Path | None) -> str:
    templates = Templates(Assets(), kept_in=kept_in)
    templates.load_all()
    return templates.render(PAGE, status=404, code="NOT_FOUND", message="Nothing <here>.", theme="auto")


def test_what_is_compiled_is_kept_and_gives_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "compiled"
    assert rendered(kept) == rendered(None)
    times = {file: file.stat().st_mtime_ns for file in kept.iterdir()}
    assert len(times) > 40
    assert kept.stat().st_mode & 0o077 == 0
    assert rendered(kept) == rendered(None)
    assert {file: file.stat().st_mtime_ns for file in kept.iterdir()} == times


@pytest.mark.parametrize("kept", [0, 10, 40, 500])
def test_a_file_that_a_power_cut_left_half_is_compiled_again(tmp_path: Path, kept: int) -> None:
    tmp_path.chmod(0o700)
    rendered(tmp_path)
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        file.write_bytes(data[:kept] + bytes(len(data) - kept))
    assert rendered(tmp_path) == rendered(None)


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    kept = tmp_path / "compiled"
    kept.mkdir()
    kept.chmod(0o770)
    rendered(kept)
    assert list(kept.iterdir()) == []


def test_without_a_folder_to_write_to_pages_are_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert rendered(tmp_path / "file" / "compiled") == rendered(None)
