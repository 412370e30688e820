"""What a model's latest answers took: the basis of every estimate, and what people are shown about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from quart_chat.model_entities import Measurements, ModelUse, Sample
from quart_chat.persistence.connection import current

ANSWERS = 40
LOADS = 10
"""So many of the latest make the medians of a model."""
COLD_LOAD_MS = 100
"""A load below this was no load: the model was in memory already. The index `generation_cold` says the same number."""

_ONE = "WITH known (model) AS (VALUES (?))"
_EVERY = """
    WITH RECURSIVE known (model) AS (
        SELECT min(model) FROM generation
        UNION ALL
        SELECT (SELECT min(model) FROM generation WHERE generation.model > known.model)
        FROM known WHERE known.model IS NOT NULL
    )
"""
"""Each name by one step in an index, where DISTINCT would read all of it."""

_TOOK = """
    ended_at, digest, num_ctx, wait_ms, load_ms, prompt_tokens, prompt_ms, first_token_ms, output_tokens, output_ms
"""
_ANSWERS = f"""
    SELECT known.model, {_TOOK}
    FROM known CROSS JOIN generation ON generation.row IN (
        SELECT row FROM generation
        WHERE generation.model = known.model AND state = 'complete' AND output_tokens > 0
        ORDER BY row DESC LIMIT {ANSWERS}
    )
"""
_COLD = f"""
    SELECT known.model, ended_at, digest, num_ctx, load_ms
    FROM known CROSS JOIN generation ON generation.row IN (
        SELECT row FROM generation INDEXED BY generation_cold
        WHERE generation.model = known.model AND state = 'complete' AND load_ms > {COLD_LOAD_MS}
        ORDER BY row DESC LIMIT {LOADS}
    )
"""
_LOADED = """
    SELECT model, ended_at, digest, num_ctx, ended_at - created_at FROM job
    WHERE kind = 'load' AND state = 'complete'
"""
_SAMPLES = f"""
    SELECT {_TOOK} FROM generation
    WHERE model = ? AND state = 'complete' AND output_tokens > 0
    ORDER BY row DESC LIMIT ?
"""
_USES = """
    SELECT model, session_id, user_id, person, coalesce(ended_at, started_at) FROM generation
    WHERE row IN (
        SELECT max(latest) FROM (
            SELECT known.model, (
                SELECT row FROM generation
                WHERE generation.model = known.model AND generation.state = states.state AND started_at IS NOT NULL
                ORDER BY row DESC LIMIT 1
            ) AS latest
            FROM known CROSS JOIN (
                SELECT 'running' AS state UNION ALL VALUES ('complete'), ('stopped'), ('failed'), ('interrupted')
            ) AS states
        )
        GROUP BY model
    )
"""


class _Answer(NamedTuple):
    """The columns of `_TOOK`."""

    at: int
    digest: str
    num_ctx: int
    wait_ms: int
    load_ms: int
    prompt_tokens: int
    prompt_ms: int
    first_token_ms: int
    output_tokens: int
    output_ms: int

    @property
    def prompt_tokens_per_s(self) -> float:
        return self.prompt_tokens * 1000 / self.prompt_ms if self.prompt_ms else 0.0

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens * 1000 / self.output_ms if self.output_ms else 0.0


class _Load(NamedTuple):
    at: int
    digest: str
    num_ctx: int
    ms: int


def of_model(model: str) -> Measurements:
    return _measured(_ONE, _LOADED + " AND model = ?", model).get(model, Measurements())


def of_all() -> dict[str, Measurements]:
    return _measured(_EVERY, _LOADED)


def samples(model: str, limit: int) -> list[Sample]:
    newest_first = [_sample(_Answer._make(row)) for row in _rows(_SAMPLES, model, limit)]
    return newest_first[::-1]


def latest_uses() -> list[ModelUse]:
    return [
        ModelUse(model=model, session_id=session_id, user_id=user_id, person=person, at=at)
        for model, session_id, user_id, person, at in _rows(_EVERY + _USES)
    ]


def _measured(known: str, loaded: str, *names: str) -> dict[str, Measurements]:
    answers: dict[str, list[_Answer]] = defaultdict(list)
    loads: dict[str, list[_Load]] = defaultdict(list)
    for row in _rows(known + _ANSWERS, *names):
        answers[row[0]].append(_Answer._make(row[1:]))
    for row in _rows(known + _COLD, *names) + _rows(loaded, *names):
        loads[row[0]].append(_Load._make(row[1:]))
    return {model: _medians(answers[model], loads[model]) for model in sorted(answers.keys() | loads.keys())}


def _medians(answers: list[_Answer], loads: list[_Load]) -> Measurements:
    """Of the newest file only; loads also of the newest context size only, which is what they depend on."""
    measured: list[_Answer | _Load] = sorted([*loads, *answers], key=lambda one: one.at)
    digest = next((one.digest for one in reversed(measured) if one.digest), "")
    num_ctx = measured[-1].num_ctx
    mine = [one for one in answers if one.digest in ("", digest)]
    cold = [one for one in loads if one.digest in ("", digest) and one.num_ctx == num_ctx and one.ms > COLD_LOAD_MS]
    cold.sort(key=lambda load: load.at)
    speeds = sorted(one.tokens_per_s for one in mine if one.output_ms)
    tenth = max(0, len(speeds) - 1) // 10
    return Measurements(
        count=len(mine),
        load_ms=_median(one.ms for one in cold[-LOADS:]),
        prompt_tokens_per_s=_median(one.prompt_tokens_per_s for one in mine if one.prompt_tokens_per_s),
        output_tokens=_median(one.output_tokens for one in mine),
        tokens_per_s=_median(speeds),
        first_token_ms=_median(one.first_token_ms for one in mine if one.first_token_ms),
        wait_ms=_median(one.wait_ms for one in mine),
        slow=speeds[tenth] if speeds else 0,
        fast=speeds[-1 - tenth] if speeds else 0,
        last_at=max((one.at for one in mine), default=0),
    )


def _sample(one: _Answer) -> Sample:
    return Sample(**{name: getattr(one, name) for name in Sample.__struct_fields__})


def _median(values: Iterable[float]) -> float:
    # statistics.median would cost a cold start the import of decimal and fractions.
    ordered = sorted(values)
    if not ordered:
        return 0
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return list(current.execute_sql(sql, parameters).fetchall())
