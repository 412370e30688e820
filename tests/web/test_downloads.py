"""The progress of a download as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.web.conftest import Site
from tests.web.event_streams import Events
from tests.web.pulls import HALF, NEW, PULL, WHOLE, at_half, begun, ended, held, offered

PATH = f"/model/download/{NEW}"


@asynccontextmanager
async def following(site: Site, path: str = PATH, **headers: str) -> AsyncIterator[Events]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.http.stream("GET", path, headers={"Accept": "text/event-stream", **named}) as response:
        assert response.status_code == 200, await response.aread()
        yield Events(response)


async def test_it_begins_with_how_it_stands_and_ends_when_it_is_there(site: Site) -> None:
    hold = held(site)
    job = await begun(site)
    await at_half(site, job["id"])
    async with following(site) as events:
        assert events.response.headers["Content-Type"].startswith("text/event-stream")
        assert events.response.headers["Cache-Control"] == "no-cache"
        first = await events.next()
        assert first is not None
        assert first.name == "message"
        assert set(first.data) == {
            "status", "model", "completed", "total", "percent", "bytes_per_s", "eta_s", "job",
        }  # fmt: skip
        assert (first.data["status"], first.data["completed"], first.data["total"]) == ("downloading", HALF, WHOLE)
        hold.resume.set()
        seen = await events.rest()
    assert seen[-1].name == "done"
    assert (seen[-1].data["status"], seen[-1].data["completed"]) == ("success", WHOLE)
    brought = [event.data["completed"] for event in seen]
    assert brought == sorted(brought)


async def test_a_download_that_fails_ends_with_its_reason(site: Site) -> None:
    offered(site, trouble="registry_gone")
    job = await begun(site)
    async with following(site) as events:
        last = (await events.rest())[-1]
    assert last.name == "error"
    assert (last.data["code"], last.data["job"]["id"], last.data["job"]["state"]) == (
        "DOWNLOAD_FAILED", job["id"], "failed",
    )  # fmt: skip
    assert last.data["error"] == last.data["job"]["problem"]["error"]


async def test_a_download_that_is_cancelled_ends_for_all_who_look(site: Site) -> None:
    hold = held(site)
    job = await begun(site)
    await hold.held.wait()
    async with following(site) as one, following(site) as other:
        assert await one.next()
        assert await other.next()
        await site.http.delete(f"/api/jobs/{job['id']}")
        for events in (one, other):
            last = (await events.rest())[-1]
            assert (last.name, last.data["code"], last.data["retry"]) == ("error", "CONFLICT", True)


async def test_leaving_leaves_the_download_alone(site: Site) -> None:
    hold = held(site)
    job = await begun(site)
    await hold.held.wait()
    async with following(site) as events:
        assert await events.next()
    await asyncio.wait_for(site.services.hub.empty.wait(), 5)
    hold.resume.set()
    assert (await ended(site, job["id"]))["state"] == "complete"
    assert len(site.fake.seen("/api/pull")) == 1


async def test_looking_starts_nothing(site: Site) -> None:
    offered(site)
    response = await site.http.get(PATH, headers={"Accept": "text/event-stream"})
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert site.fake.seen("/api/pull") == []
    assert site.services.library.jobs() == []


async def test_one_that_has_ended_is_told_once_and_then_204(site: Site) -> None:
    offered(site)
    await site.http.post(PULL, json={"model": NEW})
    async with following(site) as events:
        [only] = await events.rest()
    assert only.name == "done"
    again = await site.http.get(PATH, headers={"Accept": "text/event-stream", "Last-Event-ID": only.id})
    assert (again.status_code, again.content) == (204, b"")


async def test_who_comes_back_while_it_runs_hears_the_rest(site: Site) -> None:
    hold = held(site)
    await begun(site)
    await hold.held.wait()
    async with following(site) as events:
        first = await events.next()
        assert first is not None
    async with following(site, Last_Event_ID=first.id) as events:
        assert await events.next()
        hold.resume.set()
        assert (await events.rest())[-1].name == "done"


async def test_the_name_may_have_a_host_and_any_spelling(site: Site) -> None:
    name = "hf.co/somebody/model-GGUF:Q4_K_M"
    hold = held(site, name)
    await begun(site, name)
    await hold.held.wait()
    async with following(site, f"/model/download/{name.lower()}") as events:
        first = await events.next()
        assert first is not None
        assert first.data["model"] == name
        hold.resume.set()
        assert (await events.rest())[-1].name == "done"


async def test_one_that_is_dismissed_ends_the_stream(site: Site) -> None:
    hold = held(site)
    job = await begun(site)
    await hold.held.wait()
    async with following(site) as events:
        assert await events.next()
        site.services.hub.share("job", {})
        last = (await events.rest())[-1]
    assert (last.name, last.data["code"]) == ("error", "NOT_FOUND")
    await site.http.delete(f"/api/jobs/{job['id']}")


async def test_a_restart_ends_the_stream(site: Site) -> None:
    hold = held(site)
    await begun(site)
    await hold.held.wait()
    async with following(site) as events:
        assert await events.next()
        await site.services.drain()
        last = (await events.rest())[-1]
    assert (last.name, last.data["code"]) == ("error", "SERVICE_UNAVAILABLE")
