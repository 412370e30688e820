"""Progress of a download: true to the engine's lines, and never backwards."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_chat.library.progress import Progress
from quart_chat.model_entities import Job, JobKind
from quart_chat.providers.base import PullLine
from tests.doubles.recordings import exchanges

JOB = Job(id="1", kind=JobKind.PULL, model="m", user_id="owner", created_at=0)
BIG, SMALL = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MANIFEST = PullLine(status="pulling manifest")


def layer(digest: str, completed: int, total: int = 1000) -> PullLine:
    return PullLine(status=f"pulling {digest[7:19]}", digest=digest, total=total, completed=completed)


def told(progress: Progress, *lines: tuple[int, PullLine]) -> Job:
    now = 0
    for now, line in lines:
        progress.take(line, now)
    return progress.shown_on(JOB, now)


def recorded(name: str, exchange: int = 0) -> list[tuple[int, PullLine]]:
    """The lines of a recording with their moments in ms, without the error that may be the last."""
    found = []
    for at, chunk in exchanges(name)[exchange]["response"]["chunks"]:
        for line in map(json.loads, filter(None, chunk.split("\n"))):
            if "error" not in line:
                found.append((round(at), PullLine(**line)))
    return found


lines = st.builds(
    PullLine,
    status=st.sampled_from(
        ["pulling manifest", "pulling x", "verifying sha256 digest", "writing manifest", "success", "?"]
    ),
    digest=st.sampled_from(["", BIG, SMALL, "sha256:model"]),
    total=st.integers(-5, 10**13),
    completed=st.integers(-5, 10**13),
)
steps = st.lists(st.tuples(st.integers(0, 20_000), st.one_of(lines, st.sampled_from(["again", "halt"]))), max_size=40)


@given(steps=steps, expected=st.integers(0, 10**12))
def test_neither_bytes_nor_their_share_ever_fall_whatever_the_engine_says(
    steps: list[tuple[int, PullLine | str]], expected: int
) -> None:
    progress, now, before = Progress(0, expected=expected), 0, JOB
    for pause, line in steps:
        now += pause
        if isinstance(line, PullLine):
            progress.take(line, now)
        elif line == "again":
            progress.again(now)
        else:
            progress.halt()
        job = progress.shown_on(before, now)
        assert before.completed <= job.completed <= job.total
        assert before.total <= job.total or job.phase in ("verifying", "writing"), "what was expected was too much"
        assert before.share <= job.share <= 1
        assert job.bytes_per_s >= 0
        assert job.eta_s is None or job.eta_s >= 0
        before = job
    progress.finish(now)
    assert progress.completed == progress.total


@pytest.mark.parametrize("name", ["pull-success", "pull-present", "pull-registry-back", "pull-two-clients"])
def test_a_recorded_download_ends_whole(name: str) -> None:
    progress = Progress(0)
    job = told(progress, *recorded(name))
    assert job.phase == "writing"
    assert job.completed == job.total > 2_500_000


def test_a_resumed_download_goes_on_where_it_stopped_and_its_first_line_is_no_speed() -> None:
    progress = Progress(0)
    first = told(progress, *recorded("pull-resume", 1)[:2])
    assert first.completed == 1_170_000
    assert first.bytes_per_s == 0
    later = told(progress, *recorded("pull-resume", 1)[2:17])
    assert 1_300_000 < later.bytes_per_s < 1_700_000, "90 KB every 60 ms"
    assert later.eta_s == pytest.approx((later.total - later.completed) / later.bytes_per_s, abs=0.1)
    assert later.layer == "ab1b6c3575bd"


def test_what_stands_still_for_ten_seconds_is_stalled_since_it_stood_still_and_says_so_until_it_moves() -> None:
    progress = Progress(0)
    told(progress, (0, MANIFEST), (100, layer(BIG, 100)), (1000, layer(BIG, 200)))
    still = [(at, layer(BIG, 200)) for at in range(1060, 11_000, 60)]
    assert told(progress, *still).phase == "downloading"
    job = told(progress, (11_060, layer(BIG, 200)))
    assert (job.phase, job.since, job.bytes_per_s, job.eta_s) == ("stalled", 1000, 0, None)
    assert told(progress, (12_000, layer(BIG, 200))).phase == "stalled"
    job = told(progress, (13_000, layer(BIG, 210)))
    assert (job.phase, job.since) == ("downloading", 13_000)


def test_the_recorded_minute_of_a_dead_registry_is_shown_as_stalled() -> None:
    progress = Progress(0)
    phases = []
    for at, line in recorded("pull-registry-gone"):
        progress.take(line, at)
        phases.append(progress.shown_on(JOB, at).phase)
    assert phases[-1] == "stalled"
    assert progress.shown_on(JOB, 63_700).since < 3000


def test_a_silent_engine_is_stalled_without_a_line() -> None:
    progress = Progress(0)
    told(progress, (100, layer(BIG, 100)))
    assert progress.shown_on(JOB, 10_000).phase == "downloading"
    assert progress.shown_on(JOB, 10_200).phase == "stalled"


def test_speed_falls_to_nothing_within_seconds_when_nothing_comes() -> None:
    progress = Progress(0)
    moving = [(at, layer(BIG, at, 100_000)) for at in range(100, 6000, 60)]
    assert told(progress, *moving).bytes_per_s == pytest.approx(1000, rel=0.1)
    assert progress.shown_on(JOB, 8500).bytes_per_s < 750
    assert told(progress, (11_500, layer(BIG, 5980, 100_000))).bytes_per_s < 50


def test_a_layer_nobody_knew_of_does_not_push_the_bar_back() -> None:
    progress = Progress(0)
    job = told(progress, (0, layer(BIG, 900)), (60, layer(SMALL, 10, 1000)))
    assert (job.completed, job.total, job.share) == (1010, 2000, 0.9)
    assert told(progress, (120, layer(SMALL, 900))).share == 0.95


def test_what_is_known_beforehand_gives_the_bar_its_length() -> None:
    progress = Progress(0, expected=2000)
    job = told(progress, (0, layer(BIG, 1000)), (60, layer(SMALL, 10, 1000)))
    assert (job.completed, job.total) == (1010, 2000)
    assert told(progress, (120, PullLine(status="verifying sha256 digest"))).completed == 2000


def test_what_was_expected_too_large_is_corrected_when_all_is_here() -> None:
    progress = Progress(0, expected=9000)
    assert told(progress, (0, layer(BIG, 1000))).total == 9000
    assert told(progress, (60, PullLine(status="verifying sha256 digest"))).total == 1000


def test_a_layer_begun_means_that_the_one_before_is_here_although_its_last_line_said_less() -> None:
    progress = Progress(0)
    job = told(progress, (0, layer(BIG, 970)), (60, layer(SMALL, 5, 10)))
    assert (job.completed, job.total) == (1005, 1010)


def test_the_pseudo_layer_of_other_formats_has_no_twelve_digits() -> None:
    line = PullLine(status="pulling model", digest="sha256:model", total=10, completed=5)
    assert told(Progress(0), (0, line)).layer == "model"


def test_before_any_layer_is_known_a_job_keeps_the_bytes_it_had() -> None:
    had = Job(id="1", kind=JobKind.PULL, model="m", user_id="owner", created_at=0, completed=5, total=9)
    progress = Progress(0, expected=9)
    progress.take(MANIFEST, 10)
    job = progress.shown_on(had, 20)
    assert (job.phase, job.completed, job.total) == ("manifest", 5, 9)
