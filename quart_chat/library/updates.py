"""Which models have a newer version in their registry, as far as somebody has asked."""

from __future__ import annotations

from collections.abc import Iterable

from quart_chat.model_entities import Job, JobKind, JobState, ModelInfo
from quart_chat.providers.ollama_models import normalise


class Updates:
    """The newest check of each model."""

    def __init__(self) -> None:
        self._checks: dict[str, Job] = {}

    def note(self, job: Job) -> None:
        """One that has ended: a check says what there is, a download leaves nothing to be found."""
        if job.state is not JobState.COMPLETE:
            return
        if job.kind is JobKind.CHECK:
            self._checks[normalise(job.model)] = job
        elif job.kind is not JobKind.LOAD:
            self._checks.pop(normalise(job.model), None)

    def of(self, models: Iterable[ModelInfo]) -> dict[str, Job]:
        """By name, the checks that found something newer than what is installed now."""
        found = ((model, self._checks.get(normalise(model.name))) for model in models)
        return {model.name: check for model, check in found if check is not None and _is_newer(check, model)}


def _is_newer(check: Job, model: ModelInfo) -> bool:
    return check.total > 0 and check.digest == model.digest
