"""The page of one model: its state, which stays live, and what the engine and our own measurements say of it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from quart_chat.live.board import Board
from quart_chat.model_entities import JobKind, Measurements, ModelInfo, Sample
from quart_chat.providers.ollama_models import of_model, same_model
from quart_chat.services import Services
from quart_chat.web.model_facts import Held, key, last_use, loads
from quart_chat.web.templates import Templates

TABLE_ROWS = 50
"""The latest measurements are listed; the chart shows all."""


class ModelViews:
    def __init__(self, services: Services, templates: Templates) -> None:
        self._services = services
        self._templates = templates

    def state(self, board: Board, name: str) -> str:
        return self._templates.render("models/_state.html", **self.state_context(board, name))

    def state_context(self, board: Board, name: str) -> dict[str, Any]:
        contexts = self._services.contexts
        loaded = [model for model in board.get("loaded").values() if same_model(model.name, name)]
        use = last_use(of_model(board.get("use"), name), board)
        jobs = [job for job in board.get("job").values() if same_model(job.model, name) and job.kind != JobKind.CHECK]
        engine = board.get("engine")[""]
        model = self._services.library.installed(name)
        return {
            "name": name,
            "model": model,
            "gone": engine.status == "connected" and model is None,
            "engine": engine,
            "held": Held(loaded[0], use, contexts.keep_alive(name), key(name)) if loaded else None,
            "use": use,
            "keep": contexts.keep_alive(name),
            "dom_id": key(name),
            "loads": loads(board, name),
            "jobs": jobs[-1:],
            "update": of_model(board.get("update"), name) is not None,
        }

    async def about_context(self, board: Board, model: ModelInfo) -> dict[str, Any]:
        """What does not change while one looks: facts, texts, measurements."""
        from quart_chat.web.charts import speed_chart  # only this page draws

        samples = await self._services.storage.samples(model.name)
        measured: Measurements = of_model(board.get("speed"), model.name) or Measurements()
        loaded = [held for held in board.get("loaded").values() if same_model(held.name, model.name)]
        return {
            "about": model,
            "num_ctx": self._services.contexts.size(model.name),
            "effective": loaded[0].context_length if loaded else 0,
            "measured": measured,
            "chart": speed_chart(samples) if _drawable(samples) else Markup(""),
            "samples": list(reversed(samples[-TABLE_ROWS:])),
            "older": max(0, len(samples) - TABLE_ROWS),
            "default_temperature": self._services.settings.model_default_temperature,
        }


def _drawable(samples: list[Sample]) -> bool:
    """One point is no course."""
    return sum(sample.tokens_per_s > 0 for sample in samples) > 1
