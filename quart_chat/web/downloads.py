"""`/model/download/<name>`: the progress of one download as server-sent events. Looking starts nothing."""

from __future__ import annotations

from quart import Blueprint, Response, request

from quart_chat.errors import NotFoundError
from quart_chat.live.board import Board
from quart_chat.model_entities import Job, JobKind, JobState
from quart_chat.providers.ollama_models import same_model
from quart_chat.web import sse
from quart_chat.web.current import person, services, user_id
from quart_chat.web.model_shapes import job_json
from quart_chat.web.shapes import Json

DISMISSED = {"error": "This download was dismissed.", "code": "NOT_FOUND", "retry": False}
CANCELLED = {"error": "This download was cancelled. Started again it goes on where it stopped.", "code": "CONFLICT"}

blueprint = Blueprint("downloads", __name__)


@blueprint.get("/model/download/<path:name>")
async def progress(name: str) -> Response:
    """How it stands, then each change, then `done` or `error` and the end; 404 if none is under way or lately ended.

    EventSource comes back after every end: if it has been told this one, 204 makes it stop.
    """
    job = _download_of(name)
    if job.ended and request.headers.get("Last-Event-ID") == _id(job):
        return Response(status=204)
    parts = services()
    board = parts.hub.board(user_id())
    teller = DownloadTeller(board, job)
    return sse.event_stream(sse.told(parts, board, teller, person=person()))


class DownloadTeller:
    """Tells `job` as the board has it; begins with what it was when somebody came."""

    def __init__(self, board: Board, job: Job) -> None:
        self.ended = False
        self._board = board
        self._job = job
        self._told: Job | None = None

    def due(self) -> bytes:
        job = self._board.get("job").get(self._job.id)
        if job is None and self._told is None:
            job = self._job
        if job is None:
            self.ended = True
            return sse.event(DISMISSED, name="error")
        if job == self._told:
            return b""
        self._told, self.ended = job, job.ended
        return _event(job)


def _event(job: Job) -> bytes:
    if not job.ended:
        return sse.event(_progress_json(job), id=_id(job))
    if job.state is JobState.COMPLETE:
        return sse.event(_progress_json(job), name="done", id=_id(job))
    return sse.event({**_reason_json(job), "model": job.model, "job": job_json(job)}, name="error", id=_id(job))


def _progress_json(job: Job) -> Json:
    """`status`: the phase, at the end `success`, as Ollama's own lines have it."""
    shape = job_json(job)
    told = {name: shape[name] for name in ("model", "completed", "total", "percent", "bytes_per_s", "eta_s")}
    return {"status": "success" if job.ended else shape["phase"] or "waiting", **told, "job": shape}


def _reason_json(job: Job) -> Json:
    problem = job.problem
    if problem is None:
        return {**CANCELLED, "retry": True}
    return {"error": problem.text, "code": problem.code, "retry": problem.retry}


def _id(job: Job) -> str:
    return f"{job.id}.{job.state.value}"


def _download_of(name: str) -> Job:
    """The one under way, else the latest that ended."""
    library = services().library
    if (work := library.work_on(name)) is not None:
        return work.job
    kinds = (JobKind.PULL, JobKind.UPDATE)
    ended = [job for job in library.jobs() if job.kind in kinds and same_model(job.model, name)]
    if not ended:
        raise NotFoundError("No download of this model is under way.")
    return max(ended, key=lambda job: job.created_at)
