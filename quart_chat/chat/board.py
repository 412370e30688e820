"""Tells every tab its place in the queue whenever the order changes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from quart_chat.entities import now_ms
from quart_chat.events import Phase, QueueEntry
from quart_chat.live.hub import Hub


def publish_queue(hub: Hub, entries: tuple[QueueEntry, ...]) -> None:
    """The queue on the boards, and the phase line of every answer that waits."""
    hub.share("queue", {"": entries} if entries else {})
    for entry, ahead in _waiting(entries):
        document = hub.loaded(entry.session_id)
        if document is None:
            continue
        answer = document.running
        if answer is None or answer.generation_id != entry.generation_id:
            continue
        since = answer.phase.since if answer.phase is not None and answer.phase.kind == "queued" else now_ms()
        phase = Phase(
            kind="queued",
            since=since,
            model=entry.model,
            position=entry.position,
            total=max(e.position for e in entries),
            ahead=ahead,
            eta_s=entry.eta_s,
        )
        document.set_phase(answer.message.id, phase)


def _waiting(entries: Iterable[QueueEntry]) -> Iterable[tuple[QueueEntry, tuple[str, ...]]]:
    """Each waiting entry with the names, as far as known, of those before it, nearest turn first."""
    for _, lane in groupby(entries, key=lambda entry: entry.model == "demo"):
        before: list[str] = []
        for entry in lane:
            if entry.position:
                yield entry, tuple(before)
            if entry.who:
                before.append(entry.who)
