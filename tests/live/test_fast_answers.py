"""An answer that comes faster than it is rendered reaches a page block by block, whatever its tail does."""

from __future__ import annotations

from itertools import count

from quart_chat.live.growing import GrowingText
from quart_chat.live.page_text import PageText

BLOCKS = 400


def test_blocks_that_finish_while_the_tail_stays_empty_move_the_page_on() -> None:
    page, revisions = PageText(1), count(2)
    page.open()
    text, thought = GrowingText("a *b*\n\n---\n\n" * BLOCKS, 1), GrowingText("", 1)
    more = True
    while more:
        shown = len(page.blocks)
        before = page.rev
        more = page.advance(text, thought, False, lambda: next(revisions))
        assert len(page.blocks) == shown or page.rev > before
    assert len(page.blocks) == 2 * BLOCKS
