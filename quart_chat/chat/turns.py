"""Whose turn it is: fair order between people, and how long the ones who wait will wait. Plain data, no tasks.

Start-time fair queueing: every ticket gets the number of the round in which its person may have it served. A
person's second question belongs to the round after their first, so whoever asks for the first time is next, however
many questions another person has waiting. Within a round, first come first served; inside that, questions for the
model that is in memory may go before others, at most `STREAK` times in a row and by at most one round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from quart_chat.entities import Generation
from quart_chat.events import QueueEntry
from quart_chat.log_context import request_id

STREAK = 3


@dataclass(slots=True, eq=False)
class Ticket:
    """One generation on its way through the queue. `stopping`: a person asked to stop it. `request_id`: of the
    request that asked for it, as its task is started by whoever frees the slot."""

    generation: Generation
    who: str = ""
    round: int = 0
    serial: int = 0
    stopping: bool = False
    started_at: int | None = None
    request_id: str = field(default_factory=request_id.get)

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def model(self) -> str:
        return self.generation.model

    def entry(self, position: int, eta_s: float | None) -> QueueEntry:
        """As everybody may see it; 0 is the position of one that runs."""
        generation = self.generation
        return QueueEntry(
            generation_id=generation.id,
            session_id=generation.session_id,
            user_id=generation.user_id,
            person=generation.person,
            who=self.who,
            model=generation.model,
            position=position,
            since=self.started_at or generation.created_at,
            eta_s=eta_s,
        )


@dataclass(slots=True)
class Turns:
    """The waiting tickets of one engine and the fair order between them."""

    waiting: list[Ticket] = field(default_factory=list)
    _round: int = 0
    _serial: int = 0
    _last_round: dict[str, int] = field(default_factory=dict)
    _model: str = ""
    _streak: int = 0

    def add(self, ticket: Ticket) -> None:
        person = ticket.generation.person
        ticket.round = max(self._round, self._last_round.get(person, -1) + 1)
        self._serial += 1
        ticket.serial = self._serial
        self._last_round[person] = ticket.round
        self.waiting.append(ticket)

    def take(self) -> Ticket | None:
        """The next one to be served, removed."""
        if not self.waiting:
            return None
        ticket, self._streak = _pick(self.waiting, self._model, self._streak)
        self._served(ticket)
        return ticket

    def serve(self, ticket: Ticket) -> None:
        """One that never waited: it was added, and it was its turn."""
        self.add(ticket)
        self._streak = self._streak + 1 if ticket.model == self._model else 1
        self._served(ticket)

    def remove(self, ticket: Ticket) -> None:
        """One that gave up waiting; those of the same person behind it move up a round."""
        self.waiting.remove(ticket)
        person = ticket.generation.person
        for other in self.waiting:
            if other.generation.person == person and other.round > ticket.round:
                other.round -= 1
        self._last_round[person] = self._last_round.get(person, ticket.round) - 1

    def _served(self, ticket: Ticket) -> None:
        self.waiting.remove(ticket)
        self._model = ticket.model
        self._round = max(self._round, ticket.round)
        self._last_round = {who: number for who, number in self._last_round.items() if number >= self._round}

    def order(self) -> list[Ticket]:
        """The waiting tickets in the order in which they will be served if nobody else comes."""
        if len({ticket.model for ticket in self.waiting}) == 1:
            return sorted(self.waiting, key=_place)  # nobody can go before others for the model in memory
        waiting, model, streak = list(self.waiting), self._model, self._streak
        ordered = []
        while waiting:
            ticket, streak = _pick(waiting, model, streak)
            waiting.remove(ticket)
            model = ticket.model
            ordered.append(ticket)
        return ordered


def etas(
    ordered: Sequence[Ticket],
    remaining_s: Iterable[float | None],
    duration_s: Callable[[Ticket], float | None],
    slots: int,
) -> list[float | None]:
    """Seconds until each of `ordered` starts, given what the running ones still need. None where nothing was
    measured for one that has to be waited for. An estimate, never a promise."""
    free: list[float | None] = [*remaining_s]
    free.extend([0.0] * (slots - len(free)))
    waits: list[float | None] = []
    for ticket in ordered:
        known = [seconds for seconds in free if seconds is not None]
        if len(known) < len(free):
            waits.append(None)
            continue
        start = min(known)
        free.remove(start)
        waits.append(start)
        duration = duration_s(ticket)
        free.append(None if duration is None else start + duration)
    return waits


def _pick(waiting: Sequence[Ticket], model: str, streak: int) -> tuple[Ticket, int]:
    """The next of `waiting`, and how many of one model there have been in a row with it."""
    first = min(waiting, key=_place)
    if first.model == model or not model:
        return first, streak + 1 if first.model == model else 1
    if streak < STREAK:
        same = [t for t in waiting if t.model == model and t.round <= first.round + 1]
        if same:
            return min(same, key=_place), streak + 1
    return first, 1


def _place(ticket: Ticket) -> tuple[int, int]:
    return ticket.round, ticket.serial
