"""Whatever happens to a session, every tab and every program shows exactly what a fresh one would show."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from quart_chat.config import Settings
from quart_chat.entities import (
    OWNER_ID,
    ChatSession,
    Message,
    MessageState,
    Problem,
    Role,
    Statistics,
    new_id,
)
from quart_chat.events import Phase
from quart_chat.live.session import SessionDocument
from quart_chat.live.viewer import Viewer
from quart_chat.rendering import markdown
from quart_chat.services import build_services
from quart_chat.web import program_frames
from quart_chat.web.assets import Assets
from quart_chat.web.page_frames import PageFrames
from quart_chat.web.shapes import message_json
from quart_chat.web.templates import Templates
from quart_chat.web.views import PageViews
from tests.live.dom import Page, parse

PIECES = st.lists(
    st.sampled_from(
        [
            "word ", "two words", " ", "\n", "\n\n", "🙂", "𝕏", "e\u0301", "👩‍👩‍👧", "<b>&amp;", "**", "`", "_", "|",
            "```python\n", "```\n", "```", "~~~\n", "x = '🙂'\n", "    code\n", "- item\n", "1. one\n", "> said\n",
            "# H\n", "\t",
            "| a | b |\n|---|---|\n", "| 1 | 2 |\n", "[ref][x] ", "\n[x]: https://example.org\n", "---\n", "\r\n",
            "A paragraph.\n\n", "# Head\n\n", "- a\n- b\n\n", "```\nx\n```\n\n", "[x]: https://example.org/x\n\n",
            "<details>\n", "https://example.org ", "- [ ] task\n", "\\", "\x00", "a" * 300,
        ]
    ),
    min_size=1,
    max_size=6,
).map("".join)  # fmt: skip
CODE = st.lists(
    st.sampled_from(["x = 1\n", "🙂 = '𝕏'\n", "if x:\n    ", "y", "\n", "``", "`", "\n```\n", "\n```\nend\n\n", "é"]),
    min_size=1,
    max_size=5,
)
BLOCKS = st.lists(
    st.sampled_from(
        ["A paragraph.\n\n", "# Head\n\n", "- a\n- b\n\n", "```\n🙂\n```\n\n", "[a]: https://a.example\n\n", "x"]
    ),
    max_size=4,
)
ENDS = st.sampled_from([s for s in MessageState if s is not MessageState.GENERATING])
KINDS = st.sampled_from(["loading", "reading", "thinking", "writing", "stalled", "queued"])
PAGES = st.integers(0, 2)
LOOKING = st.sampled_from([None, None, 0, 1, 2])
"""A page that is served right after a change, or none."""
FULL = "full" in os.environ.get("HYPOTHESIS_PROFILE", "")


class Session(RuleBasedStateMachine):
    """Three pages and a program look at one live document; ticks and deliveries happen when hypothesis says so."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        # Rendering stops when its milliseconds are used up: here each look at the clock is one, on any machine.
        self.clock = markdown.perf_counter
        markdown.perf_counter = (n / 1000 for n in count()).__next__  # type: ignore[assignment]
        services = build_services(Settings(history_storage_type="memory"))
        services.library._publish()
        self.views = PageViews(services, Templates(Assets()))
        self.frames = PageFrames(self.views)
        session = ChatSession(id="s", user_id=OWNER_ID, model="m", created_at=1, updated_at=1)
        self.hub = services.hub
        self.loop.run_until_complete(self.open_board())
        self.make: Callable[[list[Message]], SessionDocument] = lambda messages: SessionDocument(
            self.hub.revisions, session, messages, has_older=False
        )
        self.number = 0

    async def open_board(self) -> None:
        self.hub.board(OWNER_ID).close()

    @initialize(history=st.lists(PIECES, max_size=2))
    def begin(self, history: list[str]) -> None:
        stored: list[Message] = []
        for text in history:
            question = self.message(Role.USER, text, MessageState.COMPLETE)
            stored += [question, self.message(Role.ASSISTANT, text, MessageState.COMPLETE, question.id)]
        self.document = self.make(stored)
        self.hub._documents["s"] = self.document
        self.do(self.document.render)
        self.viewers = [Viewer(("page", "s")) for _ in range(3)]
        self.pages = [Page(self.fresh(), self.hub.revisions.epoch, self.document.rev) for _ in range(3)]
        for viewer, page in zip(self.viewers, self.pages, strict=True):
            viewer.follow(self.document, page.rev)
        self.program = Viewer("program", paced=False)
        self.copy: dict[str, Any] = {}
        self.cursor: int | None = None
        self.program.follow(self.document, None)

    def do(self, work: Callable[[], Awaitable[None] | None]) -> None:
        """Inside the loop, as in the product; its timers never fire, ticks are a rule of their own."""

        async def run() -> None:
            result = work()
            if result is not None:
                await result
            self.document.close()

        self.loop.run_until_complete(run())

    def message(self, role: Role, content: str, state: MessageState, parent: str | None = None) -> Message:
        self.number += 1
        return Message(
            id=new_id(),
            session_id="s",
            number=self.number,
            role=role,
            content=content,
            timestamp=1,
            state=state,
            model="m" if role is Role.ASSISTANT else "",
            parent_id=parent,
        )

    @property
    def running(self) -> Any:
        return self.document.running

    @property
    def last(self) -> Message | None:
        messages = list(self.document.messages.values())
        return messages[-1].message if messages else None

    # what happens to the session

    @precondition(lambda self: self.running is None and len(self.document.messages) < 30)
    @rule(text=PIECES)
    def ask(self, text: str) -> None:
        question = self.message(Role.USER, text, MessageState.COMPLETE)
        answer = self.message(Role.ASSISTANT, "", MessageState.GENERATING, question.id)
        self.do(lambda: void(self.document.put(question)))
        self.do(lambda: void(self.document.put(answer, generation_id="g")))

    @precondition(lambda self: self.running is not None)
    @rule(pieces=st.lists(PIECES, min_size=1, max_size=4), at=LOOKING)
    def grow(self, pieces: list[str], at: int | None) -> None:
        for piece in pieces:
            self.do(lambda piece=piece: self.document.grow(self.running.message.id, piece))  # type: ignore[misc]
            self.look(at)

    @precondition(lambda self: self.running is not None)
    @rule(thoughts=BLOCKS, blocks=BLOCKS, state=ENDS, at=PAGES)
    def watch(self, thoughts: list[str], blocks: list[str], state: MessageState, at: int) -> None:
        """One page looks on at every step of an answer until its end."""
        for thought in thoughts:
            self.think(thought, at)
        self.grow(blocks, at)
        self.finish(state, 1200, at)

    @precondition(lambda self: self.running is not None)
    @rule(pieces=CODE, at=PAGES)
    def write_code(self, pieces: list[str], at: int) -> None:
        """A block of code that grows under the eyes of a page."""
        for piece in ["\n\n```python\n", *pieces]:
            self.do(lambda piece=piece: self.document.grow(self.running.message.id, piece))  # type: ignore[misc]
            self.tick()
            self.deliver(at, False)

    @precondition(lambda self: self.running is not None)
    @rule(piece=PIECES, at=LOOKING)
    def think(self, piece: str, at: int | None) -> None:
        self.do(lambda: self.document.think(self.running.message.id, piece))
        self.look(at)

    @precondition(lambda self: self.running is not None)
    @rule(kind=KINDS, speed=st.sampled_from([None, 3.0, 40.0]))
    def phase(self, kind: Any, speed: float | None) -> None:
        phase = Phase(kind=kind, since=1, model="m", tokens_per_s=speed)
        self.do(lambda: self.document.set_phase(self.running.message.id, phase))

    @precondition(lambda self: self.running is not None)
    @rule(state=ENDS, ms=st.sampled_from([0, 1200]), at=LOOKING)
    def finish(self, state: MessageState, ms: int, at: int | None) -> None:
        problem = Problem(code="X", text="It broke.") if state is MessageState.FAILED else None
        end = replace(
            self.running.whole, state=state, statistics=Statistics(thinking_ms=ms, output_ms=ms), problem=problem
        )
        self.do(lambda: void(self.document.put(end)))
        self.look(at)

    @precondition(lambda self: self.running is None and self.last is not None)
    @rule(continues=st.booleans())
    def again(self, continues: bool) -> None:
        old = self.last
        assert old is not None
        if continues or not (old.content or old.thinking):
            fresh = replace(old, state=MessageState.GENERATING, problem=None, statistics=None)
        else:
            fresh = self.message(Role.ASSISTANT, "", MessageState.GENERATING, old.parent_id)
        self.do(lambda: void(self.document.put(fresh, generation_id="g2")))

    @rule()
    def clear(self) -> None:
        if self.running is None:
            self.do(self.document.clear)

    @rule(title=st.sampled_from(["A", "B", "<b>"]))
    def rename(self, title: str) -> None:
        self.do(lambda: self.document.set_session(replace(self.document.session, title=title)))

    def look(self, at: int | None) -> None:
        if at is not None:
            self.tick()
            self.deliver(at, False)

    @rule()
    def tick(self) -> None:
        self.do(self.document._tick)

    # who looks at it

    @rule(at=PAGES, lost=st.booleans())
    def deliver(self, at: int, lost: bool) -> None:
        """Everything that is due reaches a page; `lost`: the connection breaks instead, and it comes back later."""
        if not self.pass_on(at, lost):
            return
        if self.pages[at].log() != self.shown_fresh():
            self.tick()  # a page that was told "nothing new" since the last tick is told more with the next
            self.pass_on(at, False)
        assert self.pages[at].log() == self.shown_fresh()

    def pass_on(self, at: int, lost: bool) -> bool:
        """False when there was something and it was lost."""
        viewer, page = self.viewers[at], self.pages[at]
        for _ in range(50):
            frames = self.document.frames_for(viewer, lambda since: self.frames.session_frames(self.document, since))
            if not frames:
                return True
            assert len(frames) == 1
            text, rev = frames[0]
            viewer.advance(self.document, rev)
            if lost:
                viewer.follow(self.document, page.rev)
                return False
            page.take(text)
        raise AssertionError("it never catches up")

    def shown_fresh(self) -> Any:
        return parse(self.log()).plain()[2][0]

    @rule(at=PAGES)
    def reload(self, at: int) -> None:
        self.do(self.document.render)
        self.pages[at] = Page(self.fresh(), self.hub.revisions.epoch, self.document.rev)
        self.viewers[at].follow(self.document, self.document.rev)

    @rule(cut=st.integers(0, 5))
    def read(self, cut: int) -> None:
        """A program reads what is due; after `cut` frames of a batch its connection breaks, and it resumes."""
        frames = self.document.frames_for(
            self.program, lambda since: program_frames.session_frames(self.document, since)
        )
        for number, (text, rev) in enumerate(frames, 1):
            self.take(json.loads(text))
            if number == len(frames):
                self.cursor = rev
            elif number == cut:
                break
        if self.cursor is not None:
            self.program.follow(self.document, self.cursor)

    def take(self, frame: dict[str, Any]) -> None:
        payload = frame["payload"]
        if frame["type"] != "message":
            return
        if payload["event"] == "snapshot":
            self.copy = {message["id"]: message for message in payload["messages"]}
        elif payload["event"] == "delta":
            message = self.copy[payload["message_id"]]
            part = "thinking" if payload.get("thinking") else "content"
            text = message.get(part, "")
            assert payload["offset"] <= len(text), "a gap"
            message[part] = text[: payload["offset"]] + payload["text"]
        else:
            assert payload["event"] == "created" or payload["message"]["id"] in self.copy
            self.copy[payload["message"]["id"]] = payload["message"]

    @invariant()
    def revisions_only_grow(self) -> None:
        if hasattr(self, "document"):
            assert all(page.rev <= self.document.rev for page in self.pages)

    def log(self) -> str:
        return f'<div id="log">{self.views.log(self.document)}</div>'

    def fresh(self) -> str:
        return (
            self.log()
            + self.views.header(self.document)
            + self.views.controls(self.document)
            + self.views.empty(self.document)
            + self.views.engine_beside(self.document)
            + self.views.load(self.document)
        )

    def teardown(self) -> None:
        """At last everything settles, and everybody shows the same."""
        try:
            if hasattr(self, "program"):
                self.settle()
        finally:
            self.loop.close()
            markdown.perf_counter = self.clock

    def settle(self) -> None:
        for _ in range(200):
            self.tick()
            if not self.document.advance():
                break
        self.tick()
        for at in range(3):
            self.deliver(at, False)
            assert self.pages[at].plain() == parse(self.fresh()).plain()
        self.read(0)
        self.read(0)
        expected = {m.message.id: json.loads(json.dumps(message_json(m.whole))) for m in self.document.latest}
        assert self.copy == expected


def void(_: object) -> None:
    return None


Session.TestCase.settings = settings(
    max_examples=2000 if FULL else 30,
    stateful_step_count=80 if FULL else 25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestExactness = Session.TestCase
