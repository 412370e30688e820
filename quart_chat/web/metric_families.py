"""The numbers of a running server as families of metrics. Imported at the first look at /metrics, not before."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from quart_chat import __version__
from quart_chat.entities import GenerationState, now_ms
from quart_chat.metrics import Spread
from quart_chat.services import Services

ENDS = [state for state in GenerationState if state not in (GenerationState.QUEUED, GenerationState.RUNNING)]


class Exposition:
    """A registry of our own: nothing that another library registers gets out."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, services: Services) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(ServerCollector(services))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Reads the loop's own state, so on the loop; about a millisecond."""
        return generate_latest(self._registry)


class ServerCollector(Collector):
    """Reads counters and states when it is asked; nothing is prepared in between. No label comes from a client."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[Metric]:
        """Empty, so that registering does not collect: that happens in another thread."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("quart_chat", "This server", {"version": __version__})
        yield from self._queue()
        yield from self._generations()
        yield from self._viewers()
        yield from self._database()
        lag = self._services.loop_lag.spread
        yield _histogram("quart_chat_loop_lag_seconds", "How late the event loop came to what was due", lag)
        up = self._services.library.engine.status == "connected"
        yield GaugeMetricFamily("quart_chat_engine_up", "1 while the engine answers", up)

    def _queue(self) -> Iterator[Metric]:
        queue = self._services.queue
        since = [entry.since for entry in queue.entries() if entry.position]
        oldest_s = (now_ms() - min(since)) / 1000 if since else 0.0
        yield GaugeMetricFamily("quart_chat_queue_waiting", "Questions that wait for their turn", queue.waiting)
        yield GaugeMetricFamily("quart_chat_queue_running", "Answers being written", queue.running)
        yield GaugeMetricFamily("quart_chat_queue_oldest_wait_seconds", "How long the oldest has waited", oldest_s)
        wait = self._services.generations.wait
        yield _histogram("quart_chat_queue_wait_seconds", "Time in the queue of those whose turn came", wait)

    def _generations(self) -> Iterator[Metric]:
        counts = self._services.generations
        ended = CounterMetricFamily("quart_chat_generations", "Generations that ended", labels=["outcome"])
        for state in ENDS:
            ended.add_metric([state.value], counts.ended[state])
        yield ended
        yield _histogram(
            "quart_chat_first_token_seconds", "From asking the engine to its first token", counts.first_token
        )
        yield CounterMetricFamily("quart_chat_output_tokens", "Tokens of answers that ended", counts.output_tokens)
        yield CounterMetricFamily("quart_chat_output_seconds", "Time it took to write them", counts.output_s)

    def _viewers(self) -> Iterator[Metric]:
        hub = self._services.hub
        viewers = GaugeMetricFamily("quart_chat_viewers", "Open sockets", labels=["kind"])
        pages = sum(1 for viewer in hub.viewers if viewer.paced)
        viewers.add_metric(["page"], pages)
        viewers.add_metric(["program"], len(hub.viewers) - pages)
        yield viewers
        yield CounterMetricFamily("quart_chat_frames_sent", "Frames sent to viewers", hub.frames_sent)

    def _database(self) -> Iterator[Metric]:
        times = HistogramMetricFamily(
            "quart_chat_database_seconds", "From asking the database to its answer, waiting included", labels=["kind"]
        )
        for kind, spread in self._services.storage.times.items():
            times.add_metric([kind], _buckets(spread), spread.total_s)
        yield times


def _histogram(name: str, help: str, spread: Spread) -> Metric:
    return HistogramMetricFamily(name, help, _buckets(spread), spread.total_s)


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    return [("+Inf" if bound == inf else str(bound), count) for bound, count in spread.up_to()]
