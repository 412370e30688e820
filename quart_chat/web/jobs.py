"""Forms of the jobs: cancel, resume, dismiss one, clear away all that have ended."""

from __future__ import annotations

from quart import Blueprint, Response

from quart_chat.web.after import settled
from quart_chat.web.current import services, user_id

blueprint = Blueprint("jobs", __name__)


@blueprint.post("/jobs/<job_id>/cancel")
async def cancel(job_id: str) -> Response:
    await services().library.cancel(job_id, by=user_id())
    return settled()


@blueprint.post("/jobs/<job_id>/resume")
async def resume(job_id: str) -> Response:
    services().library.resume(job_id, by=user_id())
    return settled()


@blueprint.post("/jobs/<job_id>/dismiss")
async def dismiss(job_id: str) -> Response:
    await services().library.dismiss(job_id, by=user_id())
    return settled()


@blueprint.post("/jobs/clear")
async def clear() -> Response:
    library = services().library
    for job in library.jobs():
        if job.ended:
            await library.dismiss(job.id, by=user_id())
    return settled()
