"""Generations: guarded steps, checkpoints, what a restart does."""

from __future__ import annotations

import asyncio

import pytest

from quart_chat.entities import (
    OWNER_ID,
    GenerationState,
    MessageState,
    Problem,
    Statistics,
    Usage,
)
from quart_chat.persistence.storage import StorageManager
from tests.persistence.conftest import Ask, NewSession

ENDS = [GenerationState.COMPLETE, GenerationState.STOPPED, GenerationState.FAILED, GenerationState.INTERRUPTED]


async def test_a_queued_generation_starts_once(storage: StorageManager, new_session: NewSession, ask: Ask) -> None:
    turn = await ask(await new_session())
    started = await asyncio.gather(*(storage.start_generation(turn.generation.id, 7) for _ in range(5)))
    assert sorted(started) == [False, False, False, False, True]
    generation = await storage.get_generation(turn.generation.id, OWNER_ID)
    assert (generation.state, generation.started_at) == (GenerationState.RUNNING, 7)


async def test_a_checkpoint_counts_only_while_the_generation_runs(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    turn = await ask(await new_session())
    assert not await storage.checkpoint(turn.answer.id, "early", "")
    await storage.start_generation(turn.generation.id, 1)
    assert await storage.checkpoint(turn.answer.id, "half", "hm")
    message = await storage.get_message(turn.answer.id, OWNER_ID)
    assert (message.content, message.thinking, message.state) == ("half", "hm", MessageState.GENERATING)
    await storage.finish_generation(turn.generation.id, GenerationState.COMPLETE, content="whole")
    assert not await storage.checkpoint(turn.answer.id, "late", "")
    assert (await storage.get_message(turn.answer.id, OWNER_ID)).content == "whole"


@pytest.mark.parametrize("state", ENDS)
async def test_an_end_is_written_to_generation_and_answer_once(
    storage: StorageManager, new_session: NewSession, ask: Ask, state: GenerationState
) -> None:
    session = await new_session()
    turn = await ask(session)
    await storage.start_generation(turn.generation.id, 1)
    statistics = Statistics(wait_ms=1, load_ms=2, output_tokens=3, output_ms=4, done_reason="stop")
    usage = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    problem = Problem(code="X", text="Oh.", retry=False)
    ended = await storage.finish_generation(
        turn.generation.id,
        state,
        content="text",
        thinking="hm",
        statistics=statistics,
        usage=usage,
        problem=problem,
    )
    assert ended is not None
    assert ended == await storage.get_message(turn.answer.id, OWNER_ID)
    assert ended.state.value == state.value
    assert (ended.content, ended.thinking, ended.usage) == ("text", "hm", usage)
    generation = await storage.get_generation(turn.generation.id, OWNER_ID)
    assert (generation.state, generation.statistics, generation.problem) == (state, statistics, problem)
    assert generation.ended_at is not None
    assert (await storage.get_session(session.id, OWNER_ID)).updated_at == generation.ended_at
    assert await storage.active_generations() == []
    for other in ENDS:
        assert await storage.finish_generation(turn.generation.id, other, content="other") is None
    assert await storage.get_message(turn.answer.id, OWNER_ID) == ended


async def test_stopping_in_the_queue_gives_a_stopped_empty_answer(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    turn = await ask(await new_session())
    message = await storage.finish_generation(turn.generation.id, GenerationState.STOPPED)
    assert message is not None
    assert (message.state, message.content) == (MessageState.STOPPED, "")
    assert not await storage.start_generation(turn.generation.id, 1)


async def test_a_state_that_is_no_end_is_refused(storage: StorageManager, new_session: NewSession, ask: Ask) -> None:
    turn = await ask(await new_session())
    with pytest.raises(ValueError, match="not an end"):
        await storage.finish_generation(turn.generation.id, GenerationState.RUNNING)


async def test_recover_interrupts_what_ran_and_returns_the_queue_in_order(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    turns = [await ask(await new_session()) for _ in range(4)]
    await storage.start_generation(turns[1].generation.id, 1)
    await storage.checkpoint(turns[1].answer.id, "half", "")
    await storage.finish_generation(turns[2].generation.id, GenerationState.COMPLETE, content="done")
    before = await storage.get_session(turns[1].answer.session_id, OWNER_ID)
    interrupted, requeued = await storage.recover()
    assert [generation.id for generation in interrupted] == [turns[1].generation.id]
    assert [generation.id for generation in requeued] == [turns[0].generation.id, turns[3].generation.id]
    message = await storage.get_message(turns[1].answer.id, OWNER_ID)
    assert (message.state, message.content) == (MessageState.INTERRUPTED, "half")
    assert message.problem is not None
    assert (message.problem.code, message.problem.retry) == ("INTERRUPTED", True)
    assert interrupted[0].state is GenerationState.INTERRUPTED
    assert await storage.get_session(turns[1].answer.session_id, OWNER_ID) == before
    assert await storage.recover() == ([], requeued)
    assert await storage.active_generations() == requeued


async def test_the_file_and_the_context_of_the_model_are_kept_with_the_end(
    storage: StorageManager, new_session: NewSession, ask: Ask
) -> None:
    for started, ended, kept in (("d1", "", "d1"), ("", "d2", "d2"), ("d1", "d2", "d2")):
        turn = await ask(await new_session())
        await storage.start_generation(turn.generation.id, 1, digest=started)
        await storage.finish_generation(
            turn.generation.id,
            GenerationState.COMPLETE,
            statistics=Statistics(output_tokens=1),
            digest=ended,
            num_ctx=2048,
        )
        sample = (await storage.samples("m"))[-1]
        assert (sample.digest, sample.num_ctx) == (kept, 2048)
