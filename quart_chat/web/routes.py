"""The map of all routes: every blueprint, in one list."""

from __future__ import annotations

from quart_chat.web import files, generations, messages, metrics, models, sessions, socket
from quart_chat.web.api import chat, health, history
from quart_chat.web.api import models as api_models
from quart_chat.web.api import queue as api_queue

BLUEPRINTS = (
    sessions.blueprint,
    messages.blueprint,
    generations.blueprint,
    models.blueprint,
    files.blueprint,
    socket.blueprint,
    chat.blueprint,
    history.blueprint,
    api_queue.blueprint,
    api_models.blueprint,
    health.blueprint,
    metrics.blueprint,
)
