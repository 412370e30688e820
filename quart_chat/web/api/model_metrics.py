"""`/api/models/metrics`: how fast the models of this machine were, from what every answer measured."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.errors import NotFoundError
from quart_chat.providers.ollama_models import same_model
from quart_chat.web.current import services
from quart_chat.web.forms import whole_number
from quart_chat.web.model_shapes import measurements_json, sample_json
from quart_chat.web.responses import json_response

MOST, USUAL = 500, 100

blueprint = Blueprint("api_model_metrics", __name__)


@blueprint.get("/api/models/metrics")
async def metrics() -> Response:
    """Of one `model` its medians, its last answer and the `limit` latest, oldest first; without one all medians."""
    storage = services().storage
    name = request.args.get("model", "").strip()
    if not name:
        found = await storage.all_measurements()
        return json_response({"models": [{"model": model, **measurements_json(m)} for model, m in found.items()]})
    limit = whole_number("limit", USUAL, 1, MOST)
    name = _as_installed(name)
    series = [sample_json(sample) for sample in await storage.samples(name, limit)]
    if not series and not services().library.knows(name):
        raise NotFoundError("There is no such model here, and none was measured under that name.")
    shape = {
        "model": name,
        **measurements_json(await storage.measurements(name)),
        "last": series[-1] if series else None,
        "series": series,
    }
    return json_response(shape)


def _as_installed(name: str) -> str:
    """`hello` is measured as `hello:latest`."""
    return next((model.name for model in services().library.models if same_model(model.name, name)), name)
