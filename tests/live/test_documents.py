"""Marks, cursors, boards and the pace of documents: small promises that everything live rests on."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_chat.live.board import MAX_TOMBSTONES, Board
from quart_chat.live.document import TICK_S, UNWATCHED_TICK_S, Document, Frame
from quart_chat.live.growing import GrowingText
from quart_chat.live.revisions import Cursor, Marks, Revisions, parse_cursor
from quart_chat.live.viewer import WINDOW, Viewer


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9)), max_size=30), st.integers(0, 200))
def test_marks_tell_the_length_at_any_revision(steps: list[tuple[int, int]], asked: int) -> None:
    marks, rev, length = Marks(1, 3), 1, 3
    history = [(1, 3)]
    for step, grown in steps:
        rev, length = rev + step, length + grown
        marks.add(rev, length)
        history.append((rev, length))
    assert marks.length_at(asked) == ([0] + [length for at, length in history if at <= asked])[-1]
    assert (marks.latest, marks.length) == (rev, length)


@given(st.lists(st.text(max_size=5), max_size=20), st.integers(0, 25))
def test_a_growing_text_tells_what_came_since_any_revision(pieces: list[str], since: int) -> None:
    text = GrowingText("start", 1)
    for rev, piece in enumerate(pieces, 2):
        text.append(piece, rev)
    whole = "start" + "".join(pieces)
    offset, rest = text.since(since)
    assert offset == (0 if since < 1 else len("start" + "".join(pieces[: max(0, since - 1)])))
    assert whole[offset:] == rest
    assert (text.text, text.length) == (whole, len(whole))


@given(st.integers(0, 2**40) | st.none(), st.integers(0, 2**40) | st.none())
def test_a_cursor_survives_the_way_to_the_client_and_back(session: int | None, board: int | None) -> None:
    cursor = Cursor(Revisions().epoch, session, board)
    assert parse_cursor(str(cursor)) == cursor


@given(st.text(max_size=80) | st.from_regex(r"\A[0-9a-f.\-+_ ]{0,80}\Z"))
def test_whatever_a_client_calls_a_cursor_is_read_or_ignored(text: str) -> None:
    cursor = parse_cursor(text)
    assert cursor is None or cursor.epoch


async def test_a_board_tells_changes_and_removals_since_any_revision() -> None:
    board = Board(Revisions(), "owner")
    assert board.put("model", {"a": 1, "b": 2})
    before = board.rev
    assert not board.put("model", {"a": 1, "b": 2})
    assert board.rev == before
    assert board.put("model", {"b": 3, "c": 4})
    changes = {(kind, key): value for _, kind, key, value in board.changes(before)}
    assert changes == {("model", "a"): None, ("model", "b"): 3, ("model", "c"): 4}
    assert {key: value for _, _, key, value in board.changes(None)} == {"b": 3, "c": 4}
    assert board.changed_kinds(before) == {"model"}
    assert board.changed_kinds(board.rev) == set()
    assert list(board.get("model")) == ["b", "c"]
    board.close()


async def test_a_new_order_is_a_change() -> None:
    board = Board(Revisions(), "owner")
    board.put("session", {"a": 1, "b": 2})
    assert board.put("session", {"b": 2, "a": 1})
    assert list(board.get("session")) == ["b", "a"]
    board.close()


async def test_what_was_removed_and_came_back_is_there() -> None:
    board = Board(Revisions(), "owner")
    for items in ({"a": 1}, {}, {"a": 1}):
        before = board.rev
        board.put("loaded", items)
    assert [(key, value) for _, _, key, value in board.changes(before)] == [("a", 1)]
    board.close()


async def test_removals_beyond_memory_give_a_snapshot_and_the_latest_are_told() -> None:
    board = Board(Revisions(), "owner")
    keys = [f"k{n}" for n in range(MAX_TOMBSTONES + 50)]
    board.put("session", dict.fromkeys(keys, 1))
    first = board.rev
    for gone in range(1, len(keys) + 1):
        before = board.rev
        board.put("session", dict.fromkeys(keys[gone:], 1))
        assert [key for _, _, key, _ in board.changes(before)] == [keys[gone - 1]]
    assert board.position(first) is None
    assert board.position(before) == before
    board.close()


def view_of(document: Document, viewer: Viewer) -> list[Frame]:
    return document.frames_for(viewer, lambda since: [(f"{since}→{document.rev}", document.rev)])


async def test_equal_viewers_are_given_the_same_bytes_and_others_their_own() -> None:
    document = Document(Revisions())
    one, two, other = Viewer("page"), Viewer("page"), Viewer("other page")
    for viewer in (one, two, other):
        viewer.follow(document, document.rev)
    document.touch()
    document._tick()
    first, second, third = (view_of(document, viewer)[0][0] for viewer in (one, two, other))
    assert first is second
    assert first is not third
    assert document.frames_built == 2
    document.close()


async def test_whoever_is_up_to_date_is_given_nothing() -> None:
    document = Document(Revisions())
    viewer = Viewer("page")
    viewer.follow(document, document.rev)
    assert view_of(document, viewer) == []
    viewer.follow(document, document.floor - 1)
    assert view_of(document, viewer) == [(f"None→{document.rev}", document.rev)]
    document.close()


async def test_programs_are_woken_by_every_change_and_pages_at_most_once_a_tick() -> None:
    document, clock = Document(Revisions()), asyncio.get_running_loop().time
    page, program = Viewer("page"), Viewer("program", paced=False)
    for viewer in (page, program):
        viewer.follow(document, document.rev)
        viewer.wake.clear()
    wakes: list[float] = []
    async with asyncio.timeout(5):
        while len(wakes) < 4:
            document.touch()
            await asyncio.sleep(0)
            assert program.wake.is_set(), "in the step of the loop after the change"
            program.wake.clear()
            if page.wake.is_set():
                page.wake.clear()
                wakes.append(clock())
    assert min(b - a for a, b in pairwise(wakes[1:])) >= TICK_S * 0.9
    document.close()


async def test_a_page_that_comes_to_an_unwatched_text_is_served_at_the_next_tick() -> None:
    document, clock = Document(Revisions()), asyncio.get_running_loop().time
    document.touch()
    document._tick()
    document.touch()
    page = Viewer("page")
    page.follow(document, document.rev)
    page.wake.clear()
    came = clock()
    async with asyncio.timeout(2):
        await page.wake.wait()
    assert clock() - came < UNWATCHED_TICK_S / 2
    document.close()


async def test_a_failure_while_advancing_is_logged_and_the_next_tick_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Document):
        def advance(self) -> bool:
            raise KeyError("broken")

    document = Broken(Revisions())
    viewer = Viewer("page")
    viewer.follow(document, document.rev)
    viewer.wake.clear()
    document._tick()
    assert viewer.wake.is_set()
    assert "could not be brought up to date" in caplog.text
    document.close()


async def test_a_page_that_acknowledges_nothing_is_left_alone_after_a_window() -> None:
    document = Document(Revisions())
    page, program = Viewer("page"), Viewer("program", paced=False)
    for viewer in (page, program):
        viewer.follow(document, document.rev)
        for _ in range(WINDOW):
            assert not viewer.blocked
            viewer.advance(document, document.rev)
    assert (page.blocked, program.blocked) == (True, False)
    page.wake.clear()
    page.acknowledge(4)
    assert (page.blocked, page.wake.is_set()) == (False, True)
    page.acknowledge(10**9)
    page.advance(document, document.rev)
    assert not page.blocked
    document.close()


async def test_a_viewer_keeps_no_more_than_the_latest_notices() -> None:
    viewer = Viewer("page")
    for number in range(100):
        viewer.notify(str(number))
    assert list(viewer.notices) == [str(number) for number in range(68, 100)]


async def test_who_leaves_is_woken_no_more() -> None:
    document: Any = Document(Revisions())
    viewer = Viewer("program", paced=False)
    viewer.follow(document, None)
    viewer.leave()
    viewer.wake.clear()
    document.touch()
    assert not viewer.wake.is_set()
    assert document.viewers == set()
    document.close()
