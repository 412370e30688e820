"""What is measured of a model: as it is now, in medians and spread, from answers and from loads asked for by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from quart_chat.entities import OWNER_ID, ChatSession, GenerationState, Statistics, Turn
from quart_chat.model_entities import JobKind, JobState, Measurements, ModelUse, Sample
from quart_chat.persistence import measurements
from quart_chat.persistence.connection import current
from quart_chat.persistence.database import Database
from quart_chat.persistence.storage import StorageManager
from tests.persistence.conftest import NewSession
from tests.persistence.test_jobs import job

Answered = Callable[..., Awaitable[Turn]]
OLD, NEW = "sha256:old", "sha256:new"


@pytest.fixture
async def answered(storage: StorageManager, new_session: NewSession) -> Answered:
    """One answer that took what `fields` say: 10 tokens in a second unless they say otherwise."""

    async def answered(
        model: str = "m",
        digest: str = NEW,
        num_ctx: int = 0,
        state: GenerationState = GenerationState.COMPLETE,
        session: ChatSession | None = None,
        **fields: Any,
    ) -> Turn:
        session = session or await new_session()
        turn = await storage.begin_turn(
            session.id, session.user_id, content="Why?", client_id=None, model=model, person="p", starts=True
        )
        took = Statistics(**({"output_tokens": 10, "output_ms": 1_000} | fields))
        await storage.finish_generation(turn.generation.id, state, statistics=took, digest=digest, num_ctx=num_ctx)
        return turn

    return answered


async def ended_at(storage: StorageManager, turn: Turn) -> int:
    at = (await storage.get_generation(turn.generation.id, OWNER_ID)).ended_at
    assert at is not None
    return at


async def loaded(storage: StorageManager, ms: int, at: int, **fields: Any) -> None:
    """By hand, ended at `at`."""
    defaults: dict[str, Any] = {"kind": JobKind.LOAD, "state": JobState.COMPLETE, "digest": NEW}
    await storage.save_job(job(at - ms, ended_at=at, **(defaults | fields)))


async def test_they_are_medians_over_complete_answers_with_text(storage: StorageManager, answered: Answered) -> None:
    for load, tokens in ((50, 10), (3_000, 20), (0, 30), (1_000, 40)):
        last = await answered(
            load_ms=load,
            output_tokens=tokens,
            prompt_tokens=100,
            prompt_ms=500,
            first_token_ms=tokens,
            wait_ms=tokens * 2,
        )
    await answered(state=GenerationState.STOPPED, load_ms=7_777, output_tokens=7_777, output_ms=1)
    await answered(state=GenerationState.FAILED, output_tokens=7_777, output_ms=1)
    await answered(output_tokens=0)
    await answered("other", output_tokens=9_999)
    assert await storage.measurements("m") == Measurements(
        count=4,
        load_ms=2_000,
        prompt_tokens_per_s=200,
        output_tokens=25,
        tokens_per_s=25,
        first_token_ms=25,
        wait_ms=50,
        slow=10,
        fast=40,
        last_at=await ended_at(storage, last),
    )
    assert await storage.measurements("none") == Measurements()


async def test_slow_and_fast_leave_out_a_tenth_at_each_end(storage: StorageManager, answered: Answered) -> None:
    for speed in (1, 999, *range(10, 29)):
        await answered(output_tokens=speed)
    known = await storage.measurements("m")
    assert (known.slow, known.tokens_per_s, known.fast) == (11, 19, 27)


async def test_only_the_latest_answers_count(storage: StorageManager, answered: Answered) -> None:
    await answered(output_tokens=9_999)
    for _ in range(measurements.ANSWERS):
        await answered()
    known = await storage.measurements("m")
    assert (known.count, known.fast) == (measurements.ANSWERS, 10)


async def test_after_an_update_of_the_model_they_begin_anew(storage: StorageManager, answered: Answered) -> None:
    for _ in range(3):
        await answered(digest=OLD, load_ms=9_000, output_tokens=99)
    assert (await storage.measurements("m")).tokens_per_s == 99
    await answered(digest=NEW, output_tokens=20)
    known = await storage.measurements("m")
    assert (known.count, known.tokens_per_s, known.load_ms) == (1, 20, 0)


async def test_an_answer_of_an_unknown_file_counts_with_any(storage: StorageManager, answered: Answered) -> None:
    for digest, tokens in (("", 10), (NEW, 20), ("", 30)):
        await answered(digest=digest, output_tokens=tokens, load_ms=1_000)
    known = await storage.measurements("m")
    assert (known.count, known.tokens_per_s, known.load_ms) == (3, 20, 1_000)


async def test_loads_are_those_with_the_newest_context_size(storage: StorageManager, answered: Answered) -> None:
    await answered(num_ctx=0, load_ms=1_000)
    await answered(num_ctx=32_768, load_ms=5_000)
    known = await storage.measurements("m")
    assert (known.count, known.load_ms) == (2, 5_000)
    await answered(num_ctx=0, load_ms=2_000)
    assert (await storage.measurements("m")).load_ms == 1_500


async def test_a_cold_load_long_ago_is_still_known(storage: StorageManager, answered: Answered) -> None:
    await answered(load_ms=3_000)
    for _ in range(measurements.ANSWERS + 1):
        await answered(load_ms=20)
    assert (await storage.measurements("m")).load_ms == 3_000


async def test_a_load_by_hand_is_a_sample_of_the_load_time(storage: StorageManager, answered: Answered) -> None:
    at = await ended_at(storage, await answered(load_ms=1_000))
    await loaded(storage, 2_000, at)
    await loaded(storage, 3_000, at - 1)
    for strange in (
        {"state": JobState.FAILED},
        {"kind": JobKind.PULL},
        {"model": "other"},
        {"digest": OLD},
        {"num_ctx": 512},
    ):
        await loaded(storage, 90_000, at - 5, **strange)
    known = await storage.measurements("m")
    assert (known.count, known.load_ms) == (1, 2_000)


async def test_a_model_that_was_only_loaded_has_a_load_time(storage: StorageManager) -> None:
    await loaded(storage, 2_000, 10_000)
    wanted = Measurements(load_ms=2_000)
    assert await storage.measurements("m") == wanted
    assert await storage.all_measurements() == {"m": wanted}


async def test_all_are_what_each_is(storage: StorageManager, answered: Answered) -> None:
    assert await storage.all_measurements() == {}
    for model in ("b", "a", "c:latest", "b"):
        await answered(model, load_ms=len(model) * 1_000)
    await loaded(storage, 2_000, 10_000, model="d")
    await answered("stopped", state=GenerationState.STOPPED)
    found = await storage.all_measurements()
    assert found == {model: await storage.measurements(model) for model in ("a", "b", "c:latest", "d")}
    assert found["b"].count == 2


async def test_samples_are_the_latest_of_every_file_oldest_first(storage: StorageManager, answered: Answered) -> None:
    took = {"wait_ms": 1, "load_ms": 2, "prompt_tokens": 30, "prompt_ms": 100, "first_token_ms": 3}
    turns = [await answered(digest=digest, num_ctx=8, **took) for digest in (OLD, NEW, NEW)]
    await answered(state=GenerationState.STOPPED)
    await answered("other")
    wanted = [
        Sample(
            at=await ended_at(storage, turn),
            digest=digest,
            num_ctx=8,
            wait_ms=1,
            load_ms=2,
            prompt_tokens=30,
            prompt_tokens_per_s=300,
            first_token_ms=3,
            output_tokens=10,
            tokens_per_s=10,
        )
        for turn, digest in zip(turns, (OLD, NEW, NEW), strict=True)
    ]
    assert await storage.samples("m") == wanted
    assert await storage.samples("m", limit=2) == wanted[1:]
    assert await storage.samples("none") == []


async def test_the_last_use_of_a_model_is_its_newest_answer_that_was_begun(
    storage: StorageManager, new_session: NewSession, answered: Answered
) -> None:
    assert await storage.latest_uses() == []
    sessions = [await new_session() for _ in range(3)]
    await answered("a", session=sessions[0])
    stopped = await answered("a", session=sessions[1], state=GenerationState.STOPPED)
    whole = await answered("b", session=sessions[1])
    waits = await storage.begin_turn(sessions[2].id, OWNER_ID, content="Why?", client_id=None, model="b", person="q")
    uses = [
        ModelUse(
            model=model,
            session_id=sessions[1].id,
            user_id=OWNER_ID,
            person="p",
            at=await ended_at(storage, turn),
        )
        for model, turn in (("a", stopped), ("b", whole))
    ]
    assert sorted(await storage.latest_uses(), key=lambda use: use.model) == uses
    await storage.start_generation(waits.generation.id, 77)
    [begun] = [use for use in await storage.latest_uses() if use.model == "b"]
    assert (begun.session_id, begun.person, begun.at) == (sessions[2].id, "q", 77)


@pytest.mark.parametrize(
    "sql",
    [
        measurements._EVERY + measurements._ANSWERS,
        measurements._EVERY + measurements._COLD,
        measurements._ONE + measurements._ANSWERS,
        measurements._ONE + measurements._COLD,
        measurements._EVERY + measurements._USES,
        measurements._SAMPLES,
    ],
)
async def test_none_of_it_reads_through_all_generations(database: Database, sql: str) -> None:
    def plan() -> list[str]:
        parameters = ["x", 1][: sql.count("?")]
        return [row[3] for row in current.execute_sql(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()]

    steps = await database.read(plan)
    assert [step for step in steps if "SEARCH generation" in step]
    assert [step for step in steps if step.startswith("SCAN generation")] == []
