"""`/api/providers`: the engine as configured and as last seen, and its downloads."""

from __future__ import annotations

import msgspec
from quart import Blueprint, Response

from quart_chat.errors import DownloadError, ModelNotFoundError, ModelRefusedError
from quart_chat.web.api.models import ModelName
from quart_chat.web.api.waiting import STILL_UNDER_WAY, ended
from quart_chat.web.current import services, user_id, web
from quart_chat.web.errors import answer
from quart_chat.web.forms import json_body
from quart_chat.web.model_shapes import job_json, provider_json, pull_line_json
from quart_chat.web.responses import json_response

blueprint = Blueprint("api_providers", __name__)


class Pull(msgspec.Struct, frozen=True):
    model: ModelName
    stream: bool = False


@blueprint.get("/api/providers")
async def providers() -> Response:
    """As the library last saw it, `last_checked`: seconds ago while somebody looks, 15 s at most."""
    library = services().library
    shape = provider_json(library.engine, name="Ollama", model=library.default_model())
    return json_response({"ollama": shape})


@blueprint.post("/api/providers/ollama/pull")
async def pull() -> Response:
    """Joins a download of that model which is under way. 200 at its end; with `stream` 202 and the job at once.

    After OLLAMA_TIMEOUT 504: it goes on, and so it does when the one who asked has left.
    """
    wanted = await json_body(Pull)
    work = services().library.pull(wanted.model, by=user_id())
    if wanted.stream:
        return json_response({"job": job_json(work.job)}, 202)
    if not await ended([work], services().settings.ollama_timeout_s):
        return answer(504, "TIMEOUT", STILL_UNDER_WAY, {"model": work.job.model, "job": job_json(work.job)})
    try:
        job = await work.result()
    except (ModelNotFoundError, ModelRefusedError) as error:
        # Neither address nor name was wrong: no registry gives it. For that the contract has 500 with the reason.
        raise DownloadError(error.message, retry=False) from None
    web().asked.forget()
    shape = {
        "success": True,
        "message": f"Model '{job.model}' pulled successfully",
        "model": job.model,
        "status_log": [pull_line_json(line) for line in work.log],
        "job": job_json(job),
    }
    return json_response(shape)
