"""`/api/jobs`: downloads, updates and loads under way or lately ended; cancel one, begin it again."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.errors import InvalidInputError
from quart_chat.model_entities import Job, JobState
from quart_chat.web.current import services, user_id
from quart_chat.web.forms import limit_and_offset
from quart_chat.web.model_shapes import job_json, jobs_json
from quart_chat.web.responses import json_response

blueprint = Blueprint("api_jobs", __name__)


@blueprint.get("/api/jobs")
async def jobs() -> Response:
    """Those that run or wait first, then the newest; with `state` only those of it."""
    limit, offset = limit_and_offset()
    found = sorted(services().library.jobs(), key=lambda job: (not job.ended, job.created_at), reverse=True)
    state = request.args.get("state", "")
    if state:
        found = [job for job in found if job.state is _state(state)]
    shapes = jobs_json(found[offset : offset + limit])
    return json_response({"jobs": shapes, "total": len(found), "limit": limit, "offset": offset})


@blueprint.get("/api/jobs/<job_id>")
async def job(job_id: str) -> Response:
    return _told(services().library.job(job_id))


@blueprint.delete("/api/jobs/<job_id>")
async def cancel(job_id: str) -> Response:
    """200 also for one that has ended: it stays as it was. What a download has brought is kept."""
    return _told(await services().library.cancel(job_id, by=user_id()))


@blueprint.post("/api/jobs/<job_id>/resume")
async def resume(job_id: str) -> Response:
    """A download goes on where it stopped, a load begins again. 202 and the job."""
    work = services().library.resume(job_id, by=user_id())
    return json_response({"state": work.job.state.value, "job": job_json(work.job)}, 202)


def _told(job: Job) -> Response:
    return json_response({"state": job.state.value, "job": job_json(job)})


def _state(given: str) -> JobState:
    try:
        return JobState(given)
    except ValueError:
        states = ", ".join(state.value for state in JobState)
        raise InvalidInputError(f"state is one of {states}.", {"state": "unknown"}) from None
