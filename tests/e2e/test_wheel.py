"""What people install: the wheel alone, in an empty directory, serves a page with its style sheet."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, environment, started

NEEDED = ("base.html", "pages/chat.html")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel alone; libraries come from the one that runs the tests."""
    directory = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True, timeout=60)
    pip = [sys.executable, "-m", "pip", "--python", str(directory / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True, timeout=60)
    return directory


def libraries() -> str:
    """This environment's packages without an editable quart-chat: only a .pth file would bring that in."""
    return os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))


def test_the_wheel_holds_pages_styles_and_licence_but_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in NEEDED:
        assert f"quart_chat/templates/{name}" in names
    assert any(name.startswith("quart_chat/static/css/") for name in names)
    assert "quart_chat/library/catalogue.json" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


async def test_installed_in_an_empty_directory_it_serves_a_page_and_its_style_sheet(
    installed: Path, tmp_path: Path
) -> None:
    env = environment(tmp_path) | {"PYTHONPATH": libraries()}
    command = (str(installed / "bin" / "quart-chat"), "serve")
    async with started(tmp_path, command, env=env) as server:
        page = await asyncio.to_thread(fetch, f"{server.url}/")
        style = re.search(r'href="([^"]+\.css[^"]*)"', page)
        assert style is not None
        assert "{" in await asyncio.to_thread(fetch, f"{server.url}{style[1]}")
        assert (await server.stop())[0] == 0


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text
