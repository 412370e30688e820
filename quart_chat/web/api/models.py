"""`/api/models`: what is installed, what is in memory, what one could have; load, unload, delete."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from quart import Blueprint, Response

from quart_chat.errors import InvalidInputError
from quart_chat.model_entities import LoadedModel, ModelInfo
from quart_chat.providers.ollama_models import of_model
from quart_chat.web.api.waiting import ended
from quart_chat.web.current import services, user_id, web
from quart_chat.web.forms import MAX_NAME_CHARS, json_body, needed
from quart_chat.web.model_shapes import (
    job_json,
    loaded_json,
    machine_json,
    model_details_json,
    model_json,
    offer_json,
)
from quart_chat.web.responses import json_response
from quart_chat.web.templates import filesize

DURATION = re.compile(r"-?(\d+(\.\d+)?(h|m|s|ms))+|0", re.ASCII)
LONGEST_S = 10 * 365 * 24 * 3600

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
    shapes = [
        {"name": m.name, "modified_at": m.modified_at, "size": filesize(m.size).replace(" ", "")}
        for m in await _installed()
    ]
    return json_response({"models": shapes})


@blueprint.get("/api/models/list")
@blueprint.get("/api/providers/ollama/models")
async def listed() -> Response:
    """As the engine says it, not as the library last saw it: with 503, 504 or 500 where it does not."""
    loaded = {model.name: model for model in await _loaded()}
    uses = services().hub.board(user_id()).get("use")
    shapes = [
        model_json(model, loaded.get(model.name), of_model(uses, model.name) if model.name in loaded else None)
        for model in await _installed()
    ]
    return json_response({"models": shapes, "total": len(shapes)})


@blueprint.get("/api/models/available")
async def available() -> Response:
    """What could be pulled and is not here; known without the engine as well."""
    library = services().library
    shapes = [offer_json(offer) for offer in await library.available()]
    return json_response({"models": shapes, "total": len(shapes), "machine": machine_json(library.machine())})


@blueprint.get("/api/models/info")
async def info() -> Response:
    name = needed("model")
    model = await services().providers.for_model(name).get_model_info(name)
    return json_response(model_details_json(model))


@blueprint.get("/api/models/running")
async def running() -> Response:
    uses = services().hub.board(user_id()).get("use")
    return json_response({"models": [loaded_json(model, of_model(uses, model.name)) for model in await _loaded()]})


@blueprint.post("/api/models/load")
async def load() -> Response:
    """202 and a job to follow by `model_loaded`; with `wait` 200 when the model is in memory.

    It is the engine's own deadline that ends a load: 504 after OLLAMA_TIMEOUT.
    """
    wanted = await json_body(Load)
    contexts = services().contexts
    keep_alive = _checked_keep_alive(wanted.keep_alive)
    work = services().library.begin_load(
        wanted.model,
        by=user_id(),
        num_ctx=contexts.size(wanted.model),
        keep_alive=contexts.keep_alive(wanted.model) if keep_alive is None else keep_alive,
    )
    if not wanted.wait:
        return json_response({"job": job_json(work.job)}, 202)
    await ended([work])
    job = await work.result()
    took_ms = (job.ended_at or job.created_at) - job.created_at
    return json_response({"model": job.model, "load_ms": took_ms, "job": job_json(job)})


@blueprint.post("/api/models/unload")
async def unload() -> Response:
    wanted = await json_body(Unload)
    await services().library.unload(wanted.model, by=user_id())
    web().asked.forget()
    return json_response({"message": "Model unloaded", "model": wanted.model})


@blueprint.delete("/api/models/<path:name>")
async def delete(name: str) -> Response:
    """Unloads it first. `freed`: bytes that its files had."""
    freed = await services().library.delete(name, by=user_id())
    web().asked.forget()
    return json_response({"message": "Model deleted", "model": name, "freed": freed})


async def _installed() -> list[ModelInfo]:
    parts = web()
    board = parts.services.hub.board(user_id())
    return await parts.asked.models(parts.services.providers.primary, board.rev)


async def _loaded() -> list[LoadedModel]:
    parts = web()
    board = parts.services.hub.board(user_id())
    return await parts.asked.loaded(parts.services.providers.primary, board.rev)


def _checked_keep_alive(given: int | str | None) -> int | str | None:
    """Seconds, less than 0 for ever, or a duration as Ollama reads them. Raises InvalidInputError."""
    if isinstance(given, int) and -LONGEST_S <= given <= LONGEST_S:
        return given
    if given is None or (isinstance(given, str) and len(given) <= 40 and DURATION.fullmatch(given)):
        return given
    raise InvalidInputError(
        "keep_alive is a number of seconds, -1 to stay, or a duration such as 10m.", {"keep_alive": "not a duration"}
    )
