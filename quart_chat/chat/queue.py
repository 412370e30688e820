"""The one queue in front of the engines: bounded, fair, cancellable, and honest about places and waiting times.

Owns every task that generates. An engine serves as many at once as it has slots (`Provider.slots`); its own hidden
queue stays empty, which is what makes places, estimates and stopping for free possible.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from quart_chat.chat.turns import Ticket, Turns, etas
from quart_chat.entities import now_ms
from quart_chat.errors import QueueFullError, RateLimitError
from quart_chat.events import QueueEntry
from quart_chat.providers.registry import Providers

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Lane:
    """One engine: who waits for it and what it is doing."""

    slots: int
    turns: Turns = field(default_factory=Turns)
    running: dict[str, Ticket] = field(default_factory=dict)
    held: int = 0
    """Slots kept for questions that are being committed and start at once."""

    @property
    def free(self) -> bool:
        return len(self.running) + self.held < self.slots


class GenerationQueue:
    """`run(ticket)` produces one answer and must store its end itself; cancelled, it stops the engine first.

    `on_change()` is called after every change of order. `duration_s(ticket)` estimates one generation in seconds.
    """

    def __init__(
        self,
        providers: Providers,
        run: Callable[[Ticket], Awaitable[None]],
        *,
        on_change: Callable[[], None],
        duration_s: Callable[[Ticket], float | None],
        max_waiting: int = 100,
        max_waiting_per_person: int = 3,
    ) -> None:
        self._providers = providers
        self._run = run
        self._on_change = on_change
        self._duration_s = duration_s
        self._max_waiting = max_waiting
        self._max_per_person = max_waiting_per_person
        self._lanes: dict[str, _Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()
        self._promised: dict[str, int] = {}
        self._closed = False

    @property
    def waiting(self) -> int:
        return sum(len(lane.turns.waiting) for lane in self._lanes.values())

    @property
    def running(self) -> int:
        return sum(len(lane.running) for lane in self._lanes.values())

    def reserve(self, person: str, model: str) -> Reservation:
        """Room for one more, held while the question is being committed: `with` it, and `put` into it inside.

        Where nobody waits and the engine has a free slot, that slot is held as well: `starts`.

        Raises QueueFullError when the whole queue is full, RateLimitError when this person has enough waiting.
        """
        promised = sum(self._promised.values())
        if self._closed:
            raise QueueFullError("The server is restarting. Send it again in a moment.")
        if self.waiting + promised >= self._max_waiting:
            raise QueueFullError(f"The queue is full: {self.waiting} questions are waiting. Try again later.")
        own = sum(1 for t in self._waiting_tickets() if t.generation.person == person)
        if own + self._promised.get(person, 0) >= self._max_per_person:
            raise RateLimitError(
                f"You have {own} questions waiting already. Send this one when the next answer is done.",
                retry_after_s=10,
            )
        return Reservation(self, self._lane(model), person)

    def put(self, ticket: Ticket) -> None:
        """Take a committed, queued generation into the queue; starts it at once if its engine is free."""
        lane = self._lane(ticket.model)
        lane.turns.add(ticket)
        self._serve(lane)
        self._on_change()

    def find(self, generation_id: str) -> Ticket | None:
        for lane in self._lanes.values():
            if generation_id in lane.running:
                return lane.running[generation_id]
            for ticket in lane.turns.waiting:
                if ticket.id == generation_id:
                    return ticket
        return None

    async def stop(self, generation_id: str) -> bool:
        """Stop one that waits or runs. Returns True if it was waiting (its end is then the caller's to store);
        one that ran has stored its end when this returns."""
        for lane in self._lanes.values():
            for ticket in lane.turns.waiting:
                if ticket.id == generation_id:
                    lane.turns.remove(ticket)
                    self._on_change()
                    return True
            if generation_id in lane.running:
                lane.running[generation_id].stopping = True
        if generation_id in self._tasks:
            await self._end([generation_id])
        return False

    def entries(self) -> tuple[QueueEntry, ...]:
        """Running ones first, then the waiting ones of each engine in their order."""
        found: list[QueueEntry] = []
        for lane in self._lanes.values():
            found.extend(ticket.entry(0, None) for ticket in lane.running.values())
            ordered = lane.turns.order()
            waits = etas(ordered, [self._remaining_s(t) for t in lane.running.values()], self._duration_s, lane.slots)
            found.extend(
                ticket.entry(at, wait) for at, (ticket, wait) in enumerate(zip(ordered, waits, strict=True), 1)
            )
        return tuple(found)

    async def close(self) -> None:
        """Stop everything that runs; what waits stays queued in the database for the next start."""
        self._closed = True
        await self._end(list(self._tasks))

    async def _end(self, generation_ids: list[str]) -> None:
        """Each is cancelled once: a second cancel would cut short what the first one cleans up."""
        await asyncio.sleep(0)  # a task cancelled before its first step would never reach its own clean-up
        tasks = {id: task for id in generation_ids if (task := self._tasks.get(id)) is not None}
        for generation_id, task in tasks.items():
            if generation_id not in self._cancelled:
                self._cancelled.add(generation_id)
                task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())

    def _lane(self, model: str) -> _Lane:
        provider = self._providers.for_model(model)
        if provider.name not in self._lanes:
            self._lanes[provider.name] = _Lane(slots=provider.slots)
        return self._lanes[provider.name]

    def _serve(self, lane: _Lane) -> None:
        while not self._closed and lane.free:
            ticket = lane.turns.take()
            if ticket is None:
                return
            self._start(lane, ticket)

    def _start(self, lane: _Lane, ticket: Ticket) -> None:
        ticket.started_at = now_ms()
        lane.running[ticket.id] = ticket
        self._tasks[ticket.id] = asyncio.create_task(self._run_one(lane, ticket), name=f"generation {ticket.id}")

    async def _run_one(self, lane: _Lane, ticket: Ticket) -> None:
        try:
            await self._run(ticket)
        except asyncio.CancelledError:
            if not ticket.stopping and not self._closed:
                raise
        except Exception:
            logger.exception("generation %s ended without storing its end", ticket.id)
        finally:
            lane.running.pop(ticket.id, None)
            self._tasks.pop(ticket.id, None)
            self._cancelled.discard(ticket.id)
            self._serve(lane)
            if not self._closed:
                self._on_change()

    def _remaining_s(self, ticket: Ticket) -> float | None:
        duration = self._duration_s(ticket)
        if duration is None or ticket.started_at is None:
            return None
        return max(1.0, duration - (now_ms() - ticket.started_at) / 1000)

    def _waiting_tickets(self) -> list[Ticket]:
        return [ticket for lane in self._lanes.values() for ticket in lane.turns.waiting]


class Reservation:
    """A place in the queue that is not yet taken; leaving the `with` block gives back what was not `put` into.

    `starts`, inside the block: the place is a free slot of the engine.
    """

    def __init__(self, queue: GenerationQueue, lane: _Lane, person: str) -> None:
        self._queue = queue
        self._lane = lane
        self._person = person
        self.starts = False

    def __enter__(self) -> Reservation:
        promised = self._queue._promised
        promised[self._person] = promised.get(self._person, 0) + 1
        self.starts = self._lane.free and not self._lane.turns.waiting
        self._lane.held += self.starts
        return self

    def put(self, ticket: Ticket) -> None:
        """Once, after the commit: a generation that runs already where `starts`, else a queued one."""
        if not self.starts or self._queue._closed:
            self._queue.put(ticket)
            return
        self._release()
        self._lane.turns.serve(ticket)
        self._queue._start(self._lane, ticket)
        self._queue._on_change()

    def __exit__(self, *_: object) -> None:
        promised = self._queue._promised
        promised[self._person] -= 1
        if not promised[self._person]:
            del promised[self._person]
        if self.starts:
            self._release()
            self._queue._serve(self._lane)

    def _release(self) -> None:
        self.starts = False
        self._lane.held -= 1
