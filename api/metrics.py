"""What Prometheus reads: figures of the ledger, so that every API process tells the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from api.access import public
from api.services import services
from tasks.jobs import QueueClass
from tasks.ledger import Ledger
from tasks.queues import Queue, live_workers, read_counters, read_queues

metrics = Blueprint("metrics", __name__)

_GAUGES: dict[str, tuple[str, Callable[[Queue], float | None]]] = {
    "sentiq_waiting_items": ("Items that wait or are leased", lambda queue: queue.items),
    "sentiq_drain_items_per_second": (
        "Items finished a second; absent while unknown",
        lambda queue: queue.items_per_s,
    ),
    "sentiq_wait_seconds": ("Until all that waits is done; absent while unknown", lambda queue: queue.wait_s),
    "sentiq_accepting": ("Whether one more text would be accepted", lambda queue: queue.accepting),
}
_COUNTERS = {
    "resent": "Messages that were lost on their way and sent again",
    "lost": "Jobs that were asked for and whose record is gone that should be there",
}


class LedgerCollector(Collector):
    """One reading of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._queues = read_queues(ledger)
        self._children = live_workers(ledger)
        self._counted = read_counters(ledger)

    def collect(self) -> Iterable[Metric]:
        """Yield every figure."""
        for name, (about, read) in _GAUGES.items():
            yield _by_class(name, about, self._queues, read)
        yield GaugeMetricFamily("sentiq_workers", "Workers alive", value=len(self._children))
        yield GaugeMetricFamily("sentiq_children", "Children of these workers", value=sum(self._children))
        yield from self._totals()

    def _totals(self) -> Iterator[Metric]:
        for name, about in _COUNTERS.items():
            yield CounterMetricFamily(f"sentiq_{name}", about, value=self._counted.get(name, 0))


def _by_class(
    name: str, about: str, queues: dict[QueueClass, Queue], read: Callable[[Queue], float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=["class"])
    for queue_class, queue in queues.items():
        value = read(queue)
        if value is not None:
            family.add_metric([queue_class], value)
    return family


@metrics.get("/metrics")
@public
def read() -> Response:
    """Tell what waits, how fast it drains, who works, and what was lost and mended."""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(services().ledger))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
