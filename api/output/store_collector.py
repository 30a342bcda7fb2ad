"""Metrics for Prometheus, read from the job store, so that every API process exports the same."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from api.output.key_collector import key_metrics, read_usage_by_key
from tasks.errors import (
    DeadlineTooShortError,
    QuotaExceededError,
    ServiceFullError,
    StorageQuotaExceededError,
    StoreFullError,
    StoreUnavailableError,
    TooManyJobsError,
)
from tasks.store.backlog import Backlog, read_backlogs
from tasks.store.connection import RedisInfo, redis_info
from tasks.store.counters import Counters
from tasks.store.deliveries import DueDeliveries, read_due
from tasks.store.id_secret import data_lost
from tasks.store.jobs import JobStore
from tasks.store.kept import kept_bytes
from tasks.store.leases import ReturnReason
from tasks.store.models import Models
from tasks.store.workers import WorkerStatus, live_workers, with_processes
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import Queue, QueueClass
from tasks.vocabulary.webhooks import DeliveryStatus

logger = logging.getLogger(__name__)

_CLASS_METRICS: dict[str, tuple[str, Callable[[Backlog], float | None]]] = {
    "sentiq_pending_items": ("Items that are waiting or leased", lambda backlog: backlog.items),
    "sentiq_deferred_items": (
        "Items that callers want scored later, which are not pending yet",
        lambda backlog: backlog.deferred,
    ),
    "sentiq_paused_items": (
        "Items that an operator has paused, which are not pending meanwhile",
        lambda backlog: backlog.paused,
    ),
    "sentiq_oldest_seconds": (
        "Age of the oldest chunk that no worker has leased",
        lambda backlog: backlog.oldest_s,
    ),
    "sentiq_drain_items_per_second": (
        "Items finished per second; absent while unknown",
        lambda backlog: backlog.items_per_s,
    ),
    "sentiq_wait_seconds": (
        "Time until the backlog is finished; absent while unknown",
        lambda backlog: backlog.wait_s,
    ),
    "sentiq_accepting": ("Whether one more text would be accepted", lambda backlog: backlog.accepting),
}
_REDIS_METRICS: dict[str, tuple[str, Callable[[RedisInfo], float]]] = {
    "sentiq_redis_memory_bytes": ("Memory used by Redis", lambda info: info.used_bytes),
    "sentiq_redis_memory_limit_bytes": (
        "maxmemory of Redis; 0 means no limit",
        lambda info: info.limit_bytes,
    ),
    "sentiq_redis_persisting": (
        "Whether Redis writes its append-only file and the last write succeeded",
        lambda info: info.persisting,
    ),
    "sentiq_redis_evicting": (
        "Whether maxmemory-policy lets Redis evict keys, and with them jobs",
        lambda info: info.evicting,
    ),
    "sentiq_redis_evicted_keys": ("Keys that Redis has evicted since it started", lambda info: info.evicted),
    "sentiq_redis_clients": ("Connections to Redis", lambda info: info.clients),
}
_WEBHOOK_METRICS: dict[str, tuple[str, Callable[[DueDeliveries], float]]] = {
    "sentiq_webhooks_open": (
        "Deliveries that are neither delivered nor exhausted",
        lambda due: due.deliveries,
    ),
    "sentiq_webhooks_late_seconds": ("How long the earliest delivery is overdue", lambda due: due.late_s),
}
_KEPT_METRICS: dict[str, tuple[str, Callable[[Collection[int]], float]]] = {
    "sentiq_kept_bytes": ("Bytes of texts and results that are kept for all callers", sum),
    "sentiq_kept_bytes_of_one_key": (
        "Bytes that are kept for the key that keeps most",
        lambda kept: max(kept, default=0),
    ),
}
_SUMS = {
    "republished": "Wake-ups that were lost and published again",
    "lost": "Jobs whose record was lost",
    "restarted": "Worker children that replaced one that died",
    "sick": "Worker children that ended because their engine failed",
}
# All label values are exported from the start: `increase` misses the first event of a new series.
_REFUSALS = [
    QuotaExceededError.code,
    TooManyJobsError.code,
    StorageQuotaExceededError.code,
    ServiceFullError.code,
    DeadlineTooShortError.code,
    StoreFullError.code,
]
_WORKER_METRICS: dict[str, tuple[str, Callable[[WorkerStatus], int]]] = {
    "sentiq_workers": ("Live workers", lambda _: 1),
    "sentiq_children": ("Children of these workers", lambda worker: worker.children),
    "sentiq_ready": ("Ready children of these workers", lambda worker: worker.ready),
    "sentiq_workers_memory_bytes": (
        "Resident memory of these workers and their children; what they share counts for each of them",
        lambda worker: worker.memory_bytes,
    ),
}
# Label values of a series: `model` stands for the name of each model that is known.
_LABELLED: dict[str, tuple[str, Sequence[str], str, list[str]]] = {
    "admitted": ("admitted_items", ("model", "class"), "Items accepted", [*QueueClass]),
    "refused": (
        "refused_requests",
        ("reason",),
        "Requests refused until later",
        [*_REFUSALS, "rate_limited", "shadow_dropped"],
    ),
    "items": (
        "finished_items",
        ("model", "code"),
        "Finished items by outcome or error",
        ["succeeded", "deleted", *ItemError],
    ),
    "attempts": (
        "attempted_items",
        ("model", "attempts"),
        "Finished items by number of attempts",
        ["1"],
    ),
    "requeued": (
        "requeued_chunks",
        ("reason",),
        "Chunks requeued because a child died or a lease lapsed",
        ["dead", "lapsed"],
    ),
    "returned": (
        "returned_chunks",
        ("reason",),
        "Chunks that a child returned because it was sick or ran out of time",
        [*ReturnReason],
    ),
    "webhooks": (
        "webhook_attempts",
        ("state",),
        "Webhook attempts by the state of the delivery after them",
        [*DeliveryStatus],
    ),
}
_BY_MODEL, _BY_QUEUE = ("model",), ("model", "class")
_HISTOGRAMS: dict[str, tuple[str, Sequence[str], str]] = {
    "queue_s": ("queue_seconds", _BY_QUEUE, "Time from the arrival of a chunk until a child leased it"),
    "job_s": ("job_seconds", _BY_QUEUE, "Time from the arrival of a job until it finished"),
    "forward_s": ("forward_seconds", _BY_MODEL, "Duration of one pass through the model"),
    "batch_rows": ("batch_rows", _BY_MODEL, "Rows in one pass through the model"),
    "batch_tokens": ("batch_tokens", _BY_MODEL, "Tokens in one pass through the model"),
}


class StoreCollector(Collector):
    """Exports one reading of the job store. Raises StoreUnavailableError."""

    def __init__(self, store: JobStore, models: Models) -> None:
        self._models = models.names
        self._verdicts = [
            f"{name}:{label['id']}" for name, model in models.all().items() for label in model.pack["labels"]
        ]
        self._backlogs = read_backlogs(store, self._models)
        self._workers = with_processes(store, live_workers(store))
        self._counters = Counters.read(store)
        self._due = read_due(store)
        self._redis = redis_info(store.redis)
        self._kept = kept_bytes(store).values()
        self._data_lost = data_lost(store.redis)
        self._by_key = read_usage_by_key(store) if store.settings.metrics_by_key else {}

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics."""
        yield _store_up(up=True)
        for name, (help_text, read) in _CLASS_METRICS.items():
            yield _by_queue(name, help_text, self._backlogs, read)
        yield from _gauges(_REDIS_METRICS, self._redis)
        yield from _gauges(_KEPT_METRICS, self._kept)
        yield GaugeMetricFamily(
            "sentiq_redis_data_lost", "Whether Redis lost its data in the last day", value=self._data_lost
        )
        yield from _gauges(_WEBHOOK_METRICS, self._due)
        yield from self._workers_by_model()
        yield from self._sums()
        yield from self._histograms()
        if self._by_key:
            yield from key_metrics(self._by_key)

    def _workers_by_model(self) -> Iterator[Metric]:
        for name, (help_text, count) in _WORKER_METRICS.items():
            family = GaugeMetricFamily(name, help_text, labels=_BY_MODEL)
            for model in self._models:
                family.add_metric([model], sum(count(each) for each in self._workers if each.serves == model))
            yield family

    def _sums(self) -> Iterator[Metric]:
        for name, help_text in _SUMS.items():
            yield CounterMetricFamily(f"sentiq_{name}", help_text, value=self._counters.counts.get(name, 0))
        for counter, (name, labels, help_text, values) in _LABELLED.items():
            yield self._labelled(counter, name, labels, help_text, self._always(labels, values))
        named = ("model", "label")
        yield self._labelled("verdicts", "verdicts", named, "Verdicts by their label", self._verdicts)
        help_text = "Verdicts that are uncertain"
        yield self._labelled("uncertain", "uncertain_verdicts", _BY_MODEL, help_text, self._models)

    def _labelled(
        self, counter: str, name: str, labels: Sequence[str], help_text: str, always: Iterable[str]
    ) -> Metric:
        """Return the series of a counter; those of `always` are there from the start."""
        family = CounterMetricFamily(f"sentiq_{name}", help_text, labels=labels)
        counts = dict.fromkeys(always, 0) | dict(self._counters.labels(counter))
        for value, count in counts.items():
            family.add_metric(value.split(":", len(labels) - 1), count)
        return family

    def _histograms(self) -> Iterator[Metric]:
        for histogram, (name, labels, help_text) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(f"sentiq_{name}", help_text, labels=labels)
            for label in self._always(labels, [*QueueClass]) if labels == _BY_QUEUE else self._models:
                buckets, total = self._counters.histogram(histogram, label)
                bounds = [("+Inf" if bound == math.inf else str(bound), count) for bound, count in buckets]
                family.add_metric(label.split(":"), bounds, total)
            yield family

    def _always(self, labels: Sequence[str], values: Sequence[str]) -> Sequence[str]:
        """Return the labels of series that are exported from the start, as counters write them."""
        if "model" not in labels:
            return values
        return [f"{model}:{value}" for model in self._models for value in values]


