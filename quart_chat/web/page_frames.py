"""Differences of the live documents as HTML partials for a page that looks at one session."""

from __future__ import annotations

from typing import Any

from quart_chat.entities import Message, Role
from quart_chat.live.board import Board
from quart_chat.live.document import Frame
from quart_chat.live.message import LiveMessage
from quart_chat.live.session import SessionDocument
from quart_chat.web.frames import page_frame, partial
from quart_chat.web.model_facts import said_of_ends
from quart_chat.web.views import PageViews

Delta = dict[str, Any]


class PageFrames:
    """`session_frames` and `board_frames` bring a page at revision `since` to now; None gives a snapshot."""

    def __init__(self, views: PageViews) -> None:
        self._views = views

    def session_frames(self, document: SessionDocument, since: int | None) -> list[Frame]:
        if since is None:
            return self._snapshot(document)
        deltas: list[Delta] = []
        parts: list[str] = []
        for live in document.changed(since):
            parts += self._message(live, since, deltas)
        if document.header_rev > since:
            parts.append(partial("panel-header", "outerMorph", self._views.header(document)))
            parts.append(partial("panel-empty", "outerMorph", self._views.empty(document)))
            parts.append(partial("panel-engine", "outerMorph", self._views.engine_beside(document)))
        if document.controls_rev > since:
            parts.append(partial("panel-controls", "outerMorph", self._views.controls(document)))
        if max(document.header_rev, document.controls_rev) > since:
            parts.append(partial("panel-load", "outerMorph", self._views.load(document)))
        payload: dict[str, Any] = {"event": "diff"}
        if deltas:
            payload["deltas"] = deltas
        finished = [_finished(m.message) for m in document.messages.values() if _has_finished(m, since)]
        if finished:
            payload["finished"] = finished
        if not parts and len(payload) == 1:
            return []
        return page_frame(document, "message", payload, "".join(parts), since)

    def board_frames(self, board: Board, since: int | None, document: SessionDocument | None) -> list[Frame]:
        kinds = board.changed_kinds(since)
        session_id = document.session.id if document is not None else ""
        parts = []
        if kinds & {"session", "queue"}:
            parts.append(partial("panel-sessions", "outerMorph", self._views.sessions(board, session_id)))
            parts.append(partial("panel-queue", "outerMorph", self._views.queue(board)))
        if "engine" in kinds:
            parts.append(partial("panel-engine", "outerMorph", self._views.engine(board, session_id)))
        if "loaded" in kinds:
            parts.append(partial("panel-loaded", "outerMorph", self._views.loaded(board)))
        if "job" in kinds:
            parts.append(partial("panel-downloads", "outerMorph", self._views.downloads(board)))
        if "load" in kinds and document is not None:
            parts.append(partial("panel-load", "outerMorph", self._views.load(document)))
        if not parts and since is not None:
            return []
        return page_frame(board, "status", {"event": "board", **said_of_ends(board, since)}, "".join(parts), since)

    def _snapshot(self, document: SessionDocument) -> list[Frame]:
        content = (
            partial("log", "innerMorph", self._views.log(document))
            + partial("panel-header", "outerMorph", self._views.header(document))
            + partial("panel-controls", "outerMorph", self._views.controls(document))
            + partial("panel-load", "outerMorph", self._views.load(document))
        )
        return page_frame(document, "message", {"event": "snapshot"}, content, None)

    def _message(self, live: LiveMessage, since: int, deltas: list[Delta]) -> list[str]:
        page, name = live.page, live.dom_id
        if live.created > since:
            return [partial("log", "beforeend", self._views.message(live))]
        if live.restarted > since or page.rewritten > since:
            return [partial(name, "outerMorph", self._views.message(live))]
        parts = []
        if page.thinking_rev > since:
            parts.append(partial(f"{name}-think", "innerMorph", self._views.thinking(live)))
        elif page.thinking_marks.latest > since:
            deltas.append(_delta(f"{name}-kt", *page.thinking_since(since)))
        fresh = [i for i, rev in enumerate(page.block_revs) if rev > since]
        if fresh:
            parts.append(partial(f"{name}-b", "beforeend", self._views.blocks(live, fresh)))
        if page.tail_rev > since:
            code = page.code_since(since)
            if code is not None:
                deltas.append(_delta(f"{name}-c", *code))
            else:
                parts.append(partial(f"{name}-t", "innerMorph", self._views.tail(live)))
        if live.footer_rev > since:
            parts.append(partial(f"{name}-s", "outerMorph", self._views.footer(live)))
        return parts


def _delta(element: str, offset: int, text: str) -> Delta:
    """`off`: how long the element's one text node must be already, in UTF-16 units."""
    return {"id": element, "off": offset, "text": text}


def _has_finished(live: LiveMessage, since: int) -> bool:
    return live.message.role is Role.ASSISTANT and not live.growing and live.state_rev > since


def _finished(message: Message) -> dict[str, Any]:
    return {"id": f"m-{message.number}", "state": message.state.value, "words": len(message.content.split())}
