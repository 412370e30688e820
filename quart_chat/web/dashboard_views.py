"""The panels of the dashboard, each rendered by the same template for the page and for frames."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from msgspec.structs import replace

from quart_chat.live.board import Board
from quart_chat.model_entities import Job, JobKind, LoadedModel, Measurements, ModelInfo
from quart_chat.providers.ollama_models import normalise
from quart_chat.services import Services
from quart_chat.web.model_facts import Held, count_checks, key, last_use, loads, placement, row_id
from quart_chat.web.offers import grouped
from quart_chat.web.table import COLUMNS, TableView
from quart_chat.web.templates import Templates, per_s
from quart_chat.web.views import PageViews

if TYPE_CHECKING:
    from quart_chat.library.catalogue import Offer

logger = logging.getLogger(__name__)

MAX_ROWS = 2048
OFFERS_WAIT_S = 1.0
"""A page does not wait longer for what the engine recommends; the list it shows then is the one before."""


class DashboardViews:
    def __init__(self, services: Services, templates: Templates, pages: PageViews) -> None:
        self._services = services
        self._templates = templates
        self._pages = pages
        self._row = lru_cache(MAX_ROWS)(self._rendered_row)
        self._offers: list[Offer] = []

    async def look_around(self) -> None:
        """What could be downloaded, for the pages and frames that come; a failure leaves what was known."""
        try:
            async with asyncio.timeout(OFFERS_WAIT_S):
                self._offers = await self._services.library.available()
        except Exception:
            logger.exception("what could be downloaded is not known now")

    def panels(self, board: Board, view: TableView) -> list[Markup]:
        """All of them, in the order of the page."""
        html = (
            self.machine(board),
            self.jobs(board),
            self.memory(board),
            self._pages.queue(board),
            self.installed(board, view),
            self.catalogue(board),
            self.speeds(board),
        )
        return [Markup(panel) for panel in html]

    def sessions(self, board: Board) -> str:
        return self._pages.sessions(board, "")

    def queue(self, board: Board) -> str:
        return self._pages.queue(board)

    def machine(self, board: Board) -> str:
        library = self._services.library
        models = library.models
        return self._render(
            "engine/_machine.html",
            engine=replace(board.get("engine")[""], last_checked=library.engine.last_checked),
            totals={"models": len(models), "size": sum(model.size for model in models)},
            machine=library.machine(),
            poll_s=self._services.settings.ollama_poll_s,
        )

    def memory(self, board: Board) -> str:
        uses = board.get("use")
        keep = self._services.contexts.keep_alive
        held = [
            Held(model, last_use(uses.get(name), board), keep(name), key(name))
            for name, model in board.get("loaded").items()
        ]
        return self._render(
            "engine/_held.html",
            loaded=held,
            loads=loads(board),
            connected=self._connected(board),
            total=len(self._services.library.models),
        )

    def jobs(self, board: Board) -> str:
        jobs = list(reversed(board.get("job").values()))
        return self._render(
            "jobs/_panel.html",
            jobs=[job for job in jobs if job.kind is not JobKind.CHECK],
            checks=count_checks(board),
            clears=any(job.ended for job in jobs),
        )

    def installed(self, board: Board, view: TableView) -> str:
        library = self._services.library
        speeds = self._speeds(board)
        loaded, updates = board.get("loaded"), board.get("update")
        return self._render(
            "models/_installed.html",
            view=view,
            columns=COLUMNS,
            rows=[self._row_of(model, loaded, speeds, updates) for model in view.rows(library.models, speeds)],
            total=len(library.models),
            connected=self._connected(board),
        )

    def rows(self, board: Board, view: TableView, names: Iterable[str]) -> dict[str, Markup]:
        """By DOM id, the rows of these models that the view shows."""
        wanted = {normalise(name) for name in names}
        speeds, loaded, updates = self._speeds(board), board.get("loaded"), board.get("update")
        return {
            row_id(model.name): self._row_of(model, loaded, speeds, updates)
            for model in self._services.library.models
            if normalise(model.name) in wanted and view.shows(model)
        }

    def catalogue(self, board: Board) -> str:
        installed = {normalise(model.name) for model in self._services.library.models}
        offers = [offer for offer in self._offers if normalise(offer.name) not in installed]
        return self._render(
            "models/_catalogue.html",
            connected=self._connected(board),
            groups=grouped(offers, self._services.library.machine().memory),
            dated=next((offer.dated for offer in offers if offer.dated), ""),
        )

    def speeds(self, board: Board) -> str:
        speeds = self._speeds(board)
        measured = [(name, known) for name, known in speeds.items() if known.tokens_per_s]
        measured.sort(key=lambda item: -item[1].tokens_per_s)
        fastest = measured[0][1].tokens_per_s if measured else 0.0
        return self._render("models/_speeds.html", speeds=measured, fastest=fastest)

    def _row_of(
        self,
        model: ModelInfo,
        loaded: dict[str, LoadedModel],
        speeds: dict[str, Measurements],
        updates: dict[str, Job],
    ) -> Markup:
        placed = loaded.get(model.name)
        known = speeds.get(model.name)
        speed = f"{per_s(known.tokens_per_s)} tok/s" if known is not None and known.tokens_per_s else ""
        return self._row(model, placement(placed) if placed is not None else "", speed, model.name in updates)

    def _rendered_row(self, model: ModelInfo, placement: str, speed: str, update: bool) -> Markup:
        """Rendered once for every state of a model: there may be hundreds, and few change."""
        dom_id = row_id(model.name)
        return Markup(
            self._render(
                "models/_row.html", model=model, dom_id=dom_id, placement=placement, speed=speed, update=update
            )
        )

    def _speeds(self, board: Board) -> dict[str, Measurements]:
        """By the names as they are listed."""
        known = {normalise(name): speed for name, speed in board.get("speed").items()}
        found = ((model.name, known.get(normalise(model.name))) for model in self._services.library.models)
        return {name: speed for name, speed in found if speed is not None}

    def _connected(self, board: Board) -> bool:
        return bool(board.get("engine")[""].status == "connected")

    def _render(self, name: str, /, **context: Any) -> str:
        return self._templates.render(name, **context)
