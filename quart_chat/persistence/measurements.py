"""What a model's latest answers took: the basis of every estimate."""

from __future__ import annotations

from collections.abc import Iterable

from quart_chat.entities import GenerationState, Measurements
from quart_chat.persistence.rows import tuples
from quart_chat.persistence.tables import GenerationRow

COLD_LOAD_MS = 100
"""A load below this was no load: the model was in memory already."""


def of_model(model: str, digest: str, limit: int) -> Measurements:
    query = GenerationRow.select(
        GenerationRow.load_ms,
        GenerationRow.prompt_tokens,
        GenerationRow.prompt_ms,
        GenerationRow.output_tokens,
        GenerationRow.output_ms,
        GenerationRow.first_token_ms,
    ).where(
        GenerationRow.model == model,
        GenerationRow.state == GenerationState.COMPLETE.value,
        GenerationRow.output_tokens > 0,
    )
    if digest:
        query = query.where(GenerationRow.digest == digest)
    rows = tuples(query.order_by(GenerationRow.row.desc()).limit(limit))
    return Measurements(
        count=len(rows),
        load_ms=_median(load for load, *_ in rows if load > COLD_LOAD_MS),
        prompt_tokens_per_s=_median(tokens * 1000 / ms for _, tokens, ms, *_ in rows if tokens and ms),
        output_tokens=_median(tokens for *_, tokens, _, _ in rows),
        tokens_per_s=_median(tokens * 1000 / ms for *_, tokens, ms, _ in rows if ms),
        first_token_ms=_median(first for *_, first in rows if first),
    )


def _median(values: Iterable[float]) -> float:
    # statistics.median would cost a cold start the import of decimal and fractions.
    ordered = sorted(values)
    if not ordered:
        return 0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
