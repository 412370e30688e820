"""A text that only grows, and how long it was at each revision."""

from __future__ import annotations

from quart_chat.live.revisions import Marks


class GrowingText:
    """Appending is cheap; `text` joins what came since it was last asked for."""

    def __init__(self, text: str, rev: int) -> None:
        self._parts = [text] if text else []
        self.marks = Marks(rev, len(text))

    @property
    def length(self) -> int:
        return self.marks.length

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def append(self, text: str, rev: int) -> None:
        self._parts.append(text)
        self.marks.add(rev, self.marks.length + len(text))

    def since(self, rev: int) -> tuple[int, str]:
        """(offset in code points, text) that a viewer at `rev` has not seen."""
        offset = self.marks.length_at(rev)
        return offset, self.after(offset)

    def after(self, offset: int) -> str:
        """What comes after the first `offset` code points."""
        new = self.length - offset
        if new <= 0:
            return ""
        last = self._parts[-1]
        return last[len(last) - new :] if new <= len(last) else self.text[offset:]
