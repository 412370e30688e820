"""`/metrics` for Prometheus, where the settings allow it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from quart import Blueprint, Response, current_app

from quart_chat.errors import NotFoundError
from quart_chat.services import Services
from quart_chat.web.current import services

if TYPE_CHECKING:
    from quart_chat.web.metric_families import Exposition

EXTENSION = "quart-chat metrics"

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
async def metrics() -> Response:
    """404 where METRICS is off, as if it did not exist."""
    if not services().settings.shows_metrics:
        raise NotFoundError("There is nothing at this address.")
    exposition = current_app.extensions.get(EXTENSION)
    if exposition is None:
        exposition = current_app.extensions[EXTENSION] = await asyncio.to_thread(_expose, services())
    return Response(exposition.text(), content_type=exposition.content_type)


def _expose(parts: Services) -> Exposition:
    """In a thread: the first import of prometheus_client takes a tenth of a second."""
    from quart_chat.web.metric_families import Exposition

    return Exposition(parts)
