"""What one generation has brought so far, with its own clocks."""

from __future__ import annotations

from msgspec.structs import replace

from quart_chat.chat.turns import Ticket
from quart_chat.entities import Message, Problem, Statistics, Usage, now_ms
from quart_chat.live.session import SessionDocument
from quart_chat.providers.base import (
    Chunk,
    ContentChunk,
    FinalChunk,
    NoticeChunk,
    ThinkingChunk,
    ToolCallChunk,
)


class Progress:
    """Takes chunks, hands their text to the live document at once and keeps the whole for saving.

    `first_of_its_kind`: the last chunk taken began a new phase (first thought, first word). Lengths in code points.
    `digest` and `num_ctx`: of the model as it was asked, for the measurements; "" and 0 where unknown.
    """

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._content: list[str] = []
        self._thinking: list[str] = []
        self._final: Statistics | None = None
        self.begun = False
        self.length = 0
        self.chunks = 0
        self.first_of_its_kind = False
        self.notice: NoticeChunk | None = None
        self.digest = ""
        self.num_ctx = 0
        self.asked_at = now_ms()
        self.first_at: int | None = None
        self.thinking_at: int | None = None
        self.writing_at: int | None = None
        self.last_at = self.asked_at

    @property
    def content(self) -> str:
        if len(self._content) > 1:
            self._content = ["".join(self._content)]
        return self._content[0] if self._content else ""

    @property
    def thinking(self) -> str:
        if len(self._thinking) > 1:
            self._thinking = ["".join(self._thinking)]
        return self._thinking[0] if self._thinking else ""

    def begin(self, continued: Message | None) -> None:
        """From here on what is stored is what came; `continued` is the answer whose text goes on."""
        self.begun = True
        self.asked_at = self.last_at = now_ms()
        if continued is not None:
            self._content, self._thinking = [continued.content], [continued.thinking]
            self.length = len(continued.content) + len(continued.thinking)

    def take(self, chunk: Chunk, document: SessionDocument, message_id: str) -> None:
        self.first_of_its_kind = False
        match chunk:
            case ContentChunk(text) if text:
                self.first_of_its_kind = self.writing_at is None
                self._tick()
                self.writing_at = self.writing_at or self.last_at
                self._content.append(text)
                self.length += len(text)
                document.grow(message_id, text)
            case ThinkingChunk(text) if text:
                self.first_of_its_kind = self.thinking_at is None
                self._tick()
                self.thinking_at = self.thinking_at or self.last_at
                self._thinking.append(text)
                self.length += len(text)
                document.think(message_id, text)
            case ToolCallChunk(name):
                self.take(
                    ContentChunk(f"\n\n*The model asked for the tool “{name}”, which is not here.*\n\n"),
                    document,
                    message_id,
                )
            case NoticeChunk():
                self.notice = chunk
            case FinalChunk(statistics):
                self._final = statistics

    def remark(self) -> Problem | None:
        """What the reader of a whole answer should know about it."""
        if self.notice is None:
            return None
        return Problem(code=self.notice.code.upper(), text=self.notice.text, retry=False)

    def tokens_per_s(self) -> float | None:
        """By our own clock, over the text that has come since the first token; a chunk is about a token."""
        if self.first_at is None or self.last_at - self.first_at < 300:
            return None
        return (self.chunks - 1) * 1000 / (self.last_at - self.first_at)

    def statistics(self) -> Statistics:
        """The engine's counts completed by our clocks; without a final chunk, our clocks alone."""
        final = self._final or Statistics(
            output_tokens=self.chunks, output_ms=self.last_at - self.first_at if self.first_at else 0
        )
        thinking_end = self.writing_at or self.last_at
        return replace(
            final,
            wait_ms=max(0, (self._ticket.started_at or 0) - self._ticket.generation.created_at),
            first_token_ms=self.first_at - self.asked_at if self.first_at else 0,
            thinking_ms=thinking_end - self.thinking_at if self.thinking_at else 0,
        )

    def usage(self) -> Usage | None:
        final = self._final
        if final is None or not final.output_tokens:
            words = round(len(self.content.split()) * 1.3)
            if not words:
                return None
            return Usage(prompt_tokens=0, completion_tokens=words, total_tokens=words, estimated=True)
        return Usage(
            prompt_tokens=final.prompt_tokens,
            completion_tokens=final.output_tokens,
            total_tokens=final.prompt_tokens + final.output_tokens,
        )

    def _tick(self) -> None:
        self.last_at = now_ms()
        self.first_at = self.first_at or self.last_at
        self.chunks += 1
