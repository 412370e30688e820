"""Downloads and other jobs over HTTP: waited for, followed, joined, cancelled, begun again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from quart_chat.library.downloads import Pace
from tests.doubles.fake_ollama import FakeOllama
from tests.web.conftest import Site, open_site
from tests.web.pulls import HALF, NEW, PULL, WHOLE, at_half, begun, ended, held, job, offered

UPDATE = "/api/models/update"


def asked(site: Site, name: str = NEW) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(site.http.post(PULL, json={"model": name}))


async def test_a_pull_is_waited_for_and_says_what_the_engine_said(site: Site) -> None:
    offered(site)
    response = await site.http.post(PULL, json={"model": NEW})
    assert response.status_code == 200
    shape = response.json()
    assert (shape["success"], shape["model"]) == (True, NEW)
    assert shape["message"] == f"Model '{NEW}' pulled successfully"
    log = shape["status_log"]
    assert [line["status"] for line in log if "digest" not in line] == [
        "pulling manifest", "verifying sha256 digest", "writing manifest", "success",
    ]  # fmt: skip
    layers = [line for line in log if "digest" in line]
    assert [set(line) for line in layers] == [{"status", "digest", "total", "completed"}]
    assert layers[0]["total"] == WHOLE
    assert (shape["job"]["state"], shape["job"]["completed"], shape["job"]["percent"]) == ("complete", WHOLE, 100)
    names = [model["name"] for model in (await site.http.get("/api/models/list")).json()["models"]]
    assert NEW in names


async def test_a_pull_that_is_not_waited_for_is_a_job(site: Site) -> None:
    hold = held(site)
    begun_job = await begun(site)
    assert (begun_job["kind"], begun_job["model"], begun_job["state"]) == ("pull", NEW, "running")
    await at_half(site, begun_job["id"])
    shape = await job(site, begun_job["id"])
    assert (shape["phase"], shape["completed"], shape["total"], shape["percent"]) == ("downloading", HALF, WHOLE, 50)
    assert shape["ended_at"] is None
    hold.resume.set()
    assert (await ended(site, begun_job["id"]))["state"] == "complete"


async def test_who_asks_for_what_is_under_way_joins_it(site: Site) -> None:
    hold = held(site)
    first, second = asked(site), asked(site, NEW.upper())
    await hold.held.wait()
    third = await begun(site)
    hold.resume.set()
    answers = [await first, await second]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.json()["job"]["id"] for answer in answers} == {third["id"]}
    assert len(site.fake.seen("/api/pull")) == 1


async def test_who_leaves_does_not_stop_it(site: Site) -> None:
    hold = held(site)
    waiting = asked(site)
    await hold.held.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    running = (await begun(site))["id"]
    hold.resume.set()
    assert (await ended(site, running))["state"] == "complete"
    assert len(site.fake.seen("/api/pull")) == 1


async def test_cancelling_stops_the_engine_and_tells_those_who_wait(site: Site) -> None:
    hold = held(site)
    waiting = asked(site)
    await hold.held.wait()
    job_id = (await begun(site))["id"]
    for _ in range(2):
        response = await site.http.delete(f"/api/jobs/{job_id}")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    refused = await waiting
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    await site.fake.until(lambda: any(request.path == "/api/pull" for request in site.fake.aborted))


async def test_a_cancelled_pull_goes_on_where_it_stopped(site: Site) -> None:
    hold = held(site)
    job_id = (await begun(site))["id"]
    await at_half(site, job_id)
    await site.http.delete(f"/api/jobs/{job_id}")
    hold.resume.set()
    response = await site.http.post(f"/api/jobs/{job_id}/resume")
    assert response.status_code == 202
    assert response.json()["job"]["completed"] == HALF
    assert (await ended(site, response.json()["job"]["id"]))["state"] == "complete"


@pytest.mark.parametrize(
    "body",
    [{}, {"model": ""}, {"model": "  "}, {"model": 7}, {"model": "a b"}, {"model": "../etc"}, {"model": "x" * 301}, []],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_bad_name_is_400_and_asks_nobody(site: Site, body: Any, stream: bool) -> None:
    sent = {**body, "stream": stream} if isinstance(body, dict) else body
    response = await site.http.post(PULL, json=sent)
    assert (response.status_code, response.json()["code"]) == (400, "INVALID_INPUT")
    assert site.fake.seen("/api/pull") == []


async def test_a_name_that_no_registry_has_is_500_with_the_reason(site: Site) -> None:
    response = await site.http.post(PULL, json={"model": "nowhere"})
    assert (response.status_code, response.json()["code"]) == (500, "DOWNLOAD_FAILED")
    assert "nowhere" in response.json()["error"]
    [failed] = (await site.http.get("/api/jobs")).json()["jobs"]
    assert (failed["state"], failed["problem"]["retry"]) == ("failed", False)


@pytest.mark.parametrize("trouble", ["registry_gone", "too_old", "digest_mismatch"])
async def test_a_pull_that_fails_is_500_with_the_reason(site: Site, trouble: str) -> None:
    offered(site, trouble=trouble)
    site.services.library.pulls.pace = Pace(retry_after_s=(0.0,))
    response = await site.http.post(PULL, json={"model": NEW})
    shape = response.json()
    assert (response.status_code, shape["code"]) == (500, "DOWNLOAD_FAILED")
    [failed] = (await site.http.get("/api/jobs")).json()["jobs"]
    assert failed["problem"]["error"] == shape["error"]


async def test_a_pull_without_an_engine_is_503(site: Site) -> None:
    site.fake.misbehave("refused")
    response = await site.http.post(PULL, json={"model": NEW})
    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    await site.fake.listen()


async def test_a_pull_that_takes_too_long_is_504_and_goes_on(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, ollama_timeout_s=0.3) as site:
        hold = held(site)
        response = await site.http.post(PULL, json={"model": NEW})
        shape = response.json()
        assert (response.status_code, shape["code"]) == (504, "TIMEOUT")
        assert "background" in shape["error"]
        assert shape["job"]["state"] == "running"
        hold.resume.set()
        assert (await ended(site, shape["job"]["id"]))["state"] == "complete"


async def test_an_answer_may_be_waited_for_longer_than_a_page_may_take(site: Site) -> None:
    site.app.config["RESPONSE_TIMEOUT"] = 0.01
    hold = held(site)
    waiting = asked(site)
    await hold.held.wait()
    await site.until_board(lambda board: any(job.completed == HALF for job in board.get("job").values()))
    hold.resume.set()
    assert (await waiting).status_code == 200


async def test_who_waits_is_told_of_a_restart(site: Site) -> None:
    hold = held(site)
    waiting = asked(site)
    await hold.held.wait()
    await site.services.drain()
    response = await waiting
    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_jobs_are_listed_running_ones_first_and_paged(site: Site) -> None:
    offered(site, "done:1b")
    held(site)
    await site.http.post(PULL, json={"model": "done:1b"})
    running = await begun(site)
    await site.http.post(PULL, json={"model": "nowhere"})
    shape = (await site.http.get("/api/jobs")).json()
    assert (shape["total"], shape["limit"], shape["offset"]) == (3, 10, 0)
    assert [found["state"] for found in shape["jobs"]] == ["running", "failed", "complete"]
    page = (await site.http.get("/api/jobs?limit=1&offset=1")).json()
    assert [found["model"] for found in page["jobs"]] == ["nowhere"]
    only = (await site.http.get("/api/jobs?state=running")).json()
    assert [found["id"] for found in only["jobs"]] == [running["id"]]
    assert (await site.http.get("/api/jobs?state=what")).status_code == 400
    await site.http.delete(f"/api/jobs/{running['id']}")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/jobs/no"), ("DELETE", "/api/jobs/no"), ("POST", "/api/jobs/no/resume")]
)
async def test_a_job_that_is_not_there_is_404(site: Site, method: str, path: str) -> None:
    response = await site.http.request(method, path)
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


async def test_an_update_says_which_digest_has_changed(site: Site) -> None:
    before = site.fake.add_model(NEW).digest
    site.services.library.look_now()
    await site.until_board(lambda board: NEW in board.get("model"))
    offered(site, digest="b" * 64)
    response = await site.http.post(UPDATE, json={"model": NEW, "wait": True})
    assert response.status_code == 200
    assert response.json()["changed"] == [{"model": NEW, "digest": before, "new_digest": "b" * 64}]
    again = await site.http.post(UPDATE, json={"model": NEW, "wait": True})
    assert (again.json()["changed"], again.json()["jobs"][0]["changed"]) == ([], False)


async def test_all_are_updated_and_one_that_fails_says_so_itself(site: Site) -> None:
    offered(site, "hello:latest", digest="c" * 64)
    response = await site.http.post(UPDATE, json={"wait": True})
    assert response.status_code == 200
    shape = response.json()
    assert [change["model"] for change in shape["changed"]] == ["hello:latest"]
    by_model = {found["model"]: found for found in shape["jobs"]}
    assert by_model["think:latest"]["problem"]["code"] == "NOT_FOUND"
    later = await site.http.post(UPDATE, json={})
    assert later.status_code == 202
    assert {found["kind"] for found in later.json()["jobs"]} == {"update"}


async def test_an_update_that_takes_too_long_is_504_and_goes_on(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, ollama_timeout_s=0.3) as site:
        hold = held(site, "hello:latest", digest="d" * 64)
        response = await site.http.post(UPDATE, json={"model": "hello", "wait": True})
        assert (response.status_code, response.json()["code"]) == (504, "TIMEOUT")
        hold.resume.set()
        assert (await ended(site, response.json()["jobs"][0]["id"]))["changed"] is True


async def test_an_update_of_what_is_not_here_is_404(site: Site) -> None:
    response = await site.http.post(UPDATE, json={"model": "nothing", "wait": True})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
