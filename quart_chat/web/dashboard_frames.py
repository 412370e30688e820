"""Differences of the board as HTML partials for the dashboard and for the page of one model: only what changed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from msgspec import Struct

from quart_chat.live.board import Board
from quart_chat.live.document import Frame
from quart_chat.providers.ollama_models import same_model
from quart_chat.web.dashboard_views import DashboardViews
from quart_chat.web.frames import page_frame, partial
from quart_chat.web.model_facts import said_of_ends
from quart_chat.web.model_page import ModelViews
from quart_chat.web.table import TableView, table_view

OF_A_ROW = ("loaded", "speed", "update")
"""Kinds that change what a row of the table says, not which rows there are."""


OF_THE_STATE = ("loaded", "use", "update")


class ModelPage(Struct, frozen=True):
    """The view of the page of one model."""

    name: str


BOARD_VIEWS = (TableView, ModelPage)
"""Of pages that look at the board alone."""


def page_view(args: Mapping[str, str]) -> Hashable:
    """What a page shows, from the address of its socket."""
    if args.get("page") == "dashboard":
        return table_view(args)
    if args.get("page") == "model":
        return ModelPage(args.get("model", ""))
    return ("page", args.get("session", ""))


class DashboardFrames:
    """`board_frames` brings a page at revision `since` to now; None gives every panel."""

    def __init__(self, views: DashboardViews, models: ModelViews) -> None:
        self.views = views
        self.models = models

    def board_frames(self, board: Board, since: int | None, view: TableView | ModelPage) -> list[Frame]:
        parts = self._model(board, since, view) if isinstance(view, ModelPage) else self._panels(board, since, view)
        payload = {"event": "board", **said_of_ends(board, since)}
        if not parts and since is not None and len(payload) == 1:
            return []
        return page_frame(board, "status", payload, "".join(parts), since)

    def _panels(self, board: Board, since: int | None, view: TableView) -> list[str]:
        views = self.views
        kinds = board.changed_kinds(since)
        parts = []
        if kinds & {"session", "queue"}:
            parts.append(_panel("panel-sessions", views.sessions(board)))
            parts.append(_panel("panel-queue", views.queue(board)))
        if kinds & {"engine", "model", "machine"}:
            parts.append(_panel("panel-machine", views.machine(board)))
        if kinds & {"job", "update"}:
            parts.append(_panel("panel-jobs", views.jobs(board)))
        if kinds & {"loaded", "load", "use", "engine", "model"}:
            parts.append(_panel("panel-memory", views.memory(board)))
        parts += self._table(board, since, view, kinds)
        if kinds & {"model", "engine"}:
            parts.append(_panel("panel-catalogue", views.catalogue(board)))
        if kinds & {"speed", "model"}:
            parts.append(_panel("panel-speeds", views.speeds(board)))
        return parts

    def _table(self, board: Board, since: int | None, view: TableView, kinds: set[str]) -> list[str]:
        """The rows that say something else now; the whole table where there may be others or another order."""
        if kinds & {"model", "engine"} or (view.sort == "speed" and "speed" in kinds):
            return [_panel("panel-installed", self.views.installed(board, view))]
        if not kinds & set(OF_A_ROW):
            return []
        names = {name for _, kind, name, _ in board.changes(since) if kind in OF_A_ROW}
        return [_panel(row, html) for row, html in self.views.rows(board, view, names).items()] if names else []

    def _model(self, board: Board, since: int | None, view: ModelPage) -> list[str]:
        kinds = board.changed_kinds(since)
        parts = []
        if kinds & {"session", "queue"}:
            parts.append(_panel("panel-sessions", self.views.sessions(board)))
        if kinds & {"engine", "model", "load"} or _is_about(board, since, view.name):
            parts.append(_panel("panel-model", self.models.state(board, view.name)))
        return parts


def _is_about(board: Board, since: int | None, model: str) -> bool:
    """Whether the model's memory, use, update or download is among what has changed; whose a job was that is gone
    cannot be told."""
    for _, kind, name, value in board.changes(since):
        if kind in OF_THE_STATE and same_model(name, model):
            return True
        if kind == "job" and (value is None or same_model(value.model, model)):
            return True
    return False


def _panel(target: str, html: str) -> str:
    return partial(target, "outerMorph", html)
