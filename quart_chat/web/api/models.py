"""`/api/models`: what is installed, what is in memory, load and unload."""

from __future__ import annotations

from typing import Annotated

import msgspec
from quart import Blueprint, Response

from quart_chat.web.current import services
from quart_chat.web.forms import MAX_NAME_CHARS, json_body, needed
from quart_chat.web.responses import json_response
from quart_chat.web.shapes import loaded_json, model_details_json, model_json
from quart_chat.web.templates import filesize

blueprint = Blueprint("api_models", __name__)


ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]


class Load(msgspec.Struct, frozen=True):
    model: ModelName
    keep_alive: int | str | None = None
    wait: bool = False


class Unload(msgspec.Struct, frozen=True):
    model: ModelName


@blueprint.get("/api/models")
async def models() -> Response:
    found = await services().providers.primary.list_models()
    shapes = [{"name": m.name, "modified_at": m.modified_at, "size": filesize(m.size).replace(" ", "")} for m in found]
    return json_response({"models": shapes})


@blueprint.get("/api/models/list")
async def listed() -> Response:
    primary = services().providers.primary
    loaded = {model.name: model for model in await primary.running_models()}
    found = await primary.list_models()
    shapes = [model_json(model, loaded.get(model.name)) for model in found]
    return json_response({"models": shapes, "total": len(shapes)})


@blueprint.get("/api/models/info")
async def info() -> Response:
    name = needed("model")
    model = await services().providers.for_model(name).get_model_info(name)
    return json_response(model_details_json(model))


@blueprint.get("/api/models/running")
async def running() -> Response:
    loaded = await services().providers.primary.running_models()
    return json_response({"models": [loaded_json(model) for model in loaded]})


@blueprint.post("/api/models/load")
async def load() -> Response:
    """202 and a job to follow by `model_loaded`; with `wait` 200 when the model is in memory."""
    wanted = await json_body(Load)
    library = services().library
    job = library.begin_load(wanted.model, num_ctx=services().contexts.size(wanted.model), keep_alive=wanted.keep_alive)
    if not wanted.wait:
        return json_response({"job": {"id": job.id, "kind": "load", "model": job.model}}, 202)
    return json_response({"model": job.model, "load_ms": await job.result()})


@blueprint.post("/api/models/unload")
async def unload() -> Response:
    wanted = await json_body(Unload)
    await services().library.unload(wanted.model)
    return json_response({"message": "Model unloaded", "model": wanted.model})
