"""What a real Ollama said about downloads, loads, copies and deletions, and which status and words a program gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quart_chat.library.downloads import Pace
from tests.doubles.recordings import Replay
from tests.web.conftest import Site, open_site
from tests.web.pulls import PULL

NAME = "127.0.0.1:38441/test/tiny"
PULLED = ("pull-success", "pull-present", "pull-registry-back", "pull-two-clients")
NOT_PULLED = {
    "pull-damaged": "checksum",
    "pull-missing": "no registry",
    "pull-no-registry": "cannot be reached",
    "pull-registry-dies": "",
    "pull-registry-gone": "",
}
NOT_LOADED = ("load-fails", "load-crashes", "load-killed")
CHANGES = {
    "copy": ("POST", "/api/models/copy", {"source": "hello", "destination": "hello-copy"}, 200),
    "create-from": ("POST", "/api/models/create", {"model": "pirate", "from": "hello"}, 201),
    "delete": ("DELETE", "/api/models/hello", None, 200),
    "copy-missing": ("POST", "/api/models/copy", {"source": "hello", "destination": "x"}, 404),
    "delete-missing": ("DELETE", "/api/models/hello", None, 404),
    "create-from-missing": ("POST", "/api/models/create", {"model": "x", "from": "hello"}, 400),
}
"""The last three: it went away between our look at it and the change."""


@asynccontextmanager
async def replayed(data: Path, *names: str) -> AsyncIterator[Site]:
    async with (
        Replay("version", "ps-empty", *names) as replay,
        open_site(data, replay, demo="off") as site,  # type: ignore[arg-type]
    ):
        site.services.library.pulls.pace = Pace(retry_after_s=(0.0,))
        yield site


@pytest.mark.parametrize("name", PULLED)
async def test_recorded_downloads_are_200_with_what_was_said(tmp_path: Path, name: str) -> None:
    async with replayed(tmp_path, "tags-empty", name) as site:
        response = await site.http.post(PULL, json={"model": NAME})
        assert response.status_code == 200, response.text
        assert response.json()["status_log"][-1] == {"status": "success"}
        assert response.json()["job"]["state"] == "complete"


@pytest.mark.parametrize("name", NOT_PULLED)
async def test_recorded_downloads_that_failed_are_500_with_the_reason(tmp_path: Path, name: str) -> None:
    async with replayed(tmp_path, "tags-empty", name) as site:
        response = await site.http.post(PULL, json={"model": NAME})
        assert (response.status_code, response.json()["code"]) == (500, "DOWNLOAD_FAILED")
        assert NOT_PULLED[name] in response.json()["error"]
        [job] = (await site.http.get("/api/jobs")).json()["jobs"]
        assert (job["state"], job["problem"]["error"]) == ("failed", response.json()["error"])


@pytest.mark.parametrize("name", NOT_LOADED)
async def test_recorded_loads_that_failed_are_500_with_the_reason(tmp_path: Path, name: str) -> None:
    async with replayed(tmp_path, "tags", "show-native-tools", name) as site:
        response = await site.http.post("/api/models/load", json={"model": "hello", "wait": True})
        assert (response.status_code, response.json()["code"]) == (500, "MODEL_LOAD_FAILED")
        assert len(response.json()["error"]) > 20


async def test_a_recorded_load_is_200(tmp_path: Path) -> None:
    async with replayed(tmp_path, "tags", "show-native-tools", "load") as site:
        assert (await site.http.post("/api/models/load", json={"model": "hello", "wait": True})).status_code == 200


@pytest.mark.parametrize("name", CHANGES)
async def test_recorded_changes_have_their_status(tmp_path: Path, name: str) -> None:
    method, path, body, status = CHANGES[name]
    async with replayed(tmp_path, "tags", "show-native-tools", name) as site:
        response = await site.http.request(method, path, json=body)
        assert response.status_code == status, response.text
