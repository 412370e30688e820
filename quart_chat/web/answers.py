"""One answer for the program that asked: told as it grows, or waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from quart_chat.entities import Message, MessageState, Problem, Turn, Usage, now_ms
from quart_chat.errors import NotFoundError
from quart_chat.events import Phase
from quart_chat.live.growing import GrowingText
from quart_chat.live.message import LiveMessage
from quart_chat.live.session import SessionDocument
from quart_chat.services import Services
from quart_chat.web import sse
from quart_chat.web.shapes import Json, phase_json

DELETED = "This answer was deleted."
REPLACED = "This answer is being written anew."
UNKNOWN = Problem(code="INTERNAL_ERROR", text="Something went wrong here. The log has the details.")
PIECE = 16_384
"""Characters that are told at a time."""
GRACE_S = 1.0
"""The engine's own deadline is as long, and what it says then is the better reason."""


def failed(message: Message) -> Problem | None:
    """Why there is no whole answer; None for one that is complete, or was stopped by a person."""
    if message.state in (MessageState.FAILED, MessageState.INTERRUPTED):
        return message.problem or UNKNOWN
    return None


def ending_json(message: Message) -> Json:
    """How an answer ended, and what it cost. An empty one that the engine did not count has cost 0, as an estimate."""
    usage = message.usage or Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0, estimated=True)
    reason = message.statistics.done_reason if message.statistics is not None else ""
    if message.state is MessageState.STOPPED:
        reason = "stopped"
    shape: Json = {"done_reason": reason or "stop", "tokens_used": usage.total_tokens}
    shape["usage"] = msgspec.to_builtins(usage)
    if message.problem is not None:
        shape["notice"] = message.problem.text
    return shape


class AnswerTeller:
    """Tells one answer from its beginning, or from where the one who comes back has seen the document: `since`.

    Only an event after which nothing is missing carries the cursor: whoever loses some is told them again.
    """

    def __init__(self, document: SessionDocument, turn: Turn, head: Json, *, since: int | None = None) -> None:
        self.ended = False
        self._document = document
        self._turn = turn
        self._phase: Phase | None = None
        self._text = self._thinking = 0
        self._whole = True
        live = document.messages.get(turn.answer.id)
        if live is not None and since is not None and live.restarted <= since:
            self._text = live.text.marks.length_at(since)
            self._thinking = live.thought.marks.length_at(since)
        self._events: list[tuple[Json, str]] = []
        self._say({**head, "offset": self._text, "thinking_offset": self._thinking})

    def due(self) -> bytes:
        live = self._document.messages.get(self._turn.answer.id)
        if self._document.deleted_rev is not None:
            self._fail(Problem(code="NOT_FOUND", text=DELETED, retry=False))
        elif live is None:
            self._tell_what_is_stored()
        elif live.growing and live.generation_id not in (None, self._turn.generation.id):
            self._fail(Problem(code="CONFLICT", text=REPLACED, retry=False))
        else:
            self._tell(live)
        events, self._events = self._events, []
        cursor = sse.cursor(self._document) if self._whole else ""
        last = len(events) - 1
        return b"".join(
            sse.event(data, name=name, id=cursor if at == last else "") for at, (data, name) in enumerate(events)
        )

    def _tell(self, live: LiveMessage) -> None:
        if live.growing and live.phase is not None and live.phase != self._phase:
            self._phase = live.phase
            if live.phase.kind != "writing":  # its tokens say so themselves
                self._say(phase_json(live.phase, now_ms()), "status")
        self._thinking = self._tell_more("thinking", live.thought, self._thinking)
        self._text = self._tell_more("token", live.text, self._text)
        self._whole = self._thinking >= live.thought.length and self._text >= live.text.length
        if not live.growing and self._whole:
            self._tell_the_end(live.message)

    def _tell_more(self, name: str, source: GrowingText, told: int) -> int:
        if source.length <= told:
            return told
        piece = source.after(told) if source.length - told <= PIECE else source.text[told : told + PIECE]
        self._say({name: piece})
        return told + len(piece)

    def _tell_what_is_stored(self) -> None:
        """An old answer that a repeated send asks for, further up than what is kept in memory; else it was deleted."""
        message = self._turn.answer
        if self._turn.created or message.state is MessageState.GENERATING:
            self._fail(Problem(code="NOT_FOUND", text=DELETED, retry=False))
            return
        for name, text in (("thinking", message.thinking), ("token", message.content)):
            if text:
                self._say({name: text})
        self._tell_the_end(message)

    def _tell_the_end(self, message: Message) -> None:
        problem = failed(message)
        if problem is not None:
            self._fail(problem)
            return
        self.ended = True
        self._say({"done": True, **ending_json(message)})

    def _fail(self, problem: Problem) -> None:
        self.ended = True
        self._say({"error": problem.text, "code": problem.code, "retry": problem.retry}, "error")

    def _say(self, data: dict[str, Any], name: str = "") -> None:
        self._events.append((data, name))


async def waited_for(services: Services, document: SessionDocument, turn: Turn, person: str) -> Message:
    """The answer at its end; or as it stands, still GENERATING, when OLLAMA_TIMEOUT has passed without a token since
    its turn came, or the server restarts. Raises NotFoundError if it is deleted meanwhile."""
    patience = Patience(services, turn)
    with sse.looking_on(services, document, person) as viewer:
        while True:
            viewer.wake.clear()
            live = document.messages.get(turn.answer.id)
            if document.deleted_rev is not None or (live is None and turn.created):
                raise NotFoundError(DELETED)
            if live is None:
                return turn.answer
            left_s = patience.left_s(live)
            if not live.growing or viewer.close_code is not None or left_s <= 0:
                return live.whole
            await sse.woken(viewer, left_s)


class Patience:
    """How long one may go on waiting for the next token; in the queue, any time."""

    def __init__(self, services: Services, turn: Turn) -> None:
        self._queue = services.queue
        self._generation_id = turn.generation.id
        self._most_s = services.settings.ollama_timeout_s + GRACE_S
        self._length = 0
        self._since = asyncio.get_running_loop().time()

    def left_s(self, live: LiveMessage) -> float:
        now = asyncio.get_running_loop().time()
        length = live.text.length + live.thought.length
        ticket = self._queue.find(self._generation_id)
        if length != self._length or (ticket is not None and ticket.started_at is None):
            self._length, self._since = length, now
        return self._since + self._most_s - now
