"""The queue on its own: bounds, stopping, closing, and a run that raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from quart_chat.chat.queue import GenerationQueue
from quart_chat.chat.turns import Ticket
from quart_chat.errors import QueueFullError, RateLimitError
from quart_chat.providers.demo import DemoProvider
from quart_chat.providers.registry import Providers
from tests.chat.test_turns import ticket


class Runs:
    """Answers that last until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.changed = asyncio.Event()
        self.go_on: dict[str, asyncio.Event] = {}
        self.fails = False

    async def run(self, ticket: Ticket) -> None:
        self.begun.append(ticket.id)
        self.changed.set()
        if self.fails:
            raise KeyError("broken")
        try:
            await self.go_on.setdefault(ticket.id, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(ticket.id)
            raise

    def let_go(self, name: str) -> None:
        self.go_on.setdefault(name, asyncio.Event()).set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
async def queue(runs: Runs) -> AsyncIterator[GenerationQueue]:
    one_at_a_time = DemoProvider(slots=1)
    queue = GenerationQueue(
        Providers(one_at_a_time, DemoProvider(slots=2)),
        runs.run,
        on_change=runs.changed.set,
        duration_s=lambda _: 10.0,
        max_waiting=4,
        max_waiting_per_person=2,
    )
    yield queue
    await queue.close()


async def test_no_more_run_at_the_same_time_than_the_engine_has_slots(queue: GenerationQueue, runs: Runs) -> None:
    for name in "abc":
        queue.put(ticket(name))
    await runs.until(lambda: runs.begun == ["a"])
    assert (queue.running, queue.waiting) == (1, 2)
    runs.let_go("a")
    await runs.until(lambda: runs.begun == ["a", "b"])
    assert (queue.running, queue.waiting) == (1, 1)


async def test_places_and_estimates_are_told_running_first(queue: GenerationQueue, runs: Runs) -> None:
    for name in "abc":
        queue.put(ticket(name))
    entries = queue.entries()
    assert [(entry.generation_id, entry.position) for entry in entries] == [("a", 0), ("b", 1), ("c", 2)]
    assert entries[0].eta_s is None
    assert [entry.eta_s for entry in entries[1:]] == pytest.approx([10, 20], abs=0.5)


async def test_one_person_may_have_few_waiting_and_all_together_a_few_more(queue: GenerationQueue) -> None:
    queue.put(ticket("a", name="a0"))
    for name in ("a1", "a2"):
        with queue.reserve("a", "m"):
            queue.put(ticket("a", name=name))
    with pytest.raises(RateLimitError) as refused:
        queue.reserve("a", "m")
    assert refused.value.retry_after_s > 0
    for name in ("b", "c"):
        queue.put(ticket(name))
    with pytest.raises(QueueFullError):
        queue.reserve("d", "m")


async def test_a_promised_place_counts_until_it_is_given_back(queue: GenerationQueue) -> None:
    with queue.reserve("a", "m"), queue.reserve("a", "m"):
        with pytest.raises(RateLimitError):
            queue.reserve("a", "m")
        with queue.reserve("b", "m"), queue.reserve("b", "m"), pytest.raises(QueueFullError):
            queue.reserve("c", "m")
    with queue.reserve("a", "m"):
        pass


async def test_a_question_that_finds_a_free_engine_holds_it_while_it_is_committed(
    queue: GenerationQueue, runs: Runs
) -> None:
    with queue.reserve("a", "m") as first, queue.reserve("b", "m") as second:
        assert (first.starts, second.starts) == (True, False)
        second.put(ticket("b"))
        first.put(ticket("a"))
        await runs.until(lambda: bool(runs.begun))
        assert (queue.running, queue.waiting) == (1, 1)
    runs.let_go("a")
    await runs.until(lambda: runs.begun == ["a", "b"])
    with queue.reserve("c", "m") as third:
        assert not third.starts


async def test_a_held_engine_goes_to_who_waits_when_the_commit_failed(queue: GenerationQueue, runs: Runs) -> None:
    async def fails() -> None:
        with queue.reserve("a", "m"):
            queue.put(ticket("b"))
            assert (queue.running, queue.waiting) == (0, 1)
            raise KeyError

    with pytest.raises(KeyError):
        await fails()
    await runs.until(lambda: runs.begun == ["b"])


async def test_one_that_waits_can_be_stopped_and_never_runs(queue: GenerationQueue, runs: Runs) -> None:
    for name in "ab":
        queue.put(ticket(name))
    assert await queue.stop("b")
    runs.let_go("a")
    await runs.until(lambda: not queue.running)
    assert runs.begun == ["a"]


async def test_one_that_runs_is_cancelled_and_the_next_begins(queue: GenerationQueue, runs: Runs) -> None:
    for name in "ab":
        queue.put(ticket(name))
    await runs.until(lambda: runs.begun == ["a"])
    assert not await queue.stop("a")
    assert runs.cancelled == ["a"]
    await runs.until(lambda: runs.begun == ["a", "b"])
    assert not await queue.stop("unknown")


async def test_one_that_is_stopped_right_after_it_came_reaches_its_own_clean_up(
    queue: GenerationQueue, runs: Runs
) -> None:
    queue.put(ticket("a"))
    assert not await queue.stop("a")
    assert (runs.begun, runs.cancelled, queue.running) == (["a"], ["a"], 0)


async def test_many_stops_of_one_are_one_cancel(queue: GenerationQueue) -> None:
    cleaned_up = False

    async def run(ticket: Ticket) -> None:
        nonlocal cleaned_up
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            cleaned_up = True

    queue._run = run
    queue.put(ticket("a"))
    await asyncio.gather(*(queue.stop("a") for _ in range(4)))
    assert cleaned_up


async def test_a_run_that_raises_is_logged_and_the_queue_goes_on(
    queue: GenerationQueue, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    runs.fails = True
    for name in "ab":
        queue.put(ticket(name))
    await runs.until(lambda: runs.begun == ["a", "b"] and not queue.running)
    assert "generation a ended without storing its end" in caplog.text


async def test_closing_ends_what_runs_begins_nothing_and_takes_no_more(queue: GenerationQueue, runs: Runs) -> None:
    for name in "ab":
        queue.put(ticket(name))
    await runs.until(lambda: runs.begun == ["a"])
    await queue.close()
    assert (runs.cancelled, runs.begun, queue.running, queue.waiting) == (["a"], ["a"], 0, 1)
    with pytest.raises(QueueFullError):
        queue.reserve("a", "m")


async def test_engines_do_not_wait_for_each_other(runs: Runs) -> None:
    class Other(DemoProvider):
        name = "other"

    queue = GenerationQueue(
        Providers(Other(slots=1), DemoProvider(slots=2)),
        runs.run,
        on_change=runs.changed.set,
        duration_s=lambda _: None,
    )
    for name, model in (("a", "m"), ("b", "m"), ("c", "demo"), ("d", "demo")):
        queue.put(ticket(name, model))
    await runs.until(lambda: sorted(runs.begun) == ["a", "c", "d"])
    assert queue.waiting == 1
    await queue.close()


async def test_a_ticket_can_be_found_wherever_it_is(queue: GenerationQueue, runs: Runs) -> None:
    for name in "ab":
        queue.put(ticket(name))
    found = [queue.find(name) for name in ("a", "b", "c")]
    assert [None if t is None else t.id for t in found] == ["a", "b", None]
