"""`/api/models` continued: the same model again under another name, with other words, or in its newest version."""

from __future__ import annotations

from typing import Annotated

import msgspec
from quart import Blueprint, Response

from quart_chat.entities import Parameters
from quart_chat.web.api.models import ModelName
from quart_chat.web.api.waiting import STILL_UNDER_WAY, ended
from quart_chat.web.current import services, user_id, web
from quart_chat.web.errors import answer
from quart_chat.web.forms import MAX_SYSTEM_CHARS, checked_parameters, json_body
from quart_chat.web.model_shapes import changed, jobs_json
from quart_chat.web.responses import json_response

blueprint = Blueprint("api_model_changes", __name__)


class Names(msgspec.Struct, frozen=True):
    source: ModelName
    destination: ModelName


class NewModel(msgspec.Struct, frozen=True):
    model: ModelName
    source: ModelName = msgspec.field(name="from")
    system: Annotated[str, msgspec.Meta(max_length=MAX_SYSTEM_CHARS)] = ""
    parameters: Parameters = Parameters()


class Update(msgspec.Struct, frozen=True):
    model: ModelName | None = None
    wait: bool = False


@blueprint.post("/api/models/copy")
async def copy() -> Response:
    names = await json_body(Names)
    await services().library.copy(names.source, names.destination, by=user_id())
    web().asked.forget()
    return json_response({"message": "Model copied", "source": names.source, "model": names.destination})


@blueprint.post("/api/models/rename")
async def rename() -> Response:
    names = await json_body(Names)
    await services().library.rename(names.source, names.destination, by=user_id())
    web().asked.forget()
    return json_response({"message": "Model renamed", "source": names.source, "model": names.destination})


@blueprint.post("/api/models/create")
async def create() -> Response:
    new = await json_body(NewModel)
    await services().library.create(
        new.model,
        source=new.source,
        system=new.system.strip(),
        parameters=checked_parameters(new.parameters),
        by=user_id(),
    )
    web().asked.forget()
    return json_response({"message": "Model created", "model": new.model, "from": new.source}, 201)


@blueprint.post("/api/models/update")
async def update() -> Response:
    """Pulls one model again, or all. 202 and the jobs; with `wait` 200 and which digests have changed.

    Of all models one may fail, as its job says; a single one that fails is an error. 504: it goes on.
    """
    wanted = await json_body(Update)
    library = services().library
    works = [library.update(wanted.model, by=user_id())] if wanted.model else library.update_all(by=user_id())
    if not wanted.wait:
        return json_response({"jobs": jobs_json(work.job for work in works)}, 202)
    if not await ended(works, services().settings.ollama_timeout_s):
        return answer(504, "TIMEOUT", STILL_UNDER_WAY, {"jobs": jobs_json(work.job for work in works)})
    if wanted.model:
        await works[0].result()
    web().asked.forget()
    jobs = [work.job for work in works]
    news = [{"model": job.model, "digest": job.digest, "new_digest": job.new_digest} for job in jobs if changed(job)]
    return json_response({"jobs": jobs_json(jobs), "changed": news})
