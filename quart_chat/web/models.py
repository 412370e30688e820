"""Forms of the models: in memory or not, downloaded, updated, copied, renamed, made into an assistant, deleted."""

from __future__ import annotations

from msgspec.structs import replace
from quart import Blueprint, Response, request

from quart_chat.entities import Parameters
from quart_chat.errors import InvalidInputError
from quart_chat.providers.ollama_models import normalise, same_model
from quart_chat.web.after import came_from, moved, settled
from quart_chat.web.current import services, user_id, web
from quart_chat.web.forms import settings_form
from quart_chat.web.templates import KEEP_CHOICES, filesize, model_path, short_model

blueprint = Blueprint("models", __name__)


@blueprint.post("/models/unload")
async def unload() -> Response:
    await services().library.unload(await _field("model"), by=user_id())
    web().asked.forget()
    return settled(usual="/")


@blueprint.post("/models/load")
async def load() -> Response:
    _begin_load(await _field("model"))
    return settled(usual="/")


@blueprint.post("/models/keep")
async def keep() -> Response:
    """How long a model stays after its use, from now on; one that is in memory is told at once."""
    name = await _field("model")
    value = (await request.form).get("keep_alive", "")
    if value not in dict(KEEP_CHOICES):
        raise InvalidInputError("A model can stay for 5m, 30m, 2h, 24h or -1, for ever.", {"keep_alive": "unknown"})
    await services().contexts.set_keep_alive(name, None if not value else -1 if value == "-1" else value)
    if any(same_model(name, model.name) for model in services().library.loaded):
        _begin_load(name)
    return settled()


@blueprint.post("/models/context")
async def context() -> Response:
    name = await _field("model")
    changes = settings_form({"num_ctx": (await request.form).get("num_ctx", "")}, Parameters())
    await services().contexts.set(name, changes["num_ctx"])
    return settled("Saved. It takes effect when the model is next used.")


@blueprint.post("/models/pull")
async def pull() -> Response:
    name = await _field("model")
    services().library.pull(name, by=user_id())
    return settled(f"Downloading {short_model(name)}. It goes on without this page.")


@blueprint.post("/models/update")
async def update() -> Response:
    """One, or all that were downloaded."""
    form = await request.form
    if form.get("all"):
        works = services().library.update_all(by=user_id())
        return settled(f"Updating {len(works)} models." if works else "There is nothing to update.")
    name = await _field("model")
    services().library.update(name, by=user_id())
    return settled(f"Updating {short_model(name)}.")


@blueprint.post("/models/check")
async def check() -> Response:
    works = services().library.check_updates(by=user_id())
    return settled("" if works else "There is nothing to look for.")


@blueprint.post("/models/copy")
async def copy() -> Response:
    source, name = await _field("model"), await _field("name")
    await services().library.copy(source, name, by=user_id())
    web().asked.forget()
    return settled(f"Copied to {name}.", usual=model_path(source))


@blueprint.post("/models/rename")
async def rename() -> Response:
    source, name = await _field("model"), await _field("name")
    await services().library.rename(source, name, by=user_id())
    web().asked.forget()
    return moved(model_path(normalise(name)))


@blueprint.post("/models/create")
async def create() -> Response:
    """An assistant: another model with its own instructions and settings."""
    source, name = await _field("model"), await _field("name")
    changes = settings_form((await request.form).to_dict(), Parameters())
    parameters = replace(changes.get("parameters", Parameters()), num_ctx=changes.get("num_ctx"))
    system = changes.get("system_prompt", "")
    await services().library.create(name, source=source, system=system, parameters=parameters, by=user_id())
    web().asked.forget()
    return moved(model_path(normalise(name)))


@blueprint.post("/model/delete/<path:name>")
@blueprint.delete("/model/delete/<path:name>")
async def delete(name: str) -> Response:
    freed = await services().library.delete(name, by=user_id())
    web().asked.forget()
    if came_from().startswith("/models/"):
        return moved("/dashboard")
    return settled(f"Deleted {short_model(name)}." + (f" {filesize(freed)} are free again." if freed else ""))


def _begin_load(name: str) -> None:
    parts = services()
    size, stays = parts.contexts.size(name), parts.contexts.keep_alive(name)
    parts.library.begin_load(name, by=user_id(), num_ctx=size, keep_alive=stays)


async def _field(name: str) -> str:
    value: str = (await request.form).get(name, "").strip()
    if not value:
        raise InvalidInputError(f"Say which {name}.", {name: "missing"})
    return value
