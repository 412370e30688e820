"""Tells thinking from answer where a model writes <think>…</think> at the start of its answer."""

from __future__ import annotations

from quart_chat.providers.base import ContentChunk, ThinkingChunk

OPEN = "<think>"
CLOSE = "</think>"


class ThinkTagFilter:
    """Feed it content as it streams, the tags cut anywhere; it holds back no more than could be half a tag.

    Only a tag at the very start (white space before it allowed) counts; anywhere else it is text. White space
    after the closing tag is dropped. `finish` gives back what was held.
    """

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""

    def feed(self, text: str) -> list[ThinkingChunk | ContentChunk]:
        if self._state == "content":
            return [ContentChunk(text)] if text else []
        self._held += text
        if self._state == "start":
            return self._at_start()
        if self._state == "thinking":
            return self._inside()
        return self._after()

    def finish(self) -> list[ThinkingChunk | ContentChunk]:
        held, self._held = self._held, ""
        if not held or self._state == "after":
            return []
        return [ThinkingChunk(held)] if self._state == "thinking" else [ContentChunk(held)]

    def _at_start(self) -> list[ThinkingChunk | ContentChunk]:
        seen = self._held.lstrip()
        if seen.startswith(OPEN):
            self._state, self._held = "thinking", seen[len(OPEN) :]
            return self._inside()
        if OPEN.startswith(seen):
            return []
        return self._release()

    def _inside(self) -> list[ThinkingChunk | ContentChunk]:
        thought, closed, rest = self._held.partition(CLOSE)
        if not closed:
            keep = _half_tag(thought)
            thought, self._held = thought[: len(thought) - keep], thought[len(thought) - keep :]
            return [ThinkingChunk(thought)] if thought else []
        self._state, self._held = "after", rest
        before: list[ThinkingChunk | ContentChunk] = [ThinkingChunk(thought)] if thought else []
        return before + self._after()

    def _after(self) -> list[ThinkingChunk | ContentChunk]:
        self._held = self._held.lstrip()
        return self._release() if self._held else []

    def _release(self) -> list[ThinkingChunk | ContentChunk]:
        held, self._held, self._state = self._held, "", "content"
        return [ContentChunk(held)]


def _half_tag(text: str) -> int:
    """How many characters at the end of `text` could be the beginning of the closing tag."""
    for length in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if CLOSE.startswith(text[-length:]):
            return length
    return 0
