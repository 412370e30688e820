"""`/api/queue` and `/api/generations`: who waits for what, and stopping one."""

from __future__ import annotations

from quart import Blueprint, Response

from quart_chat.web.current import person, services, user_id
from quart_chat.web.responses import json_response
from quart_chat.web.shapes import queue_json

blueprint = Blueprint("api_queue", __name__)


@blueprint.get("/api/queue")
async def queue() -> Response:
    return json_response(queue_json(services().queue.entries(), person()))


@blueprint.delete("/api/generations/<generation_id>")
async def stop(generation_id: str) -> Response:
    generation = await services().chat.stop(generation_id, user_id())
    return json_response({"state": generation.state.value})
