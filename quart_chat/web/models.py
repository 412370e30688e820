"""Forms of the models in memory: load one, unload one."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.errors import InvalidInputError
from quart_chat.web.current import services
from quart_chat.web.responses import done

blueprint = Blueprint("models", __name__)


@blueprint.post("/models/unload")
async def unload() -> Response:
    await services().library.unload(await _model())
    return done("/")


@blueprint.post("/models/load")
async def load() -> Response:
    name = await _model()
    services().library.begin_load(name, num_ctx=services().contexts.size(name))
    return done("/")


async def _model() -> str:
    name: str = (await request.form).get("model", "").strip()
    if not name:
        raise InvalidInputError("Say which model.", {"model": "missing"})
    return name
