"""The pieces of a page, each rendered from a live document by the same template for the page and for frames."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from quart_chat.entities import ChatSession, Message
from quart_chat.events import Phase
from quart_chat.live.board import Board
from quart_chat.live.message import LiveMessage
from quart_chat.live.session import SessionDocument
from quart_chat.model_entities import JobState, ModelInfo
from quart_chat.providers.demo import DEMO_MODEL
from quart_chat.services import Services
from quart_chat.web.model_facts import LoadView, downloads, loads
from quart_chat.web.templates import Templates


class MessageView:
    """What the message templates see of a live message (`m`)."""

    def __init__(self, live: LiveMessage) -> None:
        page = live.page
        self.dom_id = live.dom_id
        self.message: Message = live.message
        self.generation_id = live.generation_id
        self.phase: Phase | None = live.phase
        self._live = live
        self.tail = page.tail
        self.open_code = page.open_code
        self.open_language = page.open_language
        self.thinking = page.thinking
        self.is_thinking = page.is_thinking

    @property
    def blocks(self) -> Markup:
        """Every finished block in its element."""
        return Markup(_blocks_html(self._live, range(len(self._live.page.blocks))))


MAX_ITEMS = 2048


class PageViews:
    def __init__(self, services: Services, templates: Templates) -> None:
        self._services = services
        self._templates = templates
        self._item = lru_cache(MAX_ITEMS)(self._session_item)

    def header(self, document: SessionDocument) -> str:
        return self._render("sessions/_header.html", session=document.session, **self.header_context(document))

    def header_context(self, document: SessionDocument) -> dict[str, Any]:
        library = self._services.library
        model = document.session.model
        return {
            "models": self._models(model),
            "loaded": {loaded.name: loaded for loaded in library.loaded},
            "engine": library.engine,
            "model_missing": self._is_missing(model),
            "num_ctx": self._services.contexts.size(model),
            "default_temperature": self._services.settings.model_default_temperature,
        }

    def _is_missing(self, model: str) -> bool:
        return bool(model) and not self._services.library.knows(model)

    def controls(self, document: SessionDocument) -> str:
        return self._render("messages/_controls.html", session=document.session, **self.controls_context(document))

    def controls_context(self, document: SessionDocument) -> dict[str, Any]:
        running = document.running
        return {"running_id": running.generation_id if running is not None else None}

    def log(self, document: SessionDocument) -> str:
        return self._render("messages/_log.html", session=document.session, **self.log_context(document))

    def log_context(self, document: SessionDocument) -> dict[str, Any]:
        latest = document.latest
        first = latest[0].message.number if latest else 0
        return {
            "messages": [MessageView(live) for live in latest],
            "has_older": document.has_older or len(latest) < len(document.messages),
            "first_number": first,
        }

    async def earlier_context(self, session: ChatSession, messages: list[Message]) -> dict[str, Any]:
        """Messages from the database for a page of earlier ones, each as `m`."""
        shown = [LiveMessage(message, 0) for message in messages]
        for live in shown:
            await live.render()
        first = messages[0].number if messages else 0
        older = bool(messages) and await self._services.storage.count_messages_before(
            session.id, session.user_id, first
        )
        return {
            "messages": [MessageView(live) for live in shown],
            "has_older": bool(older),
            "first_number": first,
        }

    def empty(self, document: SessionDocument) -> str:
        session = document.session
        return self._render("messages/_empty.html", session=session, model_missing=self._is_missing(session.model))

    def message(self, live: LiveMessage) -> str:
        return self._render("messages/_message.html", m=MessageView(live))

    def thinking(self, live: LiveMessage) -> str:
        return self._render("messages/_thinking.html", m=MessageView(live)) if live.page.thinking else ""

    def blocks(self, live: LiveMessage, numbers: Iterable[int]) -> str:
        return _blocks_html(live, numbers)

    def tail(self, live: LiveMessage) -> str:
        return self._render("messages/_tail.html", m=MessageView(live))

    def footer(self, live: LiveMessage) -> str:
        return self._render("messages/_footer.html", m=MessageView(live))

    def sessions(self, board: Board, current: str) -> str:
        return self._render("sessions/_list.html", **self.sessions_context(board, current))

    def sessions_context(self, board: Board, current: str) -> dict[str, Any]:
        busy = {entry.session_id for entry in self._entries(board)}
        sessions = board.get("session").values()
        return {"items": [self._item(session, session.id == current, session.id in busy) for session in sessions]}

    def queue(self, board: Board) -> str:
        return self._render("generations/_queue.html", entries=self._entries(board), titles=_titles(board))

    def engine(self, board: Board, session_id: str) -> str:
        return self._render("engine/_status.html", **self.engine_context(board, session_id))

    def engine_beside(self, document: SessionDocument) -> str:
        """Whether the demo is offered depends on the session's model too."""
        session = document.session
        return self.engine(self._services.hub.board(session.user_id), session.id)

    def engine_context(self, board: Board, session_id: str) -> dict[str, Any]:
        """`session_id` empty: do not offer the demo there, it is chosen already."""
        document = self._services.hub.loaded(session_id)
        offers = document is not None and document.session.model != DEMO_MODEL
        return {"engine": board.get("engine")[""], "session_id": session_id if offers else ""}

    def loaded(self, board: Board) -> str:
        return self._render("engine/_memory.html", loaded=list(board.get("loaded").values()))

    def downloads(self, board: Board) -> str:
        return self._render("jobs/_downloads.html", jobs=downloads(board))

    def load(self, document: SessionDocument) -> str:
        """The load of the session's model, if one is under way or waits for a word; not what an answer says already."""
        return self._render("models/_load.html", loads=self.loads(document))

    def loads(self, document: SessionDocument) -> list[LoadView]:
        session = document.session
        found = loads(self._services.hub.board(session.user_id), session.model)
        return [load for load in found if document.running is None or load.job.state is not JobState.RUNNING]

    def board_context(self, board: Board, session_id: str) -> dict[str, Any]:
        return {
            "downloads": downloads(board),
            **self.engine_context(board, session_id),
            "loaded": list(board.get("loaded").values()),
            "entries": self._entries(board),
            "titles": _titles(board),
        }

    def _session_item(self, session: ChatSession, current: bool, busy: bool) -> Markup:
        """Rendered once for every state of a session: the list is sent often and to many."""
        return Markup(self._render("sessions/_item.html", chat=session, current=current, busy=busy))

    def _entries(self, board: Board) -> Any:
        return board.get("queue").get("", ())

    def _models(self, chosen: str) -> list[ModelInfo]:
        """What is offered, and the demo where it is chosen although no longer offered."""
        library = self._services.library
        models = library.offered
        if chosen and chosen not in (model.name for model in models):
            models = models + [model for model in library.demo_models if model.name == chosen]
        return models

    def _render(self, name: str, **context: Any) -> str:
        return self._templates.render(name, **context)


def _titles(board: Board) -> dict[str, str]:
    return {session.id: session.title for session in board.get("session").values()}


def _blocks_html(live: LiveMessage, numbers: Iterable[int]) -> str:
    """Finished blocks, each in its element; made here, as a template takes ten times as long for thousands."""
    name, blocks = live.dom_id, live.page.blocks
    return "".join([f'<div class="b" id="{name}-b{i}">{blocks[i]}</div>' for i in numbers])
