"""The map of all routes: every blueprint, in one list."""

from __future__ import annotations

from quart_chat.web import dashboard, downloads, files, generations, jobs, messages, metrics, models, sessions, socket
from quart_chat.web.api import chat, chat_stream, health, history, model_changes, model_metrics, providers
from quart_chat.web.api import jobs as api_jobs
from quart_chat.web.api import models as api_models
from quart_chat.web.api import queue as api_queue

BLUEPRINTS = (
    sessions.blueprint,
    messages.blueprint,
    generations.blueprint,
    models.blueprint,
    jobs.blueprint,
    dashboard.blueprint,
    files.blueprint,
    socket.blueprint,
    chat.blueprint,
    chat_stream.blueprint,
    history.blueprint,
    api_queue.blueprint,
    api_models.blueprint,
    model_changes.blueprint,
    model_metrics.blueprint,
    providers.blueprint,
    api_jobs.blueprint,
    downloads.blueprint,
    health.blueprint,
    metrics.blueprint,
)
