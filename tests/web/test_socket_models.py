"""What programs are told about models and jobs on the socket."""

from __future__ import annotations

from quart_chat.entities import OWNER_ID
from quart_chat.model_entities import Job, JobKind, JobState
from tests.chat.houses import MODEL
from tests.web.conftest import Json, Site
from tests.web.pulls import HALF, NEW, WHOLE, begun, held, offered

THINK = "think:latest"


def is_pull(frame: Json, status: str) -> bool:
    return frame["payload"].get("event") == "pull" and frame["payload"]["status"] == status


async def test_a_pull_is_told_from_its_beginning_to_its_end(site: Site) -> None:
    hold = held(site)
    async with site.socket() as socket:
        assert (await socket.event("ready"))["jobs"] == []
        job = await begun(site)
        seen = (await socket.until(lambda frame: is_pull(frame, "downloading")))["payload"]
        assert set(seen) == {
            "event", "status", "model", "completed", "total", "percent", "bytes_per_s", "eta_s", "job",
        }  # fmt: skip
        assert (seen["model"], seen["total"], seen["job"]["id"]) == (NEW, WHOLE, job["id"])
        await hold.held.wait()
        await socket.until(lambda frame: frame["payload"].get("completed") == HALF)
        hold.resume.set()
        last = await socket.until(lambda frame: is_pull(frame, "complete"))
        assert (last["type"], last["payload"]["completed"]) == ("status", WHOLE)
        told = [f["payload"]["completed"] for f in socket.frames if f["payload"].get("event") == "pull"]
        assert told == sorted(told)
    names = {frame["payload"].get("model") for frame in socket.frames if frame["payload"].get("event") == "model_added"}
    assert NEW in names


async def test_who_comes_later_finds_the_job_in_ready(site: Site) -> None:
    hold = held(site)
    job = await begun(site)
    await hold.held.wait()
    async with site.socket() as socket:
        ready = await socket.event("ready")
        assert [found["id"] for found in ready["jobs"]] == [job["id"]]
    await site.http.delete(f"/api/jobs/{job['id']}")


async def test_a_pull_that_fails_is_an_error_as_well(site: Site) -> None:
    offered(site, trouble="registry_gone")
    async with site.socket() as socket:
        await socket.event("ready")
        job = await begun(site)
        failed = await socket.until(lambda frame: is_pull(frame, "failed"))
        error = await socket.until(lambda frame: frame["type"] == "error")
    assert failed["payload"]["job"]["state"] == "failed"
    assert (error["payload"]["code"], error["payload"]["model"]) == ("DOWNLOAD_FAILED", NEW)
    assert error["payload"]["job"]["id"] == job["id"]
    assert {"error", "retry"} <= set(error["payload"])


async def test_a_job_that_is_dismissed_is_told_as_removed(site: Site) -> None:
    async with site.socket() as socket:
        await socket.event("ready")
        job = await begun(site, "nowhere")
        await socket.until(lambda frame: is_pull(frame, "failed"))
        await site.services.library.dismiss(job["id"], by="owner")
        removed = await socket.event("job")
    assert (removed["change"], removed["job"]) == ("removed", {"id": job["id"]})


async def test_a_load_is_told_while_it_lasts_and_then_the_model(site: Site) -> None:
    site.fake.engine.models[MODEL].load_s = 0.1
    async with site.socket() as socket:
        await socket.event("ready")
        await site.http.post("/api/models/load", json={"model": MODEL})
        loading = await socket.event("loading")
        assert (loading["model"], loading["expected_s"]) == (MODEL, None)
        assert loading["elapsed_s"] >= 0
        await socket.event("model_loaded")


async def test_a_load_that_fails_is_an_error_that_says_whether_again_may_help(site: Site) -> None:
    async with site.socket() as socket:
        await socket.event("ready")
        await site.http.post("/api/models/load", json={"model": "nothing"})
        error = (await socket.until(lambda frame: frame["type"] == "error"))["payload"]
    assert (error["code"], error["retry"], error["model"]) == ("NOT_FOUND", False, "nothing")
    assert error["job"]["kind"] == "load"


async def test_an_answer_tells_the_use_and_the_speed_of_its_model(site: Site) -> None:
    async with site.socket() as socket:
        await socket.event("ready")
        await site.ended(await site.ask(await site.new_session()))
        events = {"use", "speed"}
        while events:
            payload = (await socket.until(lambda frame: frame["payload"].get("event") in events))["payload"]
            assert payload["model"] == MODEL
            events.discard(payload["event"])
            if payload["event"] == "use":
                assert set(payload["used"]) == {"who", "at"}
            else:
                assert payload["count"] == 1
                assert {"tokens_per_s", "first_token_ms"} <= set(payload["median"])


async def test_an_update_that_is_found_is_told_and_taken_back_when_it_is_here(site: Site) -> None:
    held(site, MODEL, digest="e" * 64).resume.set()
    async with site.socket() as socket:
        await socket.event("ready")
        site.services.library.check_updates(by="owner")
        found = await socket.event("update")
        assert (found["model"], found["available"], found["job"]["changed"]) == (MODEL, True, True)
        await site.http.post("/api/models/update", json={"model": MODEL, "wait": True})
        taken = await socket.until(
            lambda frame: frame["payload"].get("event") == "update" and not frame["payload"]["available"]
        )
        assert taken["payload"]["model"] == MODEL


async def test_a_load_that_waits_for_a_yes_says_what_would_leave(site: Site) -> None:
    job = Job(
        id="j", kind=JobKind.LOAD, model=MODEL, user_id=OWNER_ID, state=JobState.HELD, created_at=1, leaving=THINK
    )  # fmt: skip
    async with site.socket() as socket:
        await socket.event("ready")
        site.services.hub.share("load", {"j": job})
        held_load = await socket.event("load_held")
    assert (held_load["model"], held_load["leaving"], held_load["job"]["state"]) == (MODEL, THINK, "held")
