"""One message as it grows: source text for programs, blocks for pages, the phase for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from markupsafe import Markup
from msgspec.structs import replace

from quart_chat import rendering
from quart_chat.entities import Message, MessageState, Role
from quart_chat.events import Phase
from quart_chat.live.growing import GrowingText
from quart_chat.live.page_text import PageText


class LiveMessage:
    """Every part carries the revision that last changed it; differences are told from these stamps alone.

    `rendered` is False for a stored answer that nobody has looked at yet: see `render`.
    """

    def __init__(self, message: Message, rev: int) -> None:
        self.message = message
        self.generation_id: str | None = None
        self.phase: Phase | None = None
        self.created = self.footer_rev = self.state_rev = self.phase_rev = self.restarted = rev
        self.rendered = True
        self._load(rev)

    @property
    def dom_id(self) -> str:
        return f"m-{self.message.number}"

    @property
    def growing(self) -> bool:
        return self.message.state is MessageState.GENERATING

    @property
    def page_rev(self) -> int:
        """The latest change that a page may have to show."""
        return max(self.created, self.footer_rev, self.page.rev)

    @property
    def whole(self) -> Message:
        """The message with the text that it has right now."""
        return replace(self.message, content=self.text.text, thinking=self.thought.text)

    def grow(self, text: str, rev: int) -> None:
        self.text.append(text, rev)

    def think(self, text: str, rev: int) -> None:
        self.thought.append(text, rev)

    def set_phase(self, phase: Phase | None, rev: int) -> None:
        self.phase = phase
        self.phase_rev = self.footer_rev = rev

    def change(self, message: Message, rev: int) -> None:
        """A new state. Text other than what has grown here, or a new attempt, is told from its beginning."""
        again = message.state is MessageState.GENERATING and not self.growing
        differs = message.content != self.text.text or message.thinking != self.thought.text
        self.message = message
        self.state_rev = self.footer_rev = rev
        if not self.growing:
            self.phase, self.generation_id = None, None
        if again or differs:
            self.restarted = rev
            self._load(rev)
        elif self.thought.length:
            self.page.thinking_rev = rev  # its summary says how long it took

    def advance(self, stamp: Callable[[], int]) -> bool:
        return self.page.following and self.page.advance(self.text, self.thought, self.growing, stamp)

    async def render(self) -> None:
        """Make a stored answer ready to be shown, giving way to others between its blocks."""
        if self.rendered:
            return
        page, blocks = self.page, []
        for html in rendering.render_steps(self.message.content):
            blocks.append(Markup(html))
            await asyncio.sleep(0)
        page.set_blocks(blocks, page.rewritten)
        self.rendered = True

    def _load(self, rev: int) -> None:
        message = self.message
        self.text = GrowingText(message.content, rev)
        self.thought = GrowingText(message.thinking, rev)
        self.page = PageText(rev, thinking=message.thinking)
        self.rendered = True
        if self.growing:
            self.page.open()
        elif message.role is not Role.ASSISTANT:
            self.page.set_blocks([Markup(block) for block in rendering.plain_blocks(message.content)], rev)
        else:
            self.rendered = not message.content
