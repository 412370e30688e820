"""Models, their jobs and their speed as the JSON of the contract; the REST routes and the socket share them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from quart_chat.entities import now_ms
from quart_chat.events import EngineStatus
from quart_chat.model_entities import Job, JobKind, JobState, LoadedModel, Measurements, ModelInfo, ModelUse, Sample
from quart_chat.providers.base import PullLine
from quart_chat.web.shapes import Json, rounded
from quart_chat.web.times import rfc3339

if TYPE_CHECKING:
    from quart_chat.library.catalogue import Offer
    from quart_chat.library.machine import Machine

FITS = {"fits": True, "tight": True, "too_large": False}


def model_json(model: ModelInfo, loaded: LoadedModel | None, use: ModelUse | None = None) -> Json:
    shape: Json = {
        "name": model.name,
        "size": model.size,
        "modified_at": model.modified_at,
        "digest": model.digest,
        "details": {
            "format": model.format,
            "family": model.family,
            "families": list(model.families),
            "parameter_size": model.parameter_size,
            "quantization_level": model.quantization,
        },
        "capabilities": list(model.capabilities),
        "context_length": model.context_length,
        "provider": model.provider,
    }
    if loaded is not None:
        shape["loaded"] = loaded_json(loaded, use)
    return shape


def model_details_json(model: ModelInfo) -> Json:
    return {
        "name": model.name,
        "size": model.size,
        "parameters": model.parameters,
        "license": model.license,
        "template": model.template,
        "capabilities": list(model.capabilities),
        "context_length": model.context_length,
        "family": model.family,
        "parameter_size": model.parameter_size,
        "quantization": model.quantization,
        "digest": model.digest,
        "modified_at": model.modified_at,
    }


def loaded_json(loaded: LoadedModel, use: ModelUse | None = None) -> Json:
    shape: Json = {
        "name": loaded.name,
        "size": loaded.size,
        "size_vram": loaded.size_vram,
        "context_length": loaded.context_length,
        "expires_at": None if loaded.forever else loaded.expires_at,
    }
    if use is not None:
        shape["used"] = use_json(use)
    return shape


def use_json(use: ModelUse) -> Json:
    """Without the session: it is its own user's, and this goes to everybody."""
    return {"who": use.who, "at": rfc3339(use.at)}


def job_json(job: Job) -> Json:
    """`total`, `percent`, `eta_s`, `expected_s`: null while unknown; `phase`: null unless it runs."""
    shape: Json = {
        "id": job.id,
        "kind": job.kind.value,
        "model": job.model,
        "state": job.state.value,
        "phase": job.phase or None if job.state is JobState.RUNNING else None,
        "since": rfc3339(job.since or job.created_at),
        "created_at": rfc3339(job.created_at),
        "ended_at": None if job.ended_at is None else rfc3339(job.ended_at),
    }
    shape |= _load_json(job) if job.kind is JobKind.LOAD else _pull_json(job)
    if job.problem is not None:
        shape["problem"] = {"error": job.problem.text, "code": job.problem.code, "retry": job.problem.retry}
    return shape


def _load_json(job: Job) -> Json:
    shape: Json = {"expected_s": rounded(job.expected_s), "elapsed_s": elapsed_s(job)}
    if job.leaving:
        shape["leaving"] = job.leaving
    if job.num_ctx:
        shape["num_ctx"] = job.num_ctx
    return shape


def _pull_json(job: Job) -> Json:
    shape: Json = {
        "completed": job.completed,
        "total": job.total or None,
        "percent": percent(job),
        "bytes_per_s": round(job.bytes_per_s),
        "eta_s": rounded(job.eta_s),
        "layer": job.layer,
    }
    if job.digest or job.new_digest:
        shape |= {"digest": job.digest, "new_digest": job.new_digest, "changed": changed(job)}
    return shape


def percent(job: Job) -> float | None:
    """Rounded down, so that only what is whole is 100."""
    return int(job.share * 1000) / 10 if job.total else None


def changed(job: Job) -> bool:
    """Whether an update brought, or a check found, other files than were there. A check stops at the first it finds and
    knows the new digest only of what came before it could."""
    if job.kind is JobKind.CHECK and job.total:
        return True
    return bool(job.new_digest) and job.new_digest != job.digest


def elapsed_s(job: Job) -> float:
    """Since it was asked for, until its end."""
    return round(max(0, (job.ended_at or now_ms()) - job.created_at) / 1000, 1)


def pull_line_json(line: PullLine) -> Json:
    shape: Json = {"status": line.status}
    if line.digest:
        shape |= {"digest": line.digest, "total": line.total, "completed": line.completed}
    return shape


def offer_json(offer: Offer) -> Json:
    """`fits`: null where memory or disk are not known and what is known does not speak against it."""
    verdicts = [FITS.get(offer.fit.memory), FITS.get(offer.fit.disk)]
    return {
        "name": offer.name,
        "description": offer.description,
        "size": offer.size or None,
        "parameter_size": offer.parameter_size,
        "capabilities": list(offer.capabilities),
        "family": offer.family,
        "fits": False if False in verdicts else None if None in verdicts else True,
        "fit": {"memory": offer.fit.memory, "disk": offer.fit.disk, "words": offer.fit.words},
        "recommended": offer.recommended,
        "remote": offer.remote,
        "dated": offer.dated,
    }


def machine_json(machine: Machine) -> Json:
    """In bytes; null: unknown."""
    return {
        "local": machine.local,
        "memory": machine.memory or None,
        "memory_free": machine.memory_free or None,
        "disk_free": machine.disk_free or None,
    }


def measurements_json(found: Measurements) -> Json:
    """`count` and the medians; null: not measured."""
    return {
        "count": found.count,
        "median": {
            "tokens_per_s": _measured(found.tokens_per_s),
            "slow_tokens_per_s": _measured(found.slow),
            "fast_tokens_per_s": _measured(found.fast),
            "prompt_tokens_per_s": _measured(found.prompt_tokens_per_s),
            "first_token_ms": _measured(found.first_token_ms),
            "load_ms": _measured(found.load_ms),
            "wait_ms": round(found.wait_ms) if found.count else None,
            "output_tokens": _measured(found.output_tokens),
        },
        "last_at": rfc3339(found.last_at) if found.last_at else None,
    }


def sample_json(sample: Sample) -> Json:
    return {
        "at": rfc3339(sample.at),
        "tokens_per_s": _measured(sample.tokens_per_s),
        "prompt_tokens_per_s": _measured(sample.prompt_tokens_per_s),
        "first_token_ms": _measured(sample.first_token_ms),
        "load_ms": _measured(sample.load_ms),
        "wait_ms": sample.wait_ms,
        "prompt_tokens": sample.prompt_tokens,
        "output_tokens": sample.output_tokens,
        "num_ctx": sample.num_ctx or None,
        "digest": sample.digest,
    }


def provider_json(engine: EngineStatus, *, name: str, model: str) -> Json:
    """Before the first look it is not connected yet; no key, as there is none."""
    return {
        "name": name,
        "enabled": True,
        "base_url": engine.base_url,
        "model": model,
        "status": "disconnected" if engine.status == "connecting" else engine.status,
        "last_checked": rfc3339(engine.last_checked) if engine.last_checked else "",
        "version": engine.version,
        "problem": engine.problem,
        "hint": engine.hint,
    }


def jobs_json(jobs: Iterable[Job]) -> list[Json]:
    return [job_json(job) for job in jobs]


def _measured(value: float) -> float | None:
    return round(value, 1) if value else None
