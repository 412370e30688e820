"""/metrics: who gets it, that the numbers are those of what happened, and that nobody pays for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from quart_chat.config import load_settings
from quart_chat.metrics import Spread
from tests.chat.houses import MODEL
from tests.doubles.fake_ollama import FakeOllama
from tests.doubles.script import Script
from tests.e2e.processes import ROOT
from tests.web.conftest import Site, open_site


async def numbers(site: Site) -> dict[str, float]:
    """Samples by name; labels but for buckets are part of it."""
    response = await site.http.get("/metrics")
    assert response.status_code == 200
    samples = [sample for family in text_string_to_metric_families(response.text) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, True),
        ({"API_HOST": "localhost"}, True),
        ({"API_HOST": "::1"}, True),
        ({"API_HOST": "0.0.0.0"}, False),
        ({"API_HOST": "192.168.1.2"}, False),
        ({"API_HOST": "chat.local"}, False),
        ({"BEHIND_PROXY": "127.0.0.1/32"}, False),
        ({"METRICS": "off"}, False),
        ({"METRICS": "on", "API_HOST": "0.0.0.0", "BEHIND_PROXY": "127.0.0.1/32"}, True),
    ],
)
def test_metrics_are_for_this_machine_unless_said_otherwise(variables: dict[str, str], shown: bool) -> None:
    assert load_settings(variables).shows_metrics is shown


async def test_where_it_is_off_there_is_nothing(tmp_path: Path, fake_ollama: FakeOllama) -> None:
    async with open_site(tmp_path, fake_ollama, metrics="off") as site:
        assert (await site.http.get("/metrics")).status_code == 404
        assert site.services.loop_lag.spread.count == 0


async def test_generations_are_counted_by_outcome_with_tokens_and_time(site: Site) -> None:
    site.fake.answer(Script(text="one two three"))
    site.fake.answer(Script(text="half an answer", hold_at=2))
    await site.ended(await site.ask(await site.new_session()))
    stopped = await site.ask(await site.new_session())
    await site.until(stopped, lambda document: document.messages[stopped.answer.id].text.text != "")
    await site.chat.stop(stopped.generation.id, stopped.generation.user_id)
    site.fake.misbehave("500")
    await site.ended(await site.ask(await site.new_session()))
    found = await numbers(site)
    outcomes = {name: found[f"quart_chat_generations_total {name}"] for name in ("complete", "stopped", "failed")}
    assert outcomes == {"complete": 1, "stopped": 1, "failed": 1}
    assert found["quart_chat_output_tokens_total"] >= 3
    assert found["quart_chat_queue_wait_seconds_count"] == 3
    assert found["quart_chat_first_token_seconds_count"] <= 2


async def test_queue_viewers_frames_and_engine_are_as_they_are_now(site: Site) -> None:
    before = await numbers(site)
    held = site.fake.answer(Script(text="one two three", hold_at=1))
    session = await site.new_session()
    async with site.socket(f"?session={session.id}&after=") as program, site.socket("?view=html&after="):
        running = await site.ask(session, model=MODEL)
        waiting = await site.ask(await site.new_session())
        await program.event("delta")
        found = await numbers(site)
        assert (found["quart_chat_queue_running"], found["quart_chat_queue_waiting"]) == (1, 1)
        assert found["quart_chat_queue_oldest_wait_seconds"] > 0
        assert (found["quart_chat_viewers program"], found["quart_chat_viewers page"]) == (1, 1)
        assert found["quart_chat_frames_sent_total"] >= before["quart_chat_frames_sent_total"] + len(program.frames)
        assert found["quart_chat_engine_up"] == 1
        held.resume.set()
        for turn in (running, waiting):
            await site.ended(turn)


async def test_the_database_the_loop_and_memory_are_measured(site: Site) -> None:
    await site.new_session()
    found = await numbers(site)
    assert found["quart_chat_database_seconds_count write"] >= 1
    assert found["quart_chat_database_seconds_count read"] >= 1
    assert found["quart_chat_database_seconds_sum write"] > 0
    assert "quart_chat_loop_lag_seconds_count" in found
    if sys.platform == "linux":
        assert found["process_resident_memory_bytes"] > 10_000_000


async def test_no_label_comes_from_a_client(site: Site) -> None:
    await site.ended(await site.ask(await site.new_session(), model=MODEL))
    text = (await site.http.get("/metrics")).text
    assert set(re.findall(r"(\w+)=\"", text)) == {"version", "outcome", "kind", "le"}


def test_a_server_that_nobody_scrapes_does_not_import_the_library() -> None:
    code = "import sys, quart_chat.app, quart_chat.services\nsys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30, check=False).returncode == 0


def test_a_spread_counts_what_is_at_most_a_bound() -> None:
    spread = Spread((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        spread.add(seconds)
    assert spread.up_to() == [(0.1, 2), (1.0, 3), (float("inf"), 4)]
    assert (spread.count, spread.total_s) == (4, pytest.approx(7.65))