class StoreDown(Collector):
    """Exports only `sentiq_store_up 0`, while Redis is unreachable."""

    def collect(self) -> Iterable[Metric]:
        """Yield the one metric."""
        yield _store_up(up=False)


def exposition(store: JobStore, models: Models) -> bytes:
    """Return the metrics in the format of Prometheus; without Redis, only that it is down."""
    registry = CollectorRegistry()
    try:
        registry.register(StoreCollector(store, models))
    except StoreUnavailableError as error:
        logger.warning("metrics show only that the job store is down: %s", error)
        registry.register(StoreDown())
    return generate_latest(registry)


def _store_up(*, up: bool) -> Metric:
    return GaugeMetricFamily(
        "sentiq_store_up", "Whether Redis answered; at 0 there are no other metrics", value=up
    )


def _gauges(metrics: Mapping[str, tuple[str, Callable[[Any], float]]], source: object) -> Iterator[Metric]:
    for name, (help_text, read) in metrics.items():
        yield GaugeMetricFamily(name, help_text, value=read(source))


def _by_queue(
    name: str, help_text: str, backlogs: Mapping[Queue, Backlog], read: Callable[[Backlog], float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=_BY_QUEUE)
    for queue, backlog in backlogs.items():
        value = read(backlog)
        if value is not None:
            family.add_metric([queue.model, queue.queue_class], value)
    return family
